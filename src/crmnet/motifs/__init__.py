"""Motifs: position weight matrices and their sources.

Takes sequences as token arrays and motif files, gives :class:`crmnet.motifs.pwm.Motif` objects,
sites and statistics. Needs no network: attributions are arrays from :mod:`crmnet.interpretation`.
"""
