"""Yeast promoter expression: data, CRMnet, training, prediction and explanation."""
