"""Explanations as files: logos, tables, and the commands around them."""

import csv
import os

import matplotlib.pyplot as plt
import numpy as np
import pytest

from crmnet.data.sequences import Promoters, read_promoters
from crmnet.figures.logo import Site, draw_sites, logo
from crmnet.interpretation.explain import _titles, distinct_ids, track_names
from crmnet.interpretation.marginalise import site_effects
from crmnet.motifs.seqlets import (
    WIDTH,
    attributed_motifs,
    extract_seqlets,
    seqlets_and_background,
)
from crmnet.prediction.predictor import Predictor
from crmnet.sequence import ADAPTER_3, ADAPTER_5, decode, encode, prepare
from support import assert_rounded

pytestmark = pytest.mark.slow


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
    draw_sites(ax, [Site("REB1", 0, 8, "+"), Site("ABF1", 4, 16, "-"), Site("RAP1", 40, 50, "+")])
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
        np.testing.assert_array_equal(arrays["inserts"], [[17, 97]] * 3)
        np.testing.assert_array_equal(arrays["origin"], [17] * 3)
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
    assert [int(r["position"]) for r in table[:80]] == list(range(1, 81))
    assert "positions count from 1" in err
    places = {name: row for row, name in enumerate(["p0", "p1", "p2"])}
    for site in rows(out / "sites.tsv"):
        bases = slice(16 + int(site["start"]), 17 + int(site["end"]))
        drawn = values[places[site["id"]], :, bases].sum()
        assert float(site["contribution"]) == pytest.approx(drawn, abs=6e-4)
        assert 1 <= int(site["start"]) <= int(site["end"]) <= 80
        assert 0 <= float(site["beyond"]) <= 1 and -1 <= float(site["agreement"]) <= 1
    assert (out / "logos-1.png").stat().st_size > 10_000
    # Three promoters are explained, two are drawn, on one page each.
    status, printed, err = crmnet("explain", small_run, source, "--medium", "complex", "-o", out,
                               "--method", "gradient", "--page", 1, "--draw", 2,
                               "--format", "svg", "--overwrite")  # fmt: skip
    assert status == 0 and "logos-1.svg …" in printed, err
    assert sorted(path.name for path in out.glob("*.svg")) == ["logos-1.svg", "logos-2.svg"]
    assert len(rows(out / "attributions.tsv")) == 3 * 80


def test_tables_of_explain_are_rounded_for_reading_and_attributions_never(
    crmnet, small_run, assay, tmp_path
):
    words = ["explain", small_run, assay.path / "assay.tsv", "--medium", "complex", "--first", 2,
             "--draw", 0, "--method", "gradient", "--figure5", "--plant", "REB1",
             "--plant", "TATAAA"]  # fmt: skip
    rounded, full = tmp_path / "rounded", tmp_path / "full"
    assert crmnet(*words, "-o", rounded)[0] == 0
    assert crmnet(*words, "-o", full, "--digits", "full")[0] == 0
    effects = ("effect", "low", "high")
    saliency = ("saliency", "saliency_low", "saliency_high", "saliency_anywhere")
    bars = (*saliency, "expression", "expression_low", "expression_high")
    for name, decimals, significant in (
        ("sites.tsv", ("score", "contribution", "effect", "agreement"), ("p", "q", "beyond")),
        ("planted.tsv", effects, ()),
        ("pairs.tsv", effects, ()),
        ("figure5.tsv", bars, ()),
    ):
        exact = rows(full / name)
        assert_rounded(rows(rounded / name), exact, decimals, significant)
        column = [row[decimals[-1]] for row in exact if row[decimals[-1]]]
        assert max(len(text.partition(".")[2]) for text in column) > 5, name
    for name in ("attributions.tsv", "attributions.bedgraph"):
        assert (rounded / name).read_bytes() == (full / name).read_bytes()
    values = [row["value"] for row in rows(rounded / "attributions.tsv")]
    with np.load(rounded / "attributions.npz") as arrays:
        inserts = [v[:, a:b].sum(axis=0) for v, (a, b) in zip(
            arrays["values"], arrays["inserts"], strict=True)]  # fmt: skip
    np.testing.assert_allclose([float(v) for v in values], np.concatenate(inserts), rtol=1e-6)


@pytest.mark.parametrize("tiles", [(), ("--tile", "20")])
def test_some_promoters_of_a_file_can_be_chosen(crmnet, small_run, tmp_path, tiles):
    texts = {name: "ACGTC" * number for name, number in (("a", 14), ("b", 15), ("c", 16))}
    (tmp_path / "s.fa").write_text("".join(f">{name}\n{text}\n" for name, text in texts.items()))
    words = ["explain", small_run, tmp_path / "s.fa", "--medium", "complex", "--draw", 0,
             "--method", "gradient", *tiles]  # fmt: skip
    status, _, err = crmnet(*words, "--id", "c", "--id", "a", "-o", tmp_path / "out")
    assert status == 0, err
    bases = [row["id"] for row in rows(tmp_path / "out" / "attributions.tsv")]
    assert bases == ["a"] * 70 + ["c"] * 80
    status, _, err = crmnet(*words, "--id", "d", "-o", tmp_path / "none")
    assert status == 2 and "s.fa has no sequence with the id 'd'" in err
    assert not (tmp_path / "none").exists()


def test_explain_needs_a_medium_if_there_are_several(crmnet, small_run, tmp_path):
    (tmp_path / "s.txt").write_text("ACGT\n")
    status, _, err = crmnet("explain", small_run, tmp_path / "s.txt", "-o", tmp_path / "out")
    assert status == 2 and "choose one of the model's media with --medium" in err
    assert ": defined or complex" in err
    assert not (tmp_path / "out").exists()


def test_explain_reports_added_adapters_and_refuses_long_sequences(crmnet, small_run, tmp_path):
    words = [
        "explain", small_run, tmp_path / "s.txt", "--medium", "complex", "--draw", 0,
        "--method", "gradient", "-o", tmp_path / "out", "--overwrite",
    ]  # fmt: skip
    (tmp_path / "s.txt").write_text("ACGT" * 20 + "\n")
    status, _, err = crmnet(*words)
    assert status == 0 and "added adapters to 1 of 1" in err
    (tmp_path / "s.txt").write_text("ACGT" * 50 + "\n")
    status, _, err = crmnet(*words)
    assert status == 2 and "200 bases, 230 with its adapters; the network reads 112" in err


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


def test_padding_is_neither_a_seqlet_nor_background():
    """Before, one longer insert made the padding of all others the background."""
    rng = np.random.default_rng(1)
    tokens = np.full((501, 200), 4, dtype=np.uint8)
    tokens[:, :80] = rng.integers(0, 4, (501, 80))
    tokens[500] = rng.integers(0, 4, 200)
    values = np.where(tokens < 4, rng.normal(0, 0.1, tokens.shape), 0)
    tokens[:250, 30:39] = encode(["TTACCCGGT"])[0][0]
    values[:250, 30:39] += 1
    windows = seqlets_and_background(tokens, values, 1, seed=0)
    assert (windows.tokens < 4).all() and windows.response.mean() == 0.5
    found = attributed_motifs(tokens, values)
    assert "ACCCG" in found[0].motif.consensus or "CGGGT" in found[0].motif.consensus


def test_inserts_shorter_than_a_seqlet_have_no_motifs():
    for width, letter in ((WIDTH - 1, 0), (5, 0), (80, 4)):
        tokens = np.full((50, width), letter, dtype=np.uint8)
        assert attributed_motifs(tokens, np.ones((50, width))) == []


def test_attributions_of_one_sign_have_no_motifs_of_the_other():
    rng = np.random.default_rng(2)
    tokens = rng.integers(0, 4, (300, 80), dtype=np.uint8)
    values = rng.random((300, 80))
    tokens[:150, 30:39] = encode(["TTACCCGGT"])[0][0]
    values[:150, 30:39] += 2
    found = attributed_motifs(tokens, values)
    assert found and {f.enriched for f in found} == {"high"}


REBSITE = "CGTCGGAGGTACATGATTGGAAGAAAACCTCCGGGTAACGGCGCCTTTGCACATCTCTTAATCTCAGTCACTTAAAATAG"
"""REB1 on the minus strand at bases 31 to 39."""


@pytest.mark.parametrize(
    ("text", "flanks", "bases", "first", "reb1"),
    [
        (REBSITE, "auto", REBSITE, 1, (31, 39)),
        (REBSITE[:60], "auto", REBSITE[:60], 1, (31, 39)),
        (REBSITE + ADAPTER_3, "auto", REBSITE, 1, (31, 39)),
        (REBSITE, "none", REBSITE, 1, (31, 39)),
        (REBSITE + "ACGTA" * 3, "none", REBSITE + "ACGTA" * 3, 1, (31, 39)),
        (ADAPTER_5 + REBSITE + ADAPTER_3, "auto", REBSITE, 18, (48, 56)),
        ("NNN" + ADAPTER_5 + REBSITE + ADAPTER_3 + "NN", "auto", REBSITE, 21, (51, 59)),
    ],
    ids=["insert", "60 bases", "3' adapter", "no adapters", "95 bases", "construct", "padding"],
)
def test_every_base_of_the_insert_has_its_position_on_the_given_sequence(
    crmnet, small_run, tmp_path, text, flanks, bases, first, reb1
):
    (tmp_path / "s.fa").write_text(f">one\n{text}\n")
    status, _, err = crmnet(
        "explain", small_run, tmp_path / "s.fa", "--medium", "complex", "--method", "gradient",
        "--draw", 0, "--flanks", flanks, "-o", tmp_path / "out",
    )  # fmt: skip
    assert status == 0, err
    table = rows(tmp_path / "out" / "attributions.tsv")
    assert "".join(row["base"] for row in table) == bases
    assert [int(row["position"]) for row in table] == list(range(first, first + len(bases)))
    assert all(float(row["value"]) for row in table)
    track = [line.split("\t") for line in
             (tmp_path / "out" / "attributions.bedgraph").read_text().splitlines()[1:]]  # fmt: skip
    assert [(int(a), int(b)) for _, a, b, _ in track] == [
        (number - 1, number) for number in range(first, first + len(bases))
    ]
    sites = rows(tmp_path / "out" / "sites.tsv")
    found = [(int(s["start"]), int(s["end"])) for s in sites if s["motif"].startswith("MA0363")]
    assert found == [reb1]
    start, end = reb1
    assert text[start - 1 : end] == REBSITE[30:39]


README = "TTACCCGGGTCAAGTACGTGGCGCCATAGCTTGACGTACCCGGGATTAAGCTTGCATGCCTGCAGGTCGACTCTAGAGGA"


def test_a_site_that_reaches_into_the_adapter_names_the_tallest_letters(crmnet, tmp_path):
    (tmp_path / "s.fa").write_text(f">$a_{{$\n{README}\n")
    status, _, err = crmnet("explain", "yeast-fast", tmp_path / "s.fa", "--medium", "complex",
                            "--format", "svg", "-o", tmp_path / "out")  # fmt: skip
    assert status == 0, err
    sites = {row["name"]: row for row in rows(tmp_path / "out" / "sites.tsv")}
    assert "REB1" in sites and "BAS1?" in sites and "BAS1" not in sites
    assert (sites["REB1"]["start"], sites["REB1"]["end"]) == ("1", "8")
    assert sites["REB1"]["reaches_adapter"] == "5'" and sites["BAS1?"]["reaches_adapter"] == ""
    assert 0 < float(sites["REB1"]["effect"]) < 17
    picture = (tmp_path / "out" / "logos-1.svg").read_text()
    assert "REB1†" in picture and "BAS1" not in picture
    assert (sites["REB1"]["drawn"], sites["BAS1?"]["drawn"]) == ("1", "0")
    assert "$a_{$    predicted expression" in picture
    assert "bins (90 % interval" in picture


def test_the_effect_of_a_site_is_that_of_replacing_all_its_bases_by_hand(small_run, tmp_path):
    predictor = Predictor.load(small_run, device="cpu")
    (tmp_path / "s.fa").write_text(f">one\n{REBSITE}\n")
    tokens = read_promoters(tmp_path / "s.fa").tokens
    # One base: the mean over the three others, which is in-silico mutagenesis.
    mutants = [REBSITE[:40] + base + REBSITE[41:] for base in "ACGT" if base != REBSITE[40]]
    predicted = predictor.predict([REBSITE, *mutants])[:, 0].astype(float)
    by_hand = predicted[0] - predicted[1:].mean()
    single, site, again = site_effects(
        predictor, tokens, [(0, 57, 58), (0, 47, 56), (0, 57, 58)], [1, 0]
    )
    assert single == again == pytest.approx(by_hand, abs=1e-5)
    # Nine bases: close to the mean over many random replacements of all of them.
    rng = np.random.default_rng(0)
    others = np.repeat(tokens, 500, axis=0)
    others[:, 47:56] = (others[:, 47:56] + rng.integers(1, 4, (500, 9))) % 4
    all_predicted = predictor.predict_tokens(np.concatenate([tokens, others]))[:, 0].astype(float)
    spread = all_predicted[1:].std() / np.sqrt(24)
    assert site == pytest.approx(all_predicted[0] - all_predicted[1:].mean(), abs=4 * spread)


def test_repeated_ids_are_told_apart_and_tracks_have_names_without_blanks(
    crmnet, small_run, tmp_path
):
    assert distinct_ids(["a", "b", "a", "a_2", "a"]) == ["a", "b", "a_3", "a_2", "a_4"]
    assert track_names(["p 1\t(wt)", "p_1_(wt)", "#x", "track", " "]) == [
        "p_1_(wt)", "p_1_(wt)_2", "_#x", "_track", "_",
    ]  # fmt: skip
    lines = ["id,sequence", f"p 1 (wt),{REBSITE}", f"p 1 (wt),{REBSITE[::-1]}"]
    (tmp_path / "s.csv").write_text("\n".join(lines) + "\n")
    status, _, err = crmnet("explain", small_run, tmp_path / "s.csv", "--medium", "complex",
                            "--method", "gradient", "--draw", 0,
                            "-o", tmp_path / "out")  # fmt: skip
    assert status == 0 and "1 of 2 ids repeat an earlier one" in err
    lines = (tmp_path / "out" / "attributions.bedgraph").read_text().splitlines()[1:]
    assert all(len(line.split()) == 4 for line in lines)
    assert list(dict.fromkeys(line.split()[0] for line in lines)) == ["p_1_(wt)", "p_1_(wt)_2"]
    table = rows(tmp_path / "out" / "attributions.tsv")
    assert list(dict.fromkeys(row["id"] for row in table)) == ["p 1 (wt)", "p 1 (wt)_2"]


def test_sequences_come_from_stdin(crmnet, small_run, tmp_path):
    (tmp_path / "s.fa").write_text(f">one\n{REBSITE}\n")
    own = os.dup(0)
    with open(tmp_path / "s.fa") as file:
        os.dup2(file.fileno(), 0)
    try:
        status, _, err = crmnet("explain", small_run, "-", "--medium", "complex", "--draw", 0,
                                "--method", "gradient", "-o", tmp_path / "out")  # fmt: skip
    finally:
        os.dup2(own, 0)
        os.close(own)
    assert status == 0, err
    assert len(rows(tmp_path / "out" / "attributions.tsv")) == 80


def test_titles_speak_of_a_difference_and_of_flags():
    """A difference was called expression, and a flagged promoter had no reason."""
    predictor = Predictor.load("yeast-fast", device="cpu")
    tokens = prepare(*encode([REBSITE, "GGCC" * 20]), "add")[0]
    both = Promoters(["a", "gc"], tokens, None)
    for title in _titles(predictor, both, ("defined", "complex")):
        assert "predicted difference" in title and title.endswith(" bins, defined minus complex")
    _, flagged = _titles(predictor, both, ("complex", None))
    assert "predicted expression" in flagged
    assert "(90 % interval " in flagged and "unlike training: composition" in flagged
