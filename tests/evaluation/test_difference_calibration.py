"""Intervals of differences: fitted on pairs of held-out rows, stored in the card, then used."""

import dataclasses
import json
import shutil

import numpy as np
import pytest

from crmnet.data.dataset import Dataset
from crmnet.data.subset import copy_rows
from crmnet.design.effects import MutateOptions
from crmnet.design.mutate import mutate
from crmnet.evaluation.calibrate import calibrate
from crmnet.evaluation.difference_calibration import find_related, with_coverage
from crmnet.evaluation.intervals import CalibrateOptions
from crmnet.prediction.predictor import Predictor
from crmnet.prediction.random_effects import RandomVariants
from crmnet.runs.model_card import ModelCard, card_lines
from crmnet.runs.packed import load_card, pack
from crmnet.sequence import decode
from crmnet.simulation.assay import AssayOptions, simulate
from crmnet.statistics.differences import related_pairs

pytestmark = pytest.mark.slow

OPTIONS = CalibrateOptions(resamples=20)


@pytest.fixture(scope="module", autouse=True)
def few_random_variants():
    with pytest.MonkeyPatch.context() as patch:
        few = RandomVariants(4, 5)
        patch.setattr("crmnet.evaluation.difference_calibration.IN_CARD", few)
        yield


@pytest.fixture(scope="module")
def held_out(tmp_path_factory):
    """Families of mutants of one promoter."""
    return simulate(AssayOptions(2000, seed=7), tmp_path_factory.mktemp("held") / "held")


@pytest.fixture(scope="module")
def packed(small_run, held_out, tmp_path_factory):
    path = tmp_path_factory.mktemp("packed") / "m.safetensors"
    pack([small_run], path)
    calibrate(path, held_out.path, tests=held_out.path, options=OPTIONS)
    return path


def test_errors_of_pairs_are_those_of_their_differences(packed, held_out):
    predictor = Predictor.load(packed)
    predicted = predictor.predict_tokens(held_out.tokens)
    for found, medium in zip(find_related(predictor, held_out), held_out.media, strict=True):
        rows = np.nonzero(np.asarray(held_out.medium) == held_out.media.index(medium))[0]
        pairs = rows[related_pairs(held_out.tokens[rows], held_out.family[rows])]
        assert found.medium == medium and len(pairs) == len(found.error) > 50
        labels, output = np.asarray(held_out.labels), predicted[:, predictor.medium_index(medium)]
        error = (output[pairs[:, 1]] - output[pairs[:, 0]]) - (labels[pairs[:, 1]]
                                                               - labels[pairs[:, 0]])  # fmt: skip
        np.testing.assert_allclose(found.error, np.abs(error), atol=1e-4)
        assert not found.spread.any()  # one run and one strand


def test_the_card_holds_intervals_coverage_and_random_effects(packed, held_out):
    card = load_card(packed)
    known = card.differences
    assert set(known.intervals) == set(known.random) == set(held_out.media)
    assert known.level == 0.9 and known.data["rows"] == len(held_out)
    assert known.random_data == {"promoters": 4, "variants": 5, "seed": 0}
    assert set(known.coverage) == {f"held:{medium}" for medium in held_out.media}
    for one in known.coverage.values():
        assert 0.85 < one.value <= 1  # the very pairs the interval is from
        assert one.low <= one.value <= one.high
    text = "\n".join(card_lines(card))
    assert "complex: 90% intervals ± " in text and "pairs of" in text
    assert "percentiles among 20 random substitutions of random promoters" in text


def test_the_interval_covers_the_differences_of_new_pairs(packed, tmp_path):
    """Pairs of new families: the share inside is near the level."""
    new = simulate(AssayOptions(2000, seed=8), tmp_path / "new")
    predictor = Predictor.load(packed)
    known = load_card(packed).differences
    for found in find_related(predictor, new):
        half = known.intervals[found.medium].half_width(found.spread)
        families = np.unique(found.family, return_inverse=True)[1]
        inside = np.bincount(families, weights=found.error <= half) / np.bincount(families)
        assert 0.83 < inside.mean() < 0.97, len(inside)


@pytest.mark.parametrize(("families", "has_interval"), [(1, False), (2, False), (3, True)])
def test_coverage_of_a_few_families(packed, held_out, families, has_interval):
    """The mutants of one or two promoters were too few to score: an error after all the work."""
    names, sizes = np.unique(held_out.family, return_counts=True)
    largest = names[np.argsort(-sizes, kind="stable")[:families]]
    rows = np.isin(held_out.family, largest)
    one_medium = {"media": {"complex": held_out.manifest["media"]["complex"]}}
    part = dataclasses.replace(
        held_out, tokens=held_out.tokens[rows], labels=np.asarray(held_out.labels)[rows],
        medium=np.zeros(rows.sum(), dtype=np.uint8), family=np.asarray(held_out.family)[rows],
        manifest={**held_out.manifest, **one_medium},
    )  # fmt: skip
    known = load_card(packed).differences.model_copy(update={"coverage": {}})
    measured = with_coverage(known, Predictor.load(packed), part, None, resamples=20)
    (found,) = measured.coverage.values()
    assert found.families == families and 0 <= found.value <= 1
    assert (found.low is not None, found.high is not None) == (has_interval, has_interval)


def test_mutate_uses_the_card(packed, held_out):
    predictor = Predictor.load(packed)
    options = MutateOptions(sites=False)
    found = mutate(predictor, decode(held_out.tokens[:1]), ["20del+20insA"],
                   options=options)  # fmt: skip
    known = load_card(packed).differences
    for m, medium in enumerate(predictor.media):
        width = found.effects.high[0, m] - found.effects.low[0, m]
        if not found.effects.flags[0]:
            half = known.intervals[medium].half_width(0.0)
            assert width == pytest.approx(2 * half, rel=1e-4)
        expected = np.interp(abs(found.effects.delta[0, m]), known.random[medium],
                             np.linspace(0, 100, 101))  # fmt: skip
        assert found.effects.percentile[0, m] == pytest.approx(expected, abs=1e-3)


def test_differences_alone_can_be_added(small_run, held_out, tmp_path):
    path = tmp_path / "m.safetensors"
    pack([small_run], path)
    before = load_card(path)
    card = calibrate(path, differences=held_out.path, options=OPTIONS)
    assert card.calibration is None and card.differences is not None
    after = load_card(path)
    assert after.model_copy(update={"differences": None}) == before
    assert after.differences == card.differences


def test_a_medium_with_too_few_related_rows_has_no_interval(small_run, held_out, tmp_path, caplog):
    path = tmp_path / "m.safetensors"
    pack([small_run], path)
    alone = copy_rows(held_out, first_rows(held_out), tmp_path / "alone")
    with caplog.at_level("INFO", logger="crmnet"):
        card = calibrate(path, differences=alone.path, options=OPTIONS)
    assert card.differences.intervals == {} and set(card.differences.random) == set(alone.media)
    assert "0 families have rows that differ in a few bases" in caplog.text
    assert "too few related pairs" in "\n".join(card_lines(
        card.model_copy(update={"differences": card.differences.model_copy(update={"random": {}})})
    ))  # fmt: skip


def first_rows(dataset: Dataset):
    """One row of each family."""
    return np.sort(np.unique(np.asarray(dataset.family), return_index=True)[1])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"intervals": {"x": {"base": 1, "slope": 0, "quantile": 1, "rows": 1, "families": 1}}},
         "differences.intervals names 'x', which is not an output"),
        ({"random": {"complex": [2.0, 1.0]}}, "must be quantiles of at least 0 in rising order"),
        ({"random": {"complex": [-1.0, 1.0]}}, "must be quantiles of at least 0"),
        ({"data": {}}, "differences.data.name must be a text"),
        ({"random_data": {}}, "random_data must hold promoters and variants"),
    ],
)  # fmt: skip
def test_a_damaged_card_is_refused(packed, change, message):
    card = json.loads(load_card(packed).model_dump_json())
    card["differences"] |= change
    with pytest.raises(ValueError, match=message):
        ModelCard.model_validate(card)


def test_a_card_without_differences_can_be_read(packed, tmp_path):
    """As those of earlier versions."""
    card = json.loads(load_card(packed).model_dump_json())
    del card["differences"]
    assert ModelCard.model_validate(card).differences is None
    assert "differences" not in "\n".join(card_lines(ModelCard.model_validate(card)))
    shutil.copy(packed, tmp_path / "copy.safetensors")
    assert load_card(tmp_path / "copy.safetensors").differences is not None
