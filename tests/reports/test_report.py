"""Files that people read: exactly the promised ones, with the right content, nothing displayed."""

import csv
import json
from dataclasses import replace

import matplotlib
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib import pyplot as plt
from matplotlib.figure import Figure

from crmnet.data.ingest import ingest
from crmnet.data.leaks import Seen
from crmnet.evaluation.report import (
    leak_lines,
    metric_lines,
    scatter_page,
    unit_warnings,
    write_evaluation,
)
from crmnet.reports.dataset_page import (
    manifest_histograms,
    many_integer_bins,
    write_dataset_picture,
)
from crmnet.reports.figures import save_figure
from crmnet.reports.wording import percent, with_interval
from crmnet.runs.folder import save_record
from crmnet.runs.record import BestEpoch, RunRecord, Scale
from crmnet.runs.settings import resolve
from crmnet.statistics.metrics import ESTIMATES, METRICS, WITHIN, Scored, summarise
from crmnet.training import report
from crmnet.training.report import write_learning_curve

PNG = b"\x89PNG\r\n\x1a\n"


@pytest.fixture(autouse=True)
def nothing_is_shown_or_left_open(monkeypatch):
    def show(*args, **kwargs):
        raise AssertionError("a figure was shown")

    monkeypatch.setattr(plt, "show", show)
    yield
    left = plt.get_fignums()
    plt.close("all")
    assert not left, "figures were left open"


def scored(name, n, seed=0):
    rng = np.random.default_rng(seed)
    measured = rng.normal(8, 3, n)
    return Scored(name, measured, measured + rng.normal(0, 1, n), np.arange(n))


@pytest.fixture(scope="module")
def sets():
    return [scored("first", 40), scored("second", 30, seed=1)]


@pytest.fixture(scope="module")
def summary(sets):
    return summarise(sets, resamples=20)


@pytest.fixture
def evaluation(tmp_path, sets, summary):
    write_evaluation(tmp_path / "new" / "evaluation", sets, summary)
    return tmp_path / "new" / "evaluation"


def rows_of(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file, delimiter="\t"))


# -- evaluation -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("share", "text"),
    [(1, "100 %"), (0.999, "100 %"), (0.0999, "10 %"), (0.0949, "9.5 %"), (0.004213, "0.42 %")],
)
def test_a_share_has_two_digits(share, text):
    assert percent(share) == text


def test_an_evaluation_writes_exactly_the_promised_files(evaluation):
    assert sorted(path.name for path in evaluation.iterdir()) == [
        "metrics.json", "metrics.tsv", "predictions.tsv", "scatter.png",
    ]  # fmt: skip


def test_metrics_json_is_the_summary(evaluation, summary):
    assert json.loads((evaluation / "metrics.json").read_text()) == summary


def test_the_metric_table_has_a_row_for_each_set_and_metric(evaluation, summary):
    rows = rows_of(evaluation / "metrics.tsv")
    wanted = [(name, metric) for name in ("first", "second") for metric in ESTIMATES]
    assert [(row["set"], row["metric"]) for row in rows] == wanted
    for row in rows:
        found = summary["sets"][row["set"]]
        assert (int(row["n"]), int(row["families"])) == (found["n"], found["families"])
        cells = {key: row[key] for key in ("value", "low", "high")}
        assert {k: float(v) if v else None for k, v in cells.items()} == found[row["metric"]]


def test_the_predictions_are_those_that_were_scored(evaluation, sets):
    rows = rows_of(evaluation / "predictions.tsv")
    assert [row["set"] for row in rows] == ["first"] * 40 + ["second"] * 30
    assert [int(row["row"]) for row in rows] == [*range(40), *range(30)]
    assert rows[41]["family"] == "1"
    for column in ("measured", "predicted"):
        wanted = np.concatenate([getattr(one, column) for one in sets]).astype(np.float32)
        np.testing.assert_array_equal([np.float32(row[column]) for row in rows], wanted)


def test_the_scatter_is_a_picture(evaluation):
    assert (evaluation / "scatter.png").read_bytes().startswith(PNG)


def test_an_evaluation_may_be_written_again(tmp_path, sets, summary):
    write_evaluation(tmp_path, sets, summary)
    write_evaluation(tmp_path, sets[:1], {"sets": {"first": summary["sets"]["first"]}})
    assert {row["set"] for row in rows_of(tmp_path / "metrics.tsv")} == {"first"}
    assert len(list(tmp_path.iterdir())) == 4


def test_undefined_values_stay_empty_in_tables_and_figure(tmp_path):
    constant = Scored("flat", np.arange(4.0), np.ones(4), np.arange(4))
    write_evaluation(tmp_path, [constant], summarise([constant], resamples=10))
    rows = {row["metric"]: row for row in rows_of(tmp_path / "metrics.tsv")}
    assert [rows["pearson"][key] for key in ("value", "low", "high")] == ["", "", ""]
    assert float(rows["mse"]["value"]) == pytest.approx((1 + 0 + 1 + 4) / 4)
    assert (tmp_path / "scatter.png").exists()


def test_drawing_does_not_change_the_settings_of_matplotlib(tmp_path, sets, summary):
    before = dict(matplotlib.rcParams)
    write_evaluation(tmp_path, sets, summary)
    assert dict(matplotlib.rcParams) == before


def estimate(value):
    return {"value": value, "low": value - 0.5, "high": value + 0.25}


def test_the_terminal_table_by_hand():
    found = {"n": 12345, **{metric: estimate(1.0) for metric in METRICS}}
    found[WITHIN] = {"value": None, "low": None, "high": None}
    found["pearson"] = {"value": None, "low": None, "high": None}
    head, line = metric_lines({"sets": {"a-long-name": found}})
    assert head.split() == ["set", "n", "Pearson", "r", "Spearman", "ρ", "R²", "MSE", "MAE",
                            "MSE", "fitted"]  # fmt: skip
    assert line.startswith("a-long-name  12,345  not defined")
    assert line.count("1.0000 [0.5000, 1.2500]") == 5
    assert head.index("MSE fitted") == line.rindex("1.0000 [")
    assert head.index("Spearman") == line.index("1.0000 [")


def test_units_are_in_the_tables_and_different_units_give_a_warning(tmp_path, sets):
    one, other = sets
    same = replace(one, unit="sorting bin", predicted_unit="sorting bin")
    apart = replace(other, unit="MAUDE score", predicted_unit="sorting bin")
    summary = summarise([same, apart], resamples=10)
    head, first, second = metric_lines(summary)
    assert head.index("unit") == first.index("sorting bin") == second.index("MAUDE score")
    assert summary["sets"]["second"]["unit"] == "MAUDE score"
    assert summary["sets"]["second"]["predicted_unit"] == "sorting bin"
    write_evaluation(tmp_path, [same, apart], summary)
    units = {row["set"]: row["unit"] for row in rows_of(tmp_path / "metrics.tsv")}
    assert units == {"first": "sorting bin", "second": "MAUDE score"}
    (warning,) = unit_warnings([same, apart, one])
    assert warning.startswith(
        "second: measured in the unit 'MAUDE score', predicted in the unit 'sorting bin'; r and ρ"
    )
    assert warning.rpartition(": see ")[2] in head  # the column that the warning names
    (of_range,) = unit_warnings([replace(apart, unit="unknown")])
    assert of_range.startswith("second: measured in an unknown unit, predicted in the unit 's")


def test_rows_in_training_data_are_separate_in_text_and_tables(tmp_path, sets):
    one, other = sets
    seen = np.arange(40) < 10
    sets = [replace(one, seen=Seen(seen, "hq", "exact")),
            replace(other, seen=Seen(np.arange(30) < 2, "hq", "near"))]  # fmt: skip
    summary = summarise(sets, resamples=10)
    lines = metric_lines(summary)
    assert [line[:16].split() for line in lines[1:4]] == [
        ["first", "40"], ["not", "in", "hq", "30"], ["in", "hq", "10"],
    ]  # fmt: skip
    assert "too few rows" in lines[6] and "too few rows" not in lines[5]
    first, second = leak_lines(summary)
    assert first.startswith("first: hq holds 10 of its 40 rows (with the same insert); only the")
    assert "hq holds 2 of its 30 rows" in second and "the other 28 show" in second
    write_evaluation(tmp_path, sets, summary)
    found = {row["set"]: int(row["n"]) for row in rows_of(tmp_path / "metrics.tsv")}
    assert found == {
        "first": 40, "first, not in hq": 30, "first, in hq": 10,
        "second": 30, "second, not in hq": 28,
    }  # fmt: skip
    marks = [int(row["seen"]) for row in rows_of(tmp_path / "predictions.tsv")]
    assert marks == [1] * 10 + [0] * 30 + [1] * 2 + [0] * 28


def page_of(sets):
    figure = scatter_page(sets, summarise(sets, resamples=10))
    plt.close(figure)
    return figure


def test_each_set_has_its_panel_with_its_size(sets):
    axes = page_of(sets).axes
    assert [ax.get_title() for ax in axes] == ["first  (n = 40)", "second  (n = 30)"]
    assert [len(ax.collections[0].get_offsets()) for ax in axes] == [40, 30]


def test_panels_are_laid_out_three_in_a_row_without_empty_frames():
    axes = page_of([scored(f"s{number}", 5, number) for number in range(5)]).axes
    assert [ax.get_visible() for ax in axes] == [True] * 5 + [False]


def test_a_panel_shows_its_metrics():
    # Errors 1, 1, −1, −1: MSE 1; measurements spread 5 around their mean: R² = 1 − 4/5.
    measured = np.array([1.0, 2.0, 3.0, 4.0])
    one = Scored("set", measured, measured + np.array([1, 1, -1, -1]), np.arange(4))
    (text,) = page_of([one]).axes[0].texts
    # Predictions 2, 3, 2, 3: Σdxdy = 0.75 − 0.25 − 0.25 + 0.75 = 1, over √(5·1).
    lines = [line.partition(" [") for line in text.get_text().splitlines()]
    assert [line[0] for line in lines] == ["Pearson r 0.447", "R² 0.200", "MSE 1.000"]
    assert all(interval.endswith("]") for _, _, interval in lines)


def test_a_panel_shows_undefined_metrics():
    flat = Scored("flat", np.arange(4.0), np.ones(4), np.arange(4))
    (text,) = page_of([flat]).axes[0].texts
    lines = text.get_text().splitlines()
    assert lines[0] == "Pearson r not defined"
    assert [line.partition(" [")[0] for line in lines[1:]] == ["R² -0.200", "MSE 1.500"]  # SSE 6


# -- figures ----------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "start"), [("a.png", PNG), ("a.pdf", b"%PDF"), ("a.svg", b"<?x")])
def test_a_figure_is_saved_in_the_format_of_its_name(tmp_path, name, start):
    save_figure(Figure(), tmp_path / name)
    assert (tmp_path / name).read_bytes().startswith(start)
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_a_difference_of_zero_has_no_sign():
    estimate = {"value": -1e-9, "low": -2e-5, "high": -0.0}
    assert with_interval(estimate) == "0.0000 [0.0000, 0.0000]"


def test_the_learning_curve_of_a_run_folder(tmp_path, monkeypatch):
    drawn = {}

    def spy(loss_ax, r_ax, history, best_epoch):
        drawn.update(history, best=best_epoch)

    write_run(tmp_path, BestEpoch(epoch=2, metrics={"val_r": 0.8, "val_r2": 0.6}))
    monkeypatch.setattr(report, "learning_curve", spy)
    write_learning_curve(tmp_path)
    assert drawn["best"] == 2
    assert drawn["loss"].tolist() == [3.5, 2.5]
    assert drawn["val_r2"].tolist() == [0.25, 0.5]


def write_run(folder, best):
    record = RunRecord(
        settings=resolve("small"),
        media=["complex"],
        scale={"complex": Scale()},
        data={},
        versions={},
        best=best,
    )
    save_record(folder, record)
    (folder / "history.csv").write_text(
        "epoch,loss,val_loss,val_r,val_r2,seconds\n1,3.5,3.0,0.6,0.25,9\n2,2.5,2.0,0.8,0.5,9\n"
    )


@pytest.mark.parametrize("best", [None, BestEpoch(epoch=1, metrics={})])
def test_the_learning_curve_is_a_figure_in_the_run_folder(tmp_path, best):
    write_run(tmp_path, best)
    write_learning_curve(tmp_path)
    assert (tmp_path / "learning_curve.png").read_bytes().startswith(PNG)
    assert len(list(tmp_path.iterdir())) == 3


# -- histograms -------------------------------------------------------------------------------


def manifest_of(bins, width=0.1):
    histogram = {"width": width, "bins": {str(number): count for number, count in bins.items()}}
    return {"media": {"complex": {"histogram": histogram}}}


def test_few_bins_are_unchanged_with_gaps_filled():
    edges, counts = manifest_histograms(manifest_of({-2: 3, -1: 1, 1: 5}, 0.5))["complex"]
    assert edges.tolist() == [-1, -0.5, 0, 0.5]
    assert counts.tolist() == [3, 1, 0, 5]


def test_many_bins_are_joined_by_hand():
    edges, counts = manifest_histograms(manifest_of({0: 1, 1: 2, 2: 4, 3: 8, 4: 16}, 1.0), 2)[
        "complex"
    ]  # five bins in at most two bars: three to a bar
    assert (edges.tolist(), counts.tolist()) == ([0, 3], [7, 24])


@pytest.mark.parametrize(
    ("unit", "whole"), [("sorting bin", True), ("MAUDE score", False), (None, False)]
)
def test_labels_of_single_cells_have_bars_one_bin_wide(unit, whole):
    # Integer bins 0, 1 and 3, and a few labels between: 0.4, 0.5 and 1.4.
    manifest = manifest_of({0: 50, 4: 2, 5: 3, 10: 70, 14: 1, 30: 20})
    found = manifest["media"]["complex"]
    found["unit"] = unit
    assert many_integer_bins(found) is whole
    edges, counts = manifest_histograms(manifest)["complex"]
    if whole:
        assert edges.tolist() == [-0.5, 0.5, 1.5, 2.5]
        assert counts.tolist() == [52, 74, 0, 20]
    else:
        assert len(edges) == 31


def test_labels_that_are_integers_by_chance_keep_narrow_bars():
    manifest = manifest_of(dict.fromkeys(range(40), 5))
    manifest["media"]["complex"]["unit"] = "sorting bin"
    assert not many_integer_bins(manifest["media"]["complex"])
    assert len(manifest_histograms(manifest)["complex"][0]) == 40


BINS = st.dictionaries(st.integers(-300, 300), st.integers(1, 1000), min_size=1, max_size=40)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(BINS, st.integers(1, 60))
def test_joined_bins_keep_every_row_in_its_place(bins, bars):
    edges, counts = manifest_histograms(manifest_of(bins, width=1.0), bars)["complex"]
    assert len(edges) == len(counts) <= bars
    assert counts.sum() == sum(bins.values())
    for edge, end, count in zip(edges, [*edges[1:], np.inf], counts, strict=True):
        assert count == sum(n for position, n in bins.items() if edge <= position < end)


def test_the_picture_of_a_data_set_counts_its_rows(tmp_path):
    labels = [0.15, 0.5, 0.55, 12.3]
    rows = "".join(f"ACGTACGTAC\t{label}\n" for label in labels)
    (tmp_path / "rows.tsv").write_text("sequence\texpression\n" + rows)
    dataset = ingest([tmp_path / "rows.tsv"], tmp_path / "made")
    edges, counts = manifest_histograms(dataset.manifest)["complex"]
    assert (counts.sum(), counts[0], counts[-1]) == (4, 1, 1)
    assert edges[0] == pytest.approx(0.1)
    write_dataset_picture(dataset, tmp_path / "labels.png")
    assert (tmp_path / "labels.png").read_bytes().startswith(PNG)
