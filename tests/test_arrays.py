"""Arrays may be lists, or columns of pandas and polars, read by position and not by index."""

import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch
from matplotlib.figure import Figure

from crmnet.data.packed import PackedTokens, as_rows, pack
from crmnet.data.splits import families_of
from crmnet.data.subset import copy_rows
from crmnet.evaluation.compare import difference
from crmnet.figures.panels import density_scatter
from crmnet.interpretation.attribute import paper_mask, without_composition
from crmnet.motifs.contrast import exact_p, extremes
from crmnet.motifs.pwm import Motif
from crmnet.motifs.scan import find_sites
from crmnet.perturb import cross, plant_site, substitute
from crmnet.statistics.metrics import Scored, bootstrap, estimate, score, within_pearson
from crmnet.statistics.uncertainty import conformal_quantile, fit_expected_error


def backwards(values):
    """A column whose index, looked up in place of the position, gives other values."""
    return pd.Series(values, index=range(len(values))[::-1])


COLUMNS = {
    "list": list,
    "tuple": tuple,
    "numpy": np.array,
    "pandas": pd.Series,
    "pandas index": backwards,
    "polars": pl.Series,
    "torch": lambda values: torch.from_numpy(np.array(values)),
}
MEASURED, PREDICTED = [1.0, 2.0, 4.0, 8.0, 9.0, 3.0], [2.0, 2.0, 3.0, 9.0, 7.0, 1.0]
FAMILY = [0, 0, 1, 1, 2, 2]


@pytest.fixture(params=COLUMNS)
def column(request):
    return COLUMNS[request.param]


@pytest.fixture
def tokens():
    return np.random.default_rng(0).integers(0, 4, (6, 112), dtype=np.uint8)


@pytest.fixture(params=["lists", "int64", "torch", "pandas", "pandas index"])
def table(request, tokens):
    return {
        "lists": tokens.tolist(),
        "int64": tokens.astype(np.int64),
        "torch": torch.from_numpy(tokens),
        "pandas": pd.DataFrame(tokens),
        "pandas index": pd.DataFrame(tokens, index=range(6)[::-1]),
    }[request.param]


def test_metrics(column):
    measured, predicted, family = column(MEASURED), column(PREDICTED), column(FAMILY)
    values = score(measured, predicted)
    # Differences of -1, 0, 1, -1, 2, 2.
    assert values["mse"] == pytest.approx(11 / 6) and values["mae"] == pytest.approx(7 / 6)
    # Deviations within families: -1/2 1/2, -2 2, 3 -3 and 0 0, -3 3, 3 -3.
    assert within_pearson(measured, predicted, family) == pytest.approx(
        (2 * 6 + 2 * 9) / np.sqrt((0.5 + 8 + 18) * (18 + 18))
    )
    scored = Scored("a", measured, predicted, family)
    expected = Scored("a", np.array(MEASURED), np.array(PREDICTED), np.array(FAMILY))
    assert bootstrap(scored, resamples=20) == bootstrap(expected, resamples=20)
    assert scored.take(column([3, 0, 1])).measured.tolist() == [8, 1, 2]


def test_sets_whose_columns_differ_in_length_are_refused():
    with pytest.raises(ValueError, match="must have the same length; got 6, 5 and 6"):
        Scored("a", MEASURED, PREDICTED[:5], FAMILY)


def test_statistics(column):
    assert estimate(5.0, column(MEASURED)) == estimate(5.0, np.array(MEASURED))
    assert difference(1.0, column(MEASURED)) == difference(1.0, np.array(MEASURED))
    # Six rows of three families at one half: two of the four that count must lie below.
    assert conformal_quantile(column(MEASURED), column(FAMILY), 0.5) == 4
    # The base is at its least, 5 % of the mean error of 27 / 6; the sum of squares is 175.
    base, slope, _ = fit_expected_error(column(MEASURED), column(MEASURED))
    assert base == pytest.approx(1e-6 + 0.05 * 27 / 6)
    assert slope == pytest.approx(1 - base * 27 / 175)


def test_contrasts(column):
    hits, top = column([True, True, False, True, False, False]), column([True] * 3 + [False] * 3)
    one = column([0] * 6)
    # Two or three of the three hits among the upper three of six: (9 + 1) / 20.
    assert exact_p(hits, top, one) == pytest.approx(10 / 20)
    high, low = extremes(column(MEASURED), column([0, 1, 2, 3, 4, 5]), 2)
    assert (high.tolist(), low.tolist()) == ([4, 3], [0, 1])


def test_tokens(table, tokens):
    np.testing.assert_array_equal(families_of(table, "sequence"), families_of(tokens, "sequence"))
    edited = plant_site(table, [3, 3], 5)
    assert (edited[:, 5:7] == 3).all()
    np.testing.assert_array_equal(edited[:, 7:], tokens[:, 7:])
    cut = backwards([0, 1, 2, 3, 4, 5])
    np.testing.assert_array_equal(
        cross(table, 0 * tokens, cut), np.where(np.arange(112) < np.arange(6)[:, None], tokens, 0)
    )
    rate = backwards([1.0, 0, 0, 0, 0, 0])
    changed = substitute(table, rate, np.random.default_rng(0)) != tokens
    assert changed[0].all() and not changed[1:].any()
    motif = Motif("m", "m", np.eye(4) * 20)
    for found, expected in zip(
        find_sites(table, [motif]), find_sites(tokens, [motif]), strict=True
    ):
        np.testing.assert_array_equal(found, expected)
    values = np.random.default_rng(1).normal(size=(6, 4, 112))
    for function in (without_composition, paper_mask):
        np.testing.assert_array_equal(function(values.tolist(), table), function(values, tokens))


def test_packed_tokens_stay_packed(tokens):
    packed = PackedTokens(*pack(tokens.tolist()))
    assert as_rows(packed) is packed
    np.testing.assert_array_equal(families_of(packed, "sequence"), families_of(tokens, "sequence"))


def test_a_motif_may_be_a_table():
    counts = [[1, 2], [3, 4], [5, 6], [8, 7]]
    for form in (counts, pd.DataFrame(counts, index=list("TGCA"))):
        assert Motif("m", "m", form).consensus == "TT"


def test_rows_of_a_data_set(column, assay, tmp_path):
    copied = copy_rows(assay, column([5, 0, 3]), tmp_path / "some")
    np.testing.assert_array_equal(copied.labels, assay.labels[[5, 0, 3]])
    np.testing.assert_array_equal(
        assay.singleton(column([5, 0])), assay.singleton(np.array([5, 0]))
    )


def test_axes(column):
    ax = Figure().add_subplot()
    density_scatter(ax, column(MEASURED), column(PREDICTED))
    points = sorted(map(tuple, ax.collections[0].get_offsets().tolist()))
    assert points == sorted(zip(MEASURED, PREDICTED, strict=True))
