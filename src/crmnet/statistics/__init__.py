"""Metrics, intervals and scores: arrays in, numbers out."""
