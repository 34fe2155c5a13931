"""Uses of predictions: effects of variants, new promoters, and evolvability.

Each module takes a :class:`crmnet.prediction.predictor.Predictor`, or any module that takes one-hot
``(B, 4, L)``, and sequences or tokens. Its result is a small frozen object with arrays and a table.
"""
