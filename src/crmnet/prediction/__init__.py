"""Prediction: the Predictor, tables of predictions, sharded jobs, export and distillation."""
