"""Motif comparison: a motif matches itself on either strand, and p-values are calibrated."""

from dataclasses import replace

import numpy as np
import pytest

from crmnet.motifs.jaspar import yeast_motifs, yeast_motifs_named
from crmnet.motifs.match import match
from crmnet.motifs.pwm import Motif


def test_a_motif_matches_itself_reversed_and_shifted():
    (reb1,) = yeast_motifs_named(["REB1"])
    shifted = replace(reb1, counts=reb1.counts[:, 2:])
    found = match([reb1, reb1.reverse_complement, shifted], yeast_motifs())
    names = [yeast_motifs()[i].name for i in found.best()]
    assert names == ["REB1"] * 3
    best = found.best()
    rows = np.arange(3)
    assert found.strand[rows, best].tolist() == ["+", "-", "+"]
    assert found.offset[rows, best].tolist() == [0, 0, 2]
    assert found.overlap[rows, best].tolist() == [reb1.width, reb1.width, reb1.width - 2]
    assert (found.e[rows, best] < 1e-6).all()


def test_p_values_of_random_motifs_are_calibrated():
    rng = np.random.default_rng(0)
    mixed = [
        replace(m, counts=m.counts[rng.permutation(4)][:, rng.permutation(m.width)])
        for m in yeast_motifs()[:40:2]
    ]
    p = match(mixed, yeast_motifs()).p
    assert 0.07 < (p < 0.1).mean() < 0.14
    assert (p < 0.01).mean() < 0.02


def test_p_value_by_hand():
    # The target is one column, equal to the query. The database is this column and its complement:
    # one of two columns is as similar, in each of two alignments (one for each strand).
    one = Motif("A", "1", np.array([[1000.0], [0], [0], [0]]))
    found = match([one], [one])
    assert found.p[0, 0] == pytest.approx(1 - 0.5**2)
    assert found.e[0, 0] == found.p[0, 0]


def test_an_empty_database_is_an_error():
    with pytest.raises(ValueError, match="no motifs"):
        match([Motif("A", "1", np.ones((4, 1)))], [])
