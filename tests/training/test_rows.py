"""Rows, outputs and scales of a run, counted by hand."""

import numpy as np
import pytest

from crmnet.data.ingest import IngestOptions, ingest
from crmnet.runs.record import RunRecord, Scale
from crmnet.runs.settings import resolve
from crmnet.training.rows import choose


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
    chosen = choose(options(), data)
    assert chosen.validation is data
    assert sorted([*chosen.rows, *chosen.validation_rows]) == list(range(40))
    assert chosen.outputs == ["complex", "defined"]
    for number, name in enumerate(chosen.outputs):
        labels = data.labels[chosen.rows][data.medium[chosen.rows] == number].astype(float)
        assert chosen.scale[name].mean == pytest.approx(labels.mean())
        assert chosen.scale[name].sd == pytest.approx(labels.std())
    assert choose(options("standardize=false"), data).scale["complex"] == Scale()
    assert choose(options("pool_media=true"), data).outputs == ["complex+defined"]


def test_with_a_validation_set_all_rows_are_training_rows(tmp_path):
    data, watched = made(tmp_path, "data"), made(tmp_path, "watched", media=("defined",))
    chosen = choose(options(), data, watched)
    np.testing.assert_array_equal(chosen.rows, np.arange(40))
    np.testing.assert_array_equal(chosen.validation_rows, np.arange(40))
    described = chosen.described(None, None)
    assert (described["validation"], described["validation_rows"]) == ("watched", 40)
    other = made(tmp_path, "other", media=("dream",))
    with pytest.raises(ValueError, match="the validation set was measured in dream"):
        choose(options(), data, other)


def test_fine_tuning_keeps_scales_and_units(tmp_path):
    data = made(tmp_path, "data", media=("complex",))
    settings = resolve("demo")
    base = RunRecord(
        settings=settings, media=["complex", "dream"],
        scale={"complex": Scale(mean=1, sd=2), "dream": Scale(mean=3, sd=4)},
        data={"name": "before", "units": {"complex": "sorting bin", "dream": "MAUDE score"}},
        versions={},
    )  # fmt: skip
    chosen = choose(options(), data, base=base)
    assert (chosen.outputs, chosen.scale) == (base.media, base.scale)
    assert chosen.described(base, None)["units"] == base.data["units"] == base.units
    scores = made(tmp_path, "scores", unit="MAUDE score", media=("complex",))
    with pytest.raises(ValueError, match=r"in MAUDE score in .*, but in sorting bin in before"):
        choose(options(), scores, base=base)


def test_the_unit_of_a_pooled_output_is_that_of_its_media():
    def units_of(units):
        return RunRecord(
            settings=resolve("demo"), media=["a+b", "c"], scale={}, data={"units": units},
            versions={},
        ).units  # fmt: skip

    assert units_of({"a": "x", "b": "x", "c": "y"}) == {"a+b": "x", "c": "y"}
    assert units_of({"a": "x", "b": "z"}) == {}
    assert units_of({"b": "x"}) == {"a+b": "x"}
