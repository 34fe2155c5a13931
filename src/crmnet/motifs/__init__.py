"""Motifs: position weight matrices and their sources.

The modules take sequences as token arrays, and motif files. They return
:class:`crmnet.motifs.pwm.Motif` objects, sites and statistics to :mod:`crmnet.interpretation`. They
need no network: attributions are arrays here.
"""
