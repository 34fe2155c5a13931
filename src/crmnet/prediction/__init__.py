"""Prediction: the Predictor, tables of predictions, sharded jobs, export and distillation.

The modules load models from :mod:`crmnet.runs`. Evaluation and interpretation use their
predictions.
"""
