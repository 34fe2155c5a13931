"""Interpretation: attributions, planted sites, logos and discovered motifs.

The modules take models from :mod:`crmnet.prediction` and motifs from :mod:`crmnet.motifs`, and
write the files of ``crmnet explain`` and ``crmnet motifs discover``.
"""
