"""Evaluation: sets to score, alignment of several models, comparison and calibration.

The modules take models from :mod:`crmnet.prediction` and sets from :mod:`crmnet.data`. They compute
metrics with :mod:`crmnet.statistics`, for ``crmnet evaluate``, ``compare`` and ``models
calibrate``.
"""
