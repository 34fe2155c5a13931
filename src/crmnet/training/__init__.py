"""Training: rows, losses, optimiser, Lightning module and callbacks, and :func:`train`.

:func:`crmnet.training.train.train` takes settings and data sets and writes run folders, which
:mod:`crmnet.prediction` loads.
"""
