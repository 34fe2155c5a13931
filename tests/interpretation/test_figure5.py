"""Figure 5: its numbers by hand, its motifs, and the figure drawn by the command."""

import csv
import logging

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from torch import nn

from crmnet.data.sequences import Promoters
from crmnet.interpretation.figure5 import (
    FACTORS,
    FigureMotif,
    Rows,
    _example,
    figure5,
    site_statistics,
    top_motifs,
)
from crmnet.motifs.formats import as_meme
from crmnet.motifs.jaspar import yeast_motifs_named
from crmnet.motifs.pwm import Motif
from crmnet.motifs.scan import Hits
from crmnet.prediction.predictor import Predictor
from crmnet.sequence import encode, prepare

pytestmark = pytest.mark.slow


def rows(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file, delimiter="\t"))


def hits(row, start, end, strand):
    many = len(row)
    return Hits(*map(np.array, (row, [0] * many, start, end, strand)), *[np.ones(many)] * 3)


def test_statistics_by_hand():
    saliency = np.array([[1.0, 1, 0, 0], [0, 0, 0, 0], [0, 4, 2, 1]])
    expression = np.array([3.0, 6, 12])
    all_promoters, with_site = site_statistics(
        saliency, expression, [("M", hits([0, 2], [0, 1], [2, 3], ["+", "-"]))]
    )
    assert (all_promoters.name, all_promoters.promoters) == ("all", 3)
    assert all_promoters.saliency[0] == pytest.approx(9 / 12)
    assert all_promoters.expression[0] == pytest.approx(7)
    assert (with_site.name, with_site.promoters) == ("M", 2)
    assert with_site.saliency[0] == pytest.approx((2 + 6) / 4)
    # Means of neighbouring pairs: 1, 1/2, 0 in one promoter, 2, 3, 3/2 in the other.
    assert with_site.random_saliency == pytest.approx((0.5 + 13 / 6) / 2)
    assert with_site.expression[0] == pytest.approx(7.5)
    assert np.isnan(
        [*all_promoters.saliency[1:], *with_site.expression[1:]]
    ).all()  # too few promoters


def test_intervals_are_given_for_five_promoters_or_more():
    expression = np.array([3.0, 6, 12, 3, 3])
    (all_promoters,) = site_statistics(np.ones((5, 4)), expression, [])
    assert all_promoters.saliency == (1, 1, 1)
    mean, low, high = all_promoters.expression
    assert mean == pytest.approx(5.4) and 3 <= low < mean < high <= 12


def discovered(folder, confirmed):
    """Files as written by crmnet motifs discover: an unknown motif, REB1 reversed and cut, RAP1."""
    reb1, rap1 = yeast_motifs_named(["REB1", "RAP1"])
    unknown = Motif("AC", "D1", np.tile([[9.0], [9], [1], [1]], (1, 8)))
    short = Motif("CUT", "D2", reb1.reverse_complement.counts[:, 1:])
    (folder / "motifs.meme").write_text(as_meme([unknown, short, rap1.renamed("X", "D3")]))
    marks = ["yes" if name in confirmed else "" for name in ("D1", "D2", "D3")]
    lines = [f"D{number}\tREB1\t0.1\t{mark}" for number, mark in enumerate(marks, 1)]
    header = "motif\tname\tmatch_p\tconfirmed"
    (folder / "motifs.tsv").write_text("\n".join([header, *lines]) + "\n")
    return folder / "motifs.meme"


def test_confirmed_motifs_of_a_discovery_are_used_and_named(tmp_path):
    motifs = top_motifs(discovered(tmp_path, ("D1", "D2")))
    assert [motif.name for motif in motifs] == ["D2 REB1"]
    assert motifs[0].title.startswith("D2 REB1 (match p ") and motifs[0].p < 1e-3
    assert motifs[0].offset == 1  # reversed REB1 has one more column in front
    reb1 = yeast_motifs_named(["REB1"])[0].reverse_complement
    np.testing.assert_array_equal(motifs[0].known.counts, reb1.counts)


def test_without_confirmed_motifs_those_of_the_paper_are_used(tmp_path, caplog):
    with caplog.at_level(logging.INFO, "crmnet"):
        assert [s.name for s in top_motifs(discovered(tmp_path, ()))] == list(FACTORS)
    assert "is confirmed and known" in caplog.text
    assert [s.name for s in top_motifs()] == list(FACTORS)


def test_of_any_other_file_the_first_five_are_used(tmp_path):
    motifs = yeast_motifs_named(["RAP1", "REB1", "ABF1", "AZF1", "CBF1", "GAL4"])
    (tmp_path / "mine.meme").write_text(as_meme(motifs))
    figure_motifs = top_motifs(tmp_path / "mine.meme")
    assert [m.title for m in figure_motifs][:2] == ["RAP1 (MA0359.3)", "REB1 (MA0363.3)"]
    assert len(figure_motifs) == 5


@pytest.mark.parametrize(("strand", "left"), [("+", (20, 19)), ("-", (20, 20))])
def test_aligned_columns_are_drawn_at_the_same_positions(strand, left):
    known = Motif("K", "MA1", np.array([[9.0, 1, 9, 1], [1, 9, 1, 9], [1] * 4, [1] * 4]))
    figure_motif = FigureMotif(Motif("M", "D1", known.counts[:, 1:]), known, 1)
    _, axes = plt.subplots(3)
    values = np.zeros((1, 4, 80), dtype=np.float32)
    rows = Rows(["361"], values, np.array([80]), np.array([1]))
    _example(axes, "A", figure_motif, hits([0], [20], [23], [strand]), rows)
    title = axes[0].get_title(loc="left") or axes[0].get_title()
    assert title.endswith(f", {'plus' if strand == '+' else 'minus'} strand of promoter 361")
    titles = [text for text in (axes[0].title, axes[0]._left_title) if text.get_text()]
    assert not titles[0].get_parse_math()  # a $ in an id is shown as it is
    assert [t.get_text() for t in axes[0].get_xticklabels()][:3] == ["1", "10", "20"]
    # The motif covers bases 20 to 22. The known motif has a further column, in front of it or,
    # if reversed, behind it.
    for ax, start in zip(axes[1:], left, strict=True):
        corners = [p.get_extents().x0 for c in ax.collections for p in c.get_paths()]
        assert min(corners) == pytest.approx(start + 0.04)
    plt.close("all")


class Letters(nn.Module):
    """Counts G in the insert."""

    def forward(self, x_BCL):
        return x_BCL[:, 2, 17:97].sum(dim=1, keepdim=True)


def promoters(expression=None):
    inserts = ["A" * 30 + "TTACCCGG" + "A" * 42, "AT" * 40]
    return Promoters(["with", "without"], prepare(*encode(inserts), "add")[0], expression)


def test_predicted_expression_is_labelled_and_motifs_without_site_are_left_out(tmp_path, caplog):
    predictor = Predictor(Letters(), ["complex"], torch.device("cpu"))
    with caplog.at_level(logging.INFO, "crmnet"):
        found = figure5(predictor, promoters(), tmp_path, picture="svg")
    assert [(row.name, row.promoters) for row in found] == [("all", 2), ("REB1", 1)]
    assert "no site of NHP10, ABF1, AZF1, RAP1" in caplog.text
    table = rows(tmp_path / "figure5.tsv")
    assert [float(row["expression"]) for row in table] == [1, 2]
    assert {row["expression_is"] for row in table} == {"predicted"}
    assert table[1]["expression_low"] == "" and table[0]["saliency_anywhere"] == ""
    assert (tmp_path / "figure5.svg").read_text().startswith("<?xml")
    found = figure5(predictor, promoters(np.array([3.0, 7.0])), tmp_path)
    assert [row.expression[0] for row in found] == [5, 3]
    assert rows(tmp_path / "figure5.tsv")[0]["expression_is"] == "measured"


def test_no_site_at_all_is_an_error(tmp_path):
    predictor = Predictor(Letters(), ["complex"], torch.device("cpu"))
    few = promoters()
    with pytest.raises(ValueError, match="none of the motifs has a site"):
        figure5(predictor, Promoters(few.ids[1:], few.tokens[1:], None), tmp_path)


def test_figure5_without_a_site_is_refused_before_other_files_are_written(
    crmnet, small_run, tmp_path
):
    (tmp_path / "s.fa").write_text(f">a\n{'AG' * 40}\n")
    status, _, err = crmnet("explain", small_run, tmp_path / "s.fa", "--medium", "complex",
                            "--figure5", "-o", tmp_path / "out")  # fmt: skip
    assert status == 2 and "leave out --figure5" in err
    assert not (tmp_path / "out").exists()


def test_a_discovered_tract_has_the_name_that_discover_gave_it():
    tract = Motif("AAAAAAT", "D1", np.eye(4)[encode(["AAAAAAT"])[0][0]].T * 50)
    named = FigureMotif(tract, yeast_motifs_named(["REB1"])[0], 0, 1e-5)
    assert named.name == "D1 poly-A/T"
    assert named.title == "D1 poly-A/T, like REB1 (match p 1e-05)"


def test_the_command_draws_it(crmnet, small_run, assay, tmp_path):
    out = tmp_path / "out"
    status, said, err = crmnet("explain", small_run, assay.path / "assay.tsv", "--figure5",
                               "--medium", "complex", "--first", 2, "--method", "gradient",
                               "-o", out)  # fmt: skip
    assert status == 0, err
    assert "figure5.png" in said and (out / "figure5.png").stat().st_size > 20_000
    assert f"the first 2 of {len(assay)} promoters" in err
    table = rows(out / "figure5.tsv")
    assert table[0]["motif"] == "all" and table[0]["promoters"] == str(len(assay))
    for row in table:
        if int(row["promoters"]) >= 5:
            assert float(row["expression_low"]) <= float(row["expression"])


def test_a_site_that_reaches_into_an_adapter_counts_with_its_bases_on_the_insert():
    saliency = np.array([[1.0, 3, 5, 0], [2, 0, 0, 0], [0, 0, 4, 0]])
    # Bases -1 to 1 of the first promoter, 1 to 2 of the second, whose insert has 2 bases, and 1 to
    # 3 of the third, the only one completely on its insert.
    found = hits([0, 1, 2], [-1, 0, 1], [2, 3, 4], ["+", "+", "-"])
    _, motif = site_statistics(saliency, np.array([3.0, 6, 12]), [("M", found)], 0, [4, 2, 4])
    assert (motif.promoters, motif.into_adapter) == (3, 2)
    assert motif.saliency[0] == pytest.approx((1 + 3 + 2 + 0 + 0 + 4 + 0) / (2 + 2 + 3))
    assert motif.expression[0] == pytest.approx(7)
    # Windows of three: means 3 and 8/3; the insert of two bases, 1; 4/3 and 4/3.
    assert motif.random_saliency == pytest.approx((2 * 17 / 6 + 2 * 1 + 3 * 4 / 3) / 7)


def test_sites_with_their_middle_on_the_insert_are_counted(tmp_path, caplog):
    """Adapters end in ATC and begin with GGTT: of the site's twelve bases 3, 4 or 9 are theirs."""
    site = "ATCCGGAAGGTT"
    motif = Motif("M", "M1", (np.arange(4)[:, None] == encode([site])[0]) * 20.0 + 0.1)
    filling = "CTCT" * 20
    inserts = [
        filling[:30] + site + filling[:38],  # completely on the insert
        "CGGAAGGTT" + filling[:71],  # 3 bases on the 5' adapter
        filling[:72] + "ATCCGGAA",  # 4 bases on the 3' adapter
        filling[:52] + "ATCCGGAA",  # the same in an insert of 60 bases
        filling,
    ]
    tokens = prepare(*encode(inserts), "add")[0]
    predictor = Predictor(Letters(), ["complex"], torch.device("cpu"))
    found = figure5(predictor, Promoters(list("abcde"), tokens, None), tmp_path,
                    motifs=[FigureMotif(motif)], picture="svg")  # fmt: skip
    assert [(row.promoters, row.into_adapter) for row in found] == [(5, 0), (4, 3)]
    # The prediction counts G, so saliency is 1 at each G: 4, 4, 2 and 2 of 12, 9, 8 and 8 bases.
    # The mask keeps all of them.
    assert found[1].saliency[0] == pytest.approx((4 + 4 + 2 + 2) / (12 + 9 + 8 + 8))
    table = rows(tmp_path / "figure5.tsv")
    assert [row["into_adapter"] for row in table] == ["0", "3"]


def test_a_site_in_the_adapter_does_not_count(tmp_path):
    motif = Motif("M", "M1", (np.arange(4)[:, None] == encode(["TTCACATCCTCT"])[0]) * 20.0 + 0.1)
    tokens = prepare(*encode(["CTCT" * 20]), "add")[0]
    predictor = Predictor(Letters(), ["complex"], torch.device("cpu"))
    with pytest.raises(ValueError, match="none of the motifs has a site"):
        figure5(predictor, Promoters(["a"], tokens, None), tmp_path, motifs=[FigureMotif(motif)])


def test_the_example_marks_a_site_that_reaches_into_the_adapter():
    figure_motif = FigureMotif(Motif("M", "D1", np.eye(4) * 9 + 1))
    _, axes = plt.subplots(2)
    values = np.zeros((1, 4, 80), dtype=np.float32)
    rows = Rows(["361"], values, np.array([80]), np.array([1]))
    _example(axes, "A", figure_motif, hits([0], [-1], [3], ["+"]), rows)
    title = axes[0].get_title(loc="left") or axes[0].get_title()
    assert title.endswith("promoter 361 († reaches into the adapter)")
    (span,) = [p for p in axes[0].patches if p.get_width() > 1]
    assert (span.get_x(), span.get_width()) == (0, 3)
    plt.close("all")
