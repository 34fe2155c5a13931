"""Rows from which intervals are fitted: those of all media that an output serves."""

import dataclasses

import numpy as np
import pytest

from crmnet.data.splits import families
from crmnet.evaluation.calibrate import calibrate
from crmnet.evaluation.difference_calibration import find_related
from crmnet.evaluation.intervals import CalibrateOptions, CalibrationRows, by_output
from crmnet.evaluation.rescale import fit_lines
from crmnet.prediction.predictor import Predictor
from crmnet.runs.packed import load_card, pack
from crmnet.sequence import decode
from crmnet.simulation.assay import AssayOptions, simulate
from crmnet.statistics.metrics import Scored
from crmnet.statistics.scale import fit_cross_fitted
from crmnet.training.train import train
from support import settings, write_rows

POOLED = "complex+defined"


def rows(name, output, values, family, row):
    values = np.array(values, dtype=float)
    scored = Scored(name, values, values + 1, np.array(family), row=np.array(row))
    return CalibrationRows(scored, output, values / 10, {output: values / 10}, {output: values})


def test_rows_are_joined_by_output_with_the_families_of_the_data_set():
    media = [
        rows("s:complex", POOLED, [1, 2, 3], [7, 7, 8], [0, 2, 3]),
        rows("s:defined", POOLED, [4, 5, 6], [8, 9, 9], [1, 4, 5]),
        rows("s:dream", "dream", [7, 8, 9], [7, 8, 9], [6, 7, 8]),
    ]
    joined, single = by_output(media)
    assert single is media[2]
    assert (joined.scored.name, joined.medium) == ("s:complex and s:defined", POOLED)
    assert joined.scored.measured.tolist() == [1, 2, 3, 4, 5, 6]
    assert joined.scored.family.tolist() == [7, 7, 8, 8, 9, 9]
    assert joined.scored.row.tolist() == [0, 2, 3, 1, 4, 5]
    assert joined.spreads[POOLED].tolist() == joined.spread.tolist()
    assert joined.predictions[POOLED].tolist() == [1, 2, 3, 4, 5, 6]
    assert joined.distance is None


@pytest.fixture(scope="module")
def held_out(tmp_path_factory):
    return simulate(AssayOptions(300, seed=6), tmp_path_factory.mktemp("held") / "held")


@pytest.fixture(scope="module")
def pooled(assay, tmp_path_factory):
    """A packed model with one output for two media."""
    folder = tmp_path_factory.mktemp("pooled")
    train(settings("epochs=1", "pool_media=true"), assay, folder / "run")
    pack([folder / "run"], folder / "m.safetensors")
    return folder / "m.safetensors"


@pytest.mark.slow
def test_intervals_of_a_pooled_output_come_from_the_rows_of_all_its_media(
    pooled, held_out, tmp_path
):
    """Held-out rows in both media ended with: need at least one array to concatenate."""
    card = calibrate(
        pooled, held_out.path, tests=[held_out.path], output=tmp_path / "new.safetensors",
        options=CalibrateOptions(resamples=10),
    )  # fmt: skip
    (found,) = card.calibration.intervals.values()
    assert (found.rows, found.families) == (len(held_out), len(set(families(held_out))))
    assert set(card.coverage) == {"held:complex", "held:defined"}
    media = find_related(Predictor.load(pooled), held_out)
    (differences,) = card.differences.intervals.values()
    assert differences.rows == sum(len(rows.error) for rows in media)
    assert differences.families == len(set(np.concatenate([rows.family for rows in media])))


@pytest.mark.slow
def test_a_third_medium_leaves_no_rows_of_a_pooled_output_out(pooled, held_out, tmp_path):
    """Rows of the media of the output counted as rows that the model does not predict."""
    media = [held_out.media[number] for number in held_out.medium]
    media[:20] = ["dream"] * 20
    columns = decode(held_out.tokens), np.asarray(held_out.labels), media, held_out.family
    rows = [*zip(*columns, strict=True)]
    file = write_rows(tmp_path / "rows.tsv", rows, "sequence expression medium family")
    card = calibrate(
        pooled, file, output=tmp_path / "new.safetensors", options=CalibrateOptions(resamples=10)
    )
    assert {key: found.rows for key, found in card.calibration.intervals.items()} == {
        POOLED: len(held_out) - 20
    }


@pytest.mark.slow
@pytest.mark.parametrize("pooled_first", [True, False])
def test_errors_of_a_pooled_output_are_compared_medium_by_medium(
    pooled, small_run, held_out, tmp_path, pooled_first
):
    """The models were refused: no output in common."""
    single = tmp_path / "single.safetensors"
    pack([small_run], single)
    one, other = (pooled, single) if pooled_first else (single, pooled)
    card = calibrate(
        one, tests=held_out.path, beside=other, output=tmp_path / "new.safetensors",
        options=CalibrateOptions(resamples=10),
    )  # fmt: skip
    found = card.error_correlations[other.stem]
    assert set(found) == {"held:complex", "held:defined"}
    labels, medium = np.asarray(held_out.labels, dtype=float), np.asarray(held_out.medium)
    both = [Predictor.load(file).predict_tokens(held_out.tokens) for file in (pooled, single)]
    column = load_card(single).media.index("defined")
    rows = medium == held_out.media.index("defined")
    errors = [labels[rows] - both[0][rows, 0], labels[rows] - both[1][rows, column]]
    assert found["held:defined"].value == pytest.approx(np.corrcoef(*errors)[0, 1])


@pytest.mark.slow
def test_the_line_of_a_pooled_output_is_fitted_to_the_rows_of_all_its_media(pooled, held_out):
    """Only the line of the last medium was kept."""
    predictor = Predictor.load(pooled)
    predicted = predictor.predict_tokens(np.asarray(held_out.tokens))[:, 0].astype(float)
    labels = 2 * (predicted - predicted.mean()) / predicted.std() + 5
    labels += np.asarray(held_out.medium)  # one more in the second medium
    lines = fit_lines(predictor, dataclasses.replace(held_out, labels=labels))
    expected = fit_cross_fitted(labels, predicted, families(held_out), equal_families=True)
    assert lines.keys() == {POOLED}
    np.testing.assert_allclose(lines[POOLED].at(predicted), expected.at(predicted), atol=1e-3)
