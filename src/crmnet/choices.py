"""Named choices that modules and command-line options share.

They are defined here, apart from the modules that act on them, because the command line must start
without NumPy and torch.
"""

from __future__ import annotations

from typing import Literal

Flanks = Literal["auto", "add", "none"]
"""What to do about the adapters around an insert; see :func:`crmnet.sequence.prepare`."""

Window = Literal["first", "last"]
"""Which end of a sequence is read that is longer than a network's input; see
:func:`crmnet.sequence.windows`."""

Iupac = Literal["error", "n"]
"""What to do about letters that stand for several bases: refuse them, or read them as N."""

Digits = Literal["rounded", "full"]
"""Digits of numbers in a table of text; see :mod:`crmnet.prediction.table`."""

Kinship = Literal["family", "sequence", "homology"]
"""What makes rows relatives of one family: the family given with them (their sequence where none
was given), their sequence alone, or a word that their inserts share (see
:mod:`crmnet.data.homology`)."""

Level = Literal["exact", "near", "words"]
"""What counts as shared between two data sets: equal inserts; also those that differ in a few
bases; also those with a word in common (see :mod:`crmnet.data.leaks`)."""

Precision = Literal["fp32", "bf16"]
"""Arithmetic of predictions; see :class:`crmnet.prediction.predictor.Predictor`."""

TrainingPrecision = Literal["fp32", "bf16", "fp16"]
"""Arithmetic of training and of its benchmark."""

Method = Literal["ism", "gradient", "masked", "integrated", "deeplift"]
"""Attribution methods; see :mod:`crmnet.interpretation.attribute`."""

Engine = Literal["own", "streme", "meme", "modisco"]
"""Programs that search for motifs; see :mod:`crmnet.motifs.programs`."""

PictureFormat = Literal["png", "svg", "pdf"]
"""File formats of figures."""
