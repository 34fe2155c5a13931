"""Named choices that function arguments and command-line options share.

This module imports nothing of the package, so the command line can list the choices without loading
NumPy and torch.
"""

from __future__ import annotations

from typing import Literal

Flanks = Literal["auto", "add", "none"]
"""How to treat the adapters around an insert; see :func:`crmnet.sequence.prepare`."""

Window = Literal["first", "last"]
"""Which end of a sequence is read if it is longer than a network's input; see
:func:`crmnet.sequence.windows`."""

Iupac = Literal["error", "n"]
"""How to treat letters that stand for several bases: ``error`` refuses them, ``n`` reads N."""

Digits = Literal["rounded", "full"]
"""Digits of numbers in a text table; see :func:`crmnet.reports.tables.for_reading`."""

FamilyRule = Literal["family", "sequence", "homology"]
"""How families of rows are defined: ``family`` uses the families in the data set, or the sequence
if it has none; ``sequence`` joins copies of one sequence; ``homology`` joins inserts that share a
k-mer (see :mod:`crmnet.data.homology`)."""

Level = Literal["exact", "near", "words"]
"""What counts as shared between two data sets: ``exact``, equal inserts; ``near``, also inserts
that differ in a few bases; ``words``, also inserts with a common k-mer (see
:mod:`crmnet.data.leaks`)."""

Precision = Literal["fp32", "bf16"]
"""Arithmetic of predictions; see :class:`crmnet.prediction.predictor.Predictor`."""

TrainingPrecision = Literal["fp32", "bf16", "fp16"]
"""Arithmetic of training and of its benchmark."""

Loss = Literal["huber", "mse", "soft-bins"]
"""Training losses; see :mod:`crmnet.training.losses`."""

Method = Literal["ism", "gradient", "masked", "integrated", "deeplift"]
"""Attribution methods; see :mod:`crmnet.interpretation.attribute`."""

Engine = Literal["own", "streme", "meme", "modisco"]
"""Programs that discover motifs; ``own`` is this package. See :mod:`crmnet.motifs.programs`."""

Strand = Literal["+", "-", "both"]
"""Strand of the windows of a genome; see :mod:`crmnet.design.windows`."""

Evolution = Literal["up", "down", "conflict", "drift", "neutral"]
"""How promoters evolve; see :mod:`crmnet.design.trajectories`."""

Goal = Literal["maximise", "minimise", "target", "separate"]
"""Goals of a design; see :class:`crmnet.design.objective.Objective`."""

SearchMethod = Literal["greedy", "beam", "genetic", "annealing", "gradient"]
"""Methods that search for designs; see :mod:`crmnet.design.search`."""

SynthesisPreset = Literal["twist", "idt", "salis"]
"""Limits of DNA synthesis; see :mod:`crmnet.design.presets`."""

PictureFormat = Literal["png", "svg", "pdf"]
"""File formats of figures."""
