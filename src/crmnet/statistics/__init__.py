"""Metrics with intervals, conformal prediction intervals, and the DREAM score.

Arrays in, numbers out: reads and writes no files of results. Used by prediction, evaluation and
reports.
"""
