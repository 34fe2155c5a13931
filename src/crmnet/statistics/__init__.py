"""Metrics with intervals, conformal prediction intervals, and the DREAM score.

The functions take arrays and return numbers, and write no files. Prediction, evaluation and reports
use them.
"""
