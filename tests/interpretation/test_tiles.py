"""explain of sequences that are longer than the network: one window, or the mean over windows."""

import csv

import numpy as np
import pytest

from crmnet.interpretation.attribute import AttributeOptions, attribute, output_weights
from crmnet.interpretation.explain import explain
from crmnet.interpretation.logos import LogoOptions
from crmnet.interpretation.marginalise import site_effects
from crmnet.interpretation.tiles import read_tiles
from crmnet.motifs.pwm import Motif
from crmnet.prediction.predictor import Predictor
from crmnet.sequence import ADAPTER_3, ADAPTER_5, encode

pytestmark = pytest.mark.slow

SITE = "GTTACCCGGAAC"
LONG = "".join(np.random.default_rng(8).choice(list("ACGT"), 130)) + SITE + "TA" * 29
"""200 bases, with a site at 131 to 142."""
GRADIENT = AttributeOptions("gradient", beyond_composition=False)


def rows(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file, delimiter="\t"))


def site_motif():
    return Motif("FACTOR", "M", (np.arange(4)[:, None] == encode([SITE])[0]) * 20.0 + 0.1)


@pytest.fixture
def predictor(small_run):
    return Predictor.load(small_run, device="cpu")


@pytest.fixture
def run_explain(crmnet, small_run, tmp_path):
    def run(text, *words):
        (tmp_path / "s.fa").write_text(text)
        return crmnet(
            "explain", small_run, tmp_path / "s.fa", "--medium", "complex", "-o", tmp_path / "out",
            "--method", "gradient", "--keep-composition", "--overwrite", *words,
        )  # fmt: skip

    return run


def values_of(predictor, text):
    """Attributions of a window by hand: one for each of its bases."""
    found = attribute(predictor, [ADAPTER_5 + text + ADAPTER_3], medium="complex", options=GRADIENT)
    return found.values[0].sum(axis=0)[17 : 17 + len(text)]


@pytest.mark.parametrize(
    ("text", "window", "first"),
    [
        (LONG, "last", 121),
        (LONG, "first", 1),
        (ADAPTER_5 + LONG + ADAPTER_3, "last", 138),
        ("NN" + ADAPTER_5 + LONG + ADAPTER_3 + "N", "first", 20),
    ],
)
def test_a_window_is_explained_at_its_place(
    run_explain, predictor, tmp_path, text, window, first, caplog
):
    status, _, err = run_explain(f">a\n{text}\n>b\n{LONG[:80]}\n", "--window", window, "--draw", 2)
    assert status == 0, err
    assert (
        f"1 of 2 sequences are too long for the network; of these the {window} 80 bases"
        in caplog.text
    )
    table = [row for row in rows(tmp_path / "out" / "attributions.tsv") if row["id"] == "a"]
    assert [int(row["position"]) for row in table] == list(range(first, first + 80))
    here = text[first - 1 : first + 79]
    assert "".join(row["base"] for row in table) == here
    np.testing.assert_allclose(
        [float(row["value"]) for row in table], values_of(predictor, here), atol=1e-5
    )
    short = [row for row in rows(tmp_path / "out" / "attributions.tsv") if row["id"] == "b"]
    assert [int(row["position"]) for row in short] == list(range(1, 81))
    assert (tmp_path / "out" / "logos-1.png").exists()


def test_without_an_adapter_the_window_fills_the_network(run_explain, tmp_path):
    status, _, err = run_explain(f">a\n{LONG}\n", "--window", "last", "--flanks", "none")
    assert status == 0, err
    table = rows(tmp_path / "out" / "attributions.tsv")
    assert [int(row["position"]) for row in table] == list(range(89, 201))
    assert "".join(row["base"] for row in table) == LONG[-112:]


def test_a_window_in_python_has_the_positions_of_the_text(predictor):
    found = attribute(predictor, [LONG], medium="complex", options=GRADIENT, window="last")
    assert found.inserts.numbers(0).tolist() == list(range(121, 201))
    with pytest.raises(ValueError, match="window='last'"):
        attribute(predictor, [LONG], medium="complex")


def test_too_long_is_an_error_with_a_remedy_that_works(run_explain):
    status, _, err = run_explain(f">long\n{LONG}\n")
    assert status == 2 and "'long" in err and "200 bases" in err
    assert "--window last" in err and "--tile 20" in err


def test_tiles_are_averaged_over_the_windows_that_contain_the_base(
    run_explain, predictor, tmp_path
):
    status, printed, err = run_explain(f">a\n{LONG}\n>b\n{LONG[:80]}\n", "--tile", 50, "--page", 2)
    assert status == 0, err
    assert "mean over the windows of 80 bases, one every 50" in err and "5 windows" in err
    assert "added adapters to 5 of 5 windows\n" in err
    # Windows begin at 1, 51, 101 and, the last, at 121.
    starts = [0, 50, 100, 120]
    sums, counts = np.zeros(200), np.zeros(200)
    for start in starts:
        sums[start : start + 80] += values_of(predictor, LONG[start : start + 80])
        counts[start : start + 80] += 1
    table = rows(tmp_path / "out" / "attributions.tsv")
    long = [row for row in table if row["id"] == "a"]
    assert "".join(row["base"] for row in long) == LONG
    assert [int(row["position"]) for row in long] == list(range(1, 201))
    np.testing.assert_allclose([float(row["value"]) for row in long], sums / counts, atol=1e-5)
    short = [float(row["value"]) for row in table if row["id"] == "b"]
    np.testing.assert_allclose(short, values_of(predictor, LONG[:80]), atol=1e-5)
    # 200 bases are three logos, 80 are one; two fill a page.
    assert sorted(path.name for path in (tmp_path / "out").glob("logos*")) == [
        "logos-1.png", "logos-2.png"
    ]  # fmt: skip
    assert "logos-1.png …" in printed
    bed = (tmp_path / "out" / "attributions.bedgraph").read_text().splitlines()
    assert bed[200].split("\t")[:3] == ["a", "199", "200"]


def test_a_site_is_found_once_and_its_effect_is_that_in_its_best_window(predictor, tmp_path):
    (tmp_path / "s.fa").write_text(f">a\n{LONG}\n")
    tiles = read_tiles(tmp_path / "s.fa", 25)
    explain(predictor, tiles, tmp_path / "out", media=("complex", None), motifs=[site_motif()],
            options=GRADIENT, drawing=LogoOptions(max_logos=0), digits="full")  # fmt: skip
    (site,) = [s for s in rows(tmp_path / "out" / "sites.tsv") if s["strand"] == "+"]
    assert (site["start"], site["end"], site["reaches_adapter"]) == ("131", "142", "")
    # Of the windows at 76, 101 and 121 the second has the site nearest to its middle.
    window = predictor.prepare([LONG[100:180]])
    expected = site_effects(
        predictor, window, [[0, 17 + 30, 17 + 42]], output_weights(predictor, "complex")
    )
    assert float(site["effect"]) == pytest.approx(float(expected[0]), abs=1e-5)
    with np.load(tmp_path / "out" / "attributions.npz") as arrays:
        assert arrays["values"].shape == (1, 4, 200)
        np.testing.assert_array_equal(arrays["inserts"], [[0, 200]])


def test_sequences_that_fit_are_explained_as_without_tiles(crmnet, small_run, tmp_path):
    text = f">a\n{LONG[:80]}\n>b\n{ADAPTER_5}{LONG[60:135]}{ADAPTER_3}\n>c\nN{LONG[:70]}N\n"
    (tmp_path / "s.fa").write_text(text)
    for name, words in (("plain", []), ("tiled", ["--tile", 10])):
        status, _, err = crmnet(
            "explain", small_run, tmp_path / "s.fa", "--medium", "complex", "-o", tmp_path / name,
            "--method", "integrated", "--shuffles", 2, *words,
        )  # fmt: skip
        assert status == 0 and "completeness" in err, err
    for file in ("attributions.tsv", "attributions.bedgraph", "sites.tsv", "logos-1.png"):
        plain, tiled = ((tmp_path / name / file).read_bytes() for name in ("plain", "tiled"))
        assert plain == tiled, file


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--tile", 81], "from 1 to 80"),
        (["--tile", 10, "--window", "last"], "give one"),
        (["--tile", 10, "--figure5"], "--figure5 needs promoters"),
        (["--tile", 10, "--plant", "RAP1"], "--plant needs promoters"),
    ],
)
def test_tiles_that_would_leave_something_out_are_refused(run_explain, tmp_path, words, message):
    status, _, err = run_explain(f">a\n{LONG}\n", *words)
    assert status == 2 and message in err
    assert not (tmp_path / "out").exists()


def test_a_chromosome_is_refused_by_name(run_explain, monkeypatch):
    monkeypatch.setattr("crmnet.interpretation.tiles.LONGEST", 150)
    status, _, err = run_explain(f">chr\n{LONG}\n", "--tile", 10)
    assert status == 2 and "'chr'" in err and "line 1" in err and "at most 150" in err
