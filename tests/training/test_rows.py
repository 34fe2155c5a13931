"""Rows, outputs and scales of a run, counted by hand."""

import dataclasses

import numpy as np
import pytest

from crmnet.data.ingest import IngestOptions, ingest
from crmnet.data.sketch import SIZE, Sketch, sketch_texts
from crmnet.evaluation.seen import training_overlap
from crmnet.runs.record import SKETCH, RunRecord, Scale
from crmnet.runs.settings import resolve
from crmnet.training.rows import choose_data


def made(folder, name, unit="sorting bin", media=("complex", "defined")):
    rows = [
        f"{'ACGT'[i % 4] * (9 + i // 4)}CG\t{i % 5 + 2 * (i % 2)}\t{media[i % len(media)]}"
        for i in range(40)
    ]
    path = folder / f"{name}.tsv"
    path.write_text("sequence\texpression\tmedium\n" + "\n".join(rows))
    return ingest([path], folder / name, IngestOptions(flanks="none", units=[unit]))


def options(*more):
    return resolve("demo", ["validation_fraction=0.3", *more]).train


def test_scales_are_those_of_the_training_rows_of_each_medium(tmp_path):
    data = made(tmp_path, "data")
    train_data = choose_data(options(), data)
    assert train_data.validation is data
    assert sorted([*train_data.rows, *train_data.validation_rows]) == list(range(40))
    assert train_data.outputs == ["complex", "defined"]
    for number, name in enumerate(train_data.outputs):
        labels = data.labels[train_data.rows][data.medium[train_data.rows] == number].astype(float)
        assert train_data.scale[name].mean == pytest.approx(labels.mean())
        assert train_data.scale[name].sd == pytest.approx(labels.std())
    assert choose_data(options("standardize=false"), data).scale["complex"] == Scale()
    assert choose_data(options("pool_media=true"), data).outputs == ["complex+defined"]


def test_with_a_validation_set_all_rows_are_training_rows(tmp_path):
    data, watched = made(tmp_path, "data"), made(tmp_path, "watched", media=("defined",))
    train_data = choose_data(options(), data, watched)
    np.testing.assert_array_equal(train_data.rows, np.arange(40))
    np.testing.assert_array_equal(train_data.validation_rows, np.arange(40))
    summary = train_data.summary(None, None)
    assert (summary["validation"], summary["validation_rows"]) == ("watched", 40)
    other = made(tmp_path, "other", media=("dream",))
    with pytest.raises(ValueError, match="the validation set was measured in dream"):
        choose_data(options(), data, other)


def test_training_rows_without_any_weight_are_an_error(tmp_path):
    data = made(tmp_path, "data")  # all labels are integer bins
    with pytest.raises(ValueError, match=r"rows have the weight 0.* train.singleton_weight"):
        choose_data(options("singleton_weight=0"), data)
    column = ["row_weights=column", "singleton_weight=0.5"]
    weight = np.zeros(40, dtype=np.float32)
    with pytest.raises(ValueError, match=r"weight 0"):
        choose_data(options(*column), dataclasses.replace(data, weight=weight))
    weight[choose_data(options(), data).rows[0]] = 1
    assert len(choose_data(options(*column), dataclasses.replace(data, weight=weight)).rows) == 28


def test_fine_tuning_keeps_scales_and_units(tmp_path):
    data = made(tmp_path, "data", media=("complex",))
    settings = resolve("demo")
    base = RunRecord(
        settings=settings, media=["complex", "dream"],
        scale={"complex": Scale(mean=1, sd=2), "dream": Scale(mean=3, sd=4)},
        data={"name": "before", "units": {"complex": "sorting bin", "dream": "MAUDE score"}},
        versions={},
    )  # fmt: skip
    train_data = choose_data(options(), data, base=base)
    assert (train_data.outputs, train_data.scale) == (base.media, base.scale)
    assert train_data.summary(base, None)["units"] == base.data["units"] == base.units
    scores = made(tmp_path, "scores", unit="MAUDE score", media=("complex",))
    other = choose_data(options("standardize=true"), scores, base=base)
    assert other.outputs == ["complex"] and other.scale["complex"] != base.scale["complex"]


def test_the_unit_of_a_pooled_output_is_that_of_its_media():
    def units_of(units):
        return RunRecord(
            settings=resolve("demo"), media=["a+b", "c"],
            scale={"a+b": Scale(), "c": Scale()}, data={"units": units},
            versions={},
        ).units  # fmt: skip

    assert units_of({"a": "x", "b": "x", "c": "y"}) == {"a+b": "x", "c": "y"}
    assert units_of({"a": "x", "b": "z"}) == {}
    assert units_of({"b": "x"}) == {"a+b": "x"}


def record_of(train_data, base=None):
    """The record of a run that is about to be trained."""
    return RunRecord(
        settings=resolve("demo", []), media=train_data.outputs, scale=train_data.scale,
        data=train_data.summary(base, None), versions={},
    )  # fmt: skip


def test_a_few_rows_of_a_fine_tuned_run_are_known_beside_many_of_its_base(tmp_path):
    """The sample of 20,000 rows pushed out those of 40: it held 1 of 134 rows, and none here."""
    data = made(tmp_path, "data")
    many = Sketch.of(np.random.default_rng(0).integers(4, size=(20_000, 80), dtype=np.uint8))
    base = record_of(choose_data(options(), made(tmp_path, "base")))
    base = base.model_copy(update={"data": {**base.data, SKETCH: many.to_text()}})
    train_data = choose_data(options(), data, data, base)
    tuned = record_of(train_data, base)
    own = Sketch.of(data.tokens)
    assert tuned.data[SKETCH] == [own.to_text(), many.to_text()]
    overlap = training_overlap([tuned], data)
    assert overlap.share == 1 and overlap.found.checked == len(own.hashes)
    # Trained on once more, both samples stay as they are.
    assert record_of(train_data, tuned).data[SKETCH] == [own.to_text(), many.to_text()]
    assert len(sketch_texts(many.to_text())) == 1 and len(many.hashes) == SIZE
    for damaged in ([], [own.to_text(), "AAAA"], {}):
        with pytest.raises(ValueError, match=r"data\.training_sketch: it is not a sketch"):
            RunRecord(**{**dict(tuned), "data": {**tuned.data, SKETCH: damaged}})


def test_a_medium_of_constant_labels_is_an_error_also_in_fine_tuning(tmp_path):
    """With a base its scale was kept, and the output became a constant without a word."""
    data = made(tmp_path, "data")
    summary = choose_data(options(), data).summary(None, None)
    record = RunRecord(
        settings=resolve("demo", []), media=["complex", "defined"], data=summary, versions={},
        scale={"complex": Scale(), "defined": Scale()},
    )  # fmt: skip
    constant = dataclasses.replace(data, labels=np.full(40, 5, dtype=np.float32))
    for base in (None, record):
        with pytest.raises(ValueError, match="labels of medium 'complex' are all the same"):
            choose_data(options(), constant, base=base)


def test_a_medium_whose_rows_are_all_held_out_is_named(tmp_path):
    data = made(tmp_path, "data")
    train_data = choose_data(options(), data)
    medium = np.array(data.medium)
    medium[train_data.rows], medium[train_data.validation_rows] = 0, 1
    with pytest.raises(ValueError, match="no training row has medium 'defined', all were held out"):
        choose_data(options(), dataclasses.replace(data, medium=medium))


def test_a_validation_set_with_other_adapters_is_reported(tmp_path, caplog):
    data, watched = made(tmp_path, "data"), made(tmp_path, "watched")
    choose_data(options(), data, watched)
    assert not caplog.text
    manifest = {**watched.manifest, "flanks": "auto"}
    choose_data(options(), data, dataclasses.replace(watched, manifest=manifest))
    assert (
        "watched was read without --flanks none, data with it; ingest it again with" in caplog.text
    )
