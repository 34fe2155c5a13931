"""Explanations as files: logos, tables, and the commands around them."""

import csv

import matplotlib.pyplot as plt
import numpy as np
import pytest

from crmnet.figures.logo import Site, logo, sites_under
from crmnet.motifs.seqlets import WIDTH, attributed_motifs, extract_seqlets
from crmnet.sequence import decode, encode


def rows(path):
    with open(path, newline="") as file:
        return list(csv.DictReader(file, delimiter="\t"))


def test_the_axis_of_a_logo_covers_the_sums_of_its_letters():
    heights = np.zeros((4, 3))
    heights[0, 0], heights[1, 0], heights[2, 1] = 1.0, 2.0, -1.0
    _, ax = plt.subplots()
    logo(ax, heights, start=10)
    assert ax.get_xlim() == (10, 13)
    assert ax.get_ylim() == pytest.approx((-1.2, 3.2))
    drawn = [path.get_extents() for c in ax.collections for path in c.get_paths()]
    # A starts at zero, C is on A, G is below zero: each has its full height and its own column.
    for low, high, left in ((0, 1, 10), (1, 3, 10), (-1, 0, 11)):
        assert any(np.allclose((b.y0, b.y1), (low, high)) and left <= b.x0 < b.x1 <= left + 1
                   for b in drawn)  # fmt: skip
    plt.close("all")


def test_overlapping_sites_are_drawn_in_separate_rows():
    _, ax = plt.subplots()
    sites_under(ax, [Site("REB1", 0, 8, "+"), Site("ABF1", 4, 16, "-"), Site("RAP1", 40, 50, "+")])
    assert [t.get_text() for t in ax.texts] == ["REB1", "ABF1", "RAP1"]
    arrows = [patch.get_xy() for patch in ax.patches]
    # Flat edges end one base before the tip: at the end of a + site, at the start of a - site.
    flat = [a[(a[:, 1] != 0) & (a[:, 1] != -1)] for a in arrows]
    assert [(f[:, 0].min(), f[:, 0].max()) for f in flat] == [(0, 7), (5, 16), (40, 49)]
    assert [(a[:, 0].min(), a[:, 0].max()) for a in arrows] == [(0, 8), (4, 16), (40, 50)]
    assert [round(f[:, 1].mean()) for f in flat] == [0, -1, 0]
    plt.close("all")


def test_explain_writes_the_promised_files(crmnet, small_run, assay, tmp_path):
    out = tmp_path / "out"
    source = tmp_path / "some.tsv"
    text = (assay.path / "truth" / "assay.tsv", assay.path / "assay.tsv")
    lines = next(p for p in text if p.is_file()).read_text().splitlines()
    source.write_text("\n".join(lines[:4]) + "\n")
    status, printed, err = crmnet("explain", small_run, source, "--medium", "complex", "-o", out,
                               "--method", "integrated", "--shuffles", 2)  # fmt: skip
    assert status == 0, err
    assert "completeness" in err and "logos-1.png" in printed
    with np.load(out / "attributions.npz") as arrays:
        values, tokens = arrays["values"], arrays["tokens"]
        assert values.shape == (3, 4, 112) and arrays["ids"].tolist() == ["p0", "p1", "p2"]
        assert arrays["delta"].shape == (3,)
    table = rows(out / "attributions.tsv")
    assert len(table) == 3 * 80
    inserts = [line.split("\t")[1] for line in lines[1:4]]
    assert "".join(r["base"] for r in table[:80]) == inserts[0]
    np.testing.assert_allclose(
        [float(r["value"]) for r in table[:80]], values[0].sum(axis=0)[17:97], rtol=1e-6
    )
    bed = (out / "attributions.bedgraph").read_text().splitlines()
    assert bed[0].startswith("track") and bed[1].split("\t")[:3] == ["p0", "0", "1"]
    assert decode(tokens[:1])[0][17:97] == inserts[0]
    for site in rows(out / "sites.tsv"):
        start, end = int(site["start"]), int(site["end"])
        here = values[int(site["id"][1:])].sum(axis=0)[17:97][start:end].sum()
        assert float(site["attribution"]) == pytest.approx(here, abs=1e-4)
        assert 0 <= float(site["beyond"]) <= 1
    assert (out / "logos-1.png").stat().st_size > 10_000
    # Three promoters are explained, two are drawn, on one page each.
    status, printed, err = crmnet("explain", small_run, source, "--medium", "complex", "-o", out,
                               "--method", "gradient", "--page", 1, "--draw", 2,
                               "--format", "svg", "--overwrite")  # fmt: skip
    assert status == 0 and "logos-1.svg …" in printed, err
    assert sorted(path.name for path in out.glob("*.svg")) == ["logos-1.svg", "logos-2.svg"]
    assert len(rows(out / "attributions.tsv")) == 3 * 80


def test_explain_needs_a_medium_if_there_are_several(crmnet, small_run, tmp_path):
    (tmp_path / "s.txt").write_text("ACGT\n")
    status, _, err = crmnet("explain", small_run, tmp_path / "s.txt", "-o", tmp_path / "out")
    assert status == 2 and "choose one of the model's media" in err
    assert not (tmp_path / "out").exists()


def test_explain_reports_added_adapters_and_cut_sequences(crmnet, small_run, tmp_path):
    (tmp_path / "s.txt").write_text("ACGT" * 50 + "\n")
    status, _, err = crmnet(
        "explain", small_run, tmp_path / "s.txt", "--medium", "complex", "--draw", 0,
        "--method", "gradient", "-o", tmp_path / "out",
    )  # fmt: skip
    assert status == 0 and "added adapters to 1 of 1" in err and "cut at the end" in err


def test_seqlets_are_located_at_large_attributions():
    values = np.zeros((2, 80))
    values[0, 40:48], values[1, 20:28] = 1.0, -1.0
    up, down = extract_seqlets(values, 1), extract_seqlets(values, -1)
    assert (up.row.tolist(), up.start.tolist(), up.total.tolist()) == ([0], [35], [8.0])
    assert (down.row.tolist(), down.start.tolist(), down.total.tolist()) == ([1], [15], [-8.0])


def test_motifs_of_attributions_are_those_with_large_attributions():
    rng = np.random.default_rng(1)
    tokens = rng.integers(0, 4, (500, 80), dtype=np.uint8)
    values = rng.normal(0, 0.1, (500, 80))
    tokens[:250, 30:39] = encode(["TTACCCGGT"])[0][0]
    values[:250, 30:39] += 1
    found = attributed_motifs(tokens, values)
    assert found[0].motif.id == "A1" and found[0].enriched == "high"
    assert "ACCCG" in found[0].motif.consensus or "CGGGT" in found[0].motif.consensus
    assert found[0].motif.width <= WIDTH


def test_attributions_of_one_sign_have_no_motifs_of_the_other():
    rng = np.random.default_rng(2)
    tokens = rng.integers(0, 4, (300, 80), dtype=np.uint8)
    values = rng.random((300, 80))
    tokens[:150, 30:39] = encode(["TTACCCGGT"])[0][0]
    values[:150, 30:39] += 2
    found = attributed_motifs(tokens, values)
    assert found and {f.enriched for f in found} == {"high"}
