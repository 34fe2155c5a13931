"""Evaluation: sets to score, alignment of several models, comparison and calibration."""
