"""Figure 5: its numbers by hand, and the page from the command."""

import csv

import numpy as np
import pytest

from crmnet.figure5 import site_statistics
from crmnet.motifs.pwm import Motif
from crmnet.motifs.scan import Hits


def test_statistics_by_hand():
    along = np.array([[1.0, 1, 0, 0], [0, 0, 0, 0], [0, 4, 2, 1]])
    expression = np.array([3.0, 6, 12])
    one = Hits(*map(np.array, ([0, 2], [0, 0], [0, 1], [2, 3], ["+", "-"], [1.0, 1], [0.1, 0.1],
                               [1.0, 1])))  # fmt: skip
    motifs = [Motif("M", "M", np.ones((4, 2))), Motif("NONE", "N", np.ones((4, 2)))]
    everyone, having = site_statistics(along, expression, motifs, one)
    assert (everyone.name, everyone.promoters) == ("all", 3)
    assert everyone.saliency[0] == pytest.approx(9 / 12)
    assert everyone.expression[0] == pytest.approx(7)
    assert (having.name, having.promoters) == ("M", 2)
    assert having.saliency[0] == pytest.approx((2 + 6) / 4)
    assert having.expression[0] == pytest.approx(7.5)
    assert having.expression[1] == 3 and having.expression[2] == 12


def test_the_command_draws_it(crmnet, small_run, assay, tmp_path):
    out = tmp_path / "out"
    status, said, err = crmnet("explain", small_run, assay.path / "assay.tsv", "--figure5",
                               "--medium", "complex", "--first", 2, "--method", "gradient",
                               "-o", out)  # fmt: skip
    assert status == 0, err
    assert "figure5.png" in said and (out / "figure5.png").stat().st_size > 20_000
    with open(out / "figure5.tsv", newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    assert rows[0]["motif"] == "all" and rows[0]["promoters"] == str(len(assay))
    for row in rows:
        assert float(row["expression_low"]) <= float(row["expression"])
