"""Metrics with intervals, conformal prediction intervals, and the DREAM score.

Takes arrays and returns numbers; writes no files. Prediction, evaluation and reports use it.
"""
