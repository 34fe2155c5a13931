"""Strata by the longest stretch that an insert shares with training inserts."""

import numpy as np

from crmnet.evaluation.similarity import shared_length, stratum_name
from crmnet.sequence import encode, prepare

MATE = str.maketrans("ACGT", "TGCA")


def constructs(inserts):
    return prepare(*encode(inserts), "add")[0]


def test_the_longest_common_stretch_decides_on_either_strand():
    rng = np.random.default_rng(0)
    training, test = (["".join(rng.choice(list("ACGT"), 80)) for _ in range(n)] for n in (1, 4))
    known = training[0]
    for row, (length, place) in enumerate(((14, 3), (17, 40), (25, 10))):
        stretch = known[place : place + length]
        if row == 1:
            stretch = stretch[::-1].translate(MATE)
        test[row] = test[row][:30] + stretch + test[row][30 + length :]
    found = shared_length(constructs(test), constructs(training))
    assert found.tolist() == [14, 16, 20, 0]


def test_strata_have_names():
    assert [stratum_name(n) for n in (20, 16, 14, 0)] == [
        "20 bases or more", "16 to 19 bases", "14 to 15 bases", "fewer than 14 bases in common",
    ]  # fmt: skip
