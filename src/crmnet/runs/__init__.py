"""A trained model on disk: settings and recipes, run folder, packed file, model card.

:mod:`crmnet.training` writes run folders; :mod:`crmnet.prediction` reads them.
"""
