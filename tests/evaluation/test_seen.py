"""Held-out rows that a model was trained on, also by the run that it was fine-tuned from."""

from types import SimpleNamespace

import numpy as np
import pytest

from crmnet.data.sketch import Sketch
from crmnet.evaluation.calibrate import calibrate
from crmnet.evaluation.intervals import CalibrateOptions
from crmnet.evaluation.seen import log_if_not_checked, training_overlap, unseen
from crmnet.runs.packed import pack
from crmnet.runs.record import SKETCH
from crmnet.training.rows import choose_data
from crmnet.training.train import train
from support import settings

OPTIONS = CalibrateOptions(resamples=10)


@pytest.mark.slow
def test_rows_that_the_base_run_was_trained_on_are_not_held_out(small_run, assay, tmp_path, caplog):
    """Another seed holds out other families, most of which the base run was trained on."""
    base, tuned = settings("epochs=1"), settings("epochs=1", "seed=2")
    train(tuned, assay, tmp_path / "tuned", start=small_run)
    path = tmp_path / "m.safetensors"
    card = pack([tmp_path / "tuned"], path)
    held_out = unseen(assay, card)
    also = np.intersect1d(
        choose_data(tuned.train, assay).validation_rows, choose_data(base.train, assay).rows
    )
    overlap = training_overlap(card.members, held_out)
    assert (overlap.found.shared, overlap.found.checked) == (len(also), len(held_out))
    assert 0.5 < overlap.share < 1
    with pytest.raises(ValueError, match=r"trained on rows of assay: .* those it started from"):
        calibrate(path, assay.path, options=OPTIONS)
    card = calibrate(path, tests=[assay.path], options=OPTIONS)
    assert "warning: the model was trained on rows of assay" in caplog.text
    assert all(0 < one["trained_on_about"] < one["n"] for one in card.tests.values())


@pytest.mark.slow
def test_held_out_families_of_a_run_without_a_base_are_held_out(small_run, assay, tmp_path):
    card = pack([small_run], tmp_path / "m.safetensors")
    assert training_overlap(card.members, unseen(assay, card)).share == 0


@pytest.mark.parametrize(
    ("rows", "without", "message"),
    [
        (
            (20_000,),
            1,
            "not checked for rows that a part of the model (1 of 2 networks) was trained on",
        ),
        ((), 2, "not checked for rows that the model was trained on, because its record"),
        ((20_000,), 0, "too small to be compared with the sample of the training rows"),
        ((20_000, 50), 0, "too small to be compared with the sample of some training rows"),
        ((50,), 0, None),
    ],
)
def test_the_log_names_what_could_not_be_compared(caplog, rows, without, message):
    """A model was reported as not checked if one of its networks has no sample of its rows."""
    caplog.set_level("INFO")
    rng = np.random.default_rng(0)
    texts = [Sketch.of(rng.integers(4, size=(n, 80), dtype=np.uint8)).to_text() for n in rows]
    members = [*({SKETCH: text} for text in texts), *[{"fingerprint": "other"}] * without]
    tokens = np.zeros((1, 80), dtype=np.uint8)  # its hash is above those of the full sketch
    dataset = SimpleNamespace(name="set", tokens=tokens, fingerprint="own")
    overlap = training_overlap([SimpleNamespace(data=data) for data in members], dataset)
    log_if_not_checked(overlap, dataset)
    assert (f"set: {message}" in caplog.text) if message else not caplog.text
