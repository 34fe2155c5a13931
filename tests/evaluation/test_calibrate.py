import json
import logging
import shutil

import numpy as np
import pytest
import torch

from crmnet.data.rejections import TooManyRejected
from crmnet.data.subset import copy_rows
from crmnet.evaluation.calibrate import calibrate
from crmnet.evaluation.intervals import CalibrateOptions, CalibrationRows, coverage, interval
from crmnet.evaluation.score_sets import score_file
from crmnet.evaluation.seen import trained_on, unseen
from crmnet.prediction.predictor import Predictor
from crmnet.prediction.table import column_names, predict_file, unit_lines
from crmnet.runs import packed as packed_files
from crmnet.runs.folder import load_record, load_tensors
from crmnet.runs.model_card import ModelCard, card_lines
from crmnet.runs.packed import PackOptions, bundled, load_card, pack, write_rescaled
from crmnet.runs.record import RunRecord
from crmnet.sequence import decode, encode, inserts, prepare
from crmnet.simulation.assay import AssayOptions, simulate
from crmnet.statistics.metrics import Scored, summarise
from crmnet.statistics.uncertainty import Interval, composition_distance, fit_input_limits
from crmnet.training.rows import choose_data
from support import ingest_rows, write_rows

pytestmark = pytest.mark.slow

OPTIONS = CalibrateOptions(resamples=50)


@pytest.fixture(scope="module")
def held_out(tmp_path_factory):
    return simulate(AssayOptions(300, seed=6), tmp_path_factory.mktemp("held") / "held")


@pytest.fixture(scope="module")
def packed(small_run, held_out, tmp_path_factory):
    """A calibrated model of two views; tests that change it work on a copy."""
    path = tmp_path_factory.mktemp("packed") / "model.safetensors"
    pack([small_run], path, PackOptions(reverse_complement=True))
    calibrate(path, held_out.path, tests=[held_out.path], native=held_out.path, options=OPTIONS)
    return path


def rows(n, seed, families=None):
    """Errors that are normal with a standard deviation of 1 + spread."""
    rng = np.random.default_rng(seed)
    spread = rng.uniform(0, 3, n)
    error = rng.normal(size=n) * (1 + spread)
    family = np.arange(n) if families is None else rng.integers(families, size=n)
    return CalibrationRows(Scored("made", np.zeros(n), error, family), "complex", spread)


def test_intervals_of_exchangeable_rows_hold_their_level():
    found = interval(rows(4000, 1), OPTIONS)
    new = rows(20_000, 2)
    inside = new.error <= found.half_width(new.spread)
    # 4,000 scores: the coverage of a new row is Beta(3601, 400), 0.900 ± 0.005.
    assert 0.88 < inside.mean() < 0.92
    # The width follows the spread: coverage is the same where members agree and where not.
    for half in (new.spread < 1.5, new.spread >= 1.5):
        assert 0.87 < inside[half].mean() < 0.93
    assert found.families == found.rows == 4000


def test_another_seed_hardly_moves_an_interval():
    """A line fitted on a fifth of the families alone moved by a tenth and more."""
    some = rows(400, 3)
    widths = [interval(some, CalibrateOptions(seed=seed)).half_width(1.0) for seed in range(5)]
    assert np.ptp(widths) < 0.05 * np.mean(widths)


def test_coverage_is_the_share_inside():
    measured = np.array([0.0, 0, 0, 0])
    one = CalibrationRows(
        Scored("made", measured, np.array([0.5, 1.5, -2.5, 9]), np.arange(4)),
        "complex", np.zeros(4),
    )  # fmt: skip
    tokens, _ = prepare(
        *encode(["ACGTACGA" * 10, "AACCGGTT" * 10, "ACAGATCG" * 10, "GATTACAA" * 10])
    )
    familiar = fit_input_limits(tokens, {}, 0.1)
    limits = Interval(base=1, slope=0, quantile=2, rows=9, families=9)
    found = coverage(one, tokens, limits, familiar, OPTIONS)
    assert (found.value, found.n, found.width) == (0.5, 4, 4)
    assert 0 <= found.low < 0.5 < found.high <= 1


def test_the_card_holds_the_results(packed, held_out):
    card = load_card(packed)
    found = card.calibration
    assert found.level == 0.9
    assert found.data["rows"] == len(held_out)
    assert set(found.intervals) == set(found.native) == set(held_out.media)
    assert all(len(quantiles) == 101 for quantiles in found.native.values())
    for number, medium in enumerate(held_out.media):
        labels = np.asarray(held_out.labels)[np.asarray(held_out.medium) == number]
        assert found.familiar.measured[medium] == (labels.min(), labels.max())
    assert set(card.tests) == set(card.coverage) == {f"held:{m}" for m in held_out.media}
    for one in card.coverage.values():
        assert 0.85 < one.value <= 1  # the very rows the interval is from
        assert one.unlike < 0.1


def test_the_card_holds_the_same_metrics_as_an_evaluation(packed, held_out):
    """They had lost the units and the rule that defines families."""
    sets = score_file(Predictor.load(packed), held_out.path)
    expected = summarise(sets, resamples=OPTIONS.resamples, seed=OPTIONS.seed)["sets"]
    found = load_card(packed).tests
    of_the_card = {"slope", "range"}
    without = {
        name: {k: v for k, v in one.items() if k not in of_the_card} for name, one in found.items()
    }
    assert without == json.loads(json.dumps(expected))
    for one in found.values():
        assert (one["unit"], one["predicted_unit"]) == ("sorting bin", "sorting bin")
        assert one["families_by"] == "family"


def test_a_file_of_rows_can_be_a_test_set(packed, held_out, tmp_path):
    rows = [f"{text}\t{n % 7}" for n, text in enumerate(decode(held_out.tokens[:120]))]
    text = "\n".join(["sequence\texpression", *rows, "ACXT\t1"])
    (tmp_path / "few.tsv").write_text(text + "\n")
    shutil.copy(packed, tmp_path / "m.safetensors")
    card = calibrate(tmp_path / "m.safetensors", tests=[tmp_path / "few.tsv"], options=OPTIONS)
    found = card.tests["few"]
    assert (found["n"], found["left_out"], found["families_by"]) == (120, 1, "sequence")
    assert set(card.tests) - {"few"} == set(load_card(packed).tests)


def test_errors_advise_no_options_that_the_command_lacks(packed, tmp_path):
    (tmp_path / "a.tsv").write_text(f"sequence\tlevel\n{'ACGTT' * 16}\t1\n")
    with pytest.raises(ValueError, match="name the column expression in the header"):
        calibrate(packed, tests=[tmp_path / "a.tsv"])
    (tmp_path / "b.tsv").write_text("sequence\texpression\nACXT\t1\nACGT\t2\n")
    with pytest.raises(TooManyRejected) as refused:
        calibrate(packed, tests=[tmp_path / "b.tsv"])
    assert "1 of 2 rows were rejected" in str(refused.value)
    assert "--" not in str(refused.value)


def test_cards_from_before_units_and_family_rules_still_print():
    now = json.loads(load_card(bundled()["yeast"]).model_dump_json())
    for test in now["tests"].values():
        del test["unit"], test["families_by"]
    card = ModelCard.model_validate(now)
    assert any("random: n 2,954 in 2,954 families; r 0.9" in line for line in card_lines(card))


def test_a_medium_that_the_model_lacks_is_named(packed, tmp_path):
    rows = [f"{'ACGTC' * n}{'GGATC' * (16 - n)}\t{n}\tdream" for n in range(8)]
    (tmp_path / "other.tsv").write_text("\n".join(["sequence\texpression\tmedium", *rows]) + "\n")
    with pytest.raises(ValueError, match="other was measured in dream; the model predicts"):
        calibrate(packed, tests=[tmp_path / "other.tsv"], options=OPTIONS)


def test_flagged_predictions_get_a_wider_interval_if_enough_rows_are_flagged(
    packed, held_out, tmp_path
):
    """The card had a field for such intervals, but nothing filled it."""
    path = tmp_path / "m.safetensors"
    shutil.copy(packed, path)
    assert not load_card(packed).calibration.unlike_intervals  # few rows are beyond the limits
    assert "complex, flagged: no interval; it needs flagged rows of at least 20" in "\n".join(
        card_lines(load_card(packed))
    )
    weights = load_tensors(path)
    options = CalibrateOptions(resamples=50, tail=0.3)  # makes most rows unusual
    card = calibrate(path, held_out.path, tests=[held_out.path], options=options)
    found = load_card(path).calibration
    assert found.unlike_intervals.keys() == found.intervals.keys()
    for medium, wide in found.unlike_intervals.items():
        usual = found.intervals[medium]
        assert (wide.base, wide.slope) == (usual.base, usual.slope)
        assert wide.quantile >= usual.quantile and 20 <= wide.families <= wide.rows < usual.rows
        assert f"{medium}, flagged: ± " in "\n".join(card_lines(card))
    assert load_card(path).fingerprint == load_card(packed).fingerprint
    assert all(torch.equal(weights[name], value) for name, value in load_tensors(path).items())
    predictor = Predictor.load(path)
    tokens = np.asarray(held_out.tokens)
    expression, trust = predictor.assess_tokens(tokens)
    _, spread = predictor.predict_with_spread(tokens)
    flagged = np.array([bool(flags) for flags in trust.unlike])
    assert flagged.any() and not flagged.all() and np.isfinite(trust.low).all()
    for m, medium in enumerate(predictor.media):
        half = np.where(
            flagged,
            found.unlike_intervals[medium].half_width(spread[:, m]),
            found.intervals[medium].half_width(spread[:, m]),
        )
        np.testing.assert_allclose(trust.high[:, m] - expression[:, m], half, rtol=1e-4)
        # The card counts the rows that predict flags, and measures the intervals that it gives.
        here = np.asarray(held_out.medium) == held_out.media.index(medium)
        one = card.coverage[f"held:{medium}"]
        assert one.unlike == pytest.approx(flagged[here].mean())
        measured = np.asarray(held_out.labels)[here]
        inside = (trust.low[here, m] <= measured) & (measured <= trust.high[here, m])
        assert one.value == pytest.approx(inside.mean())
    assert any(
        "has a wider interval (crmnet" in line for line in unit_lines(predictor, ["complex"])
    )


@pytest.fixture(scope="module")
def bare(held_out, tmp_path_factory):
    """The held-out inserts of one medium without adapters, as `data ingest --flanks none` reads."""
    folder = tmp_path_factory.mktemp("bare")
    here = np.asarray(held_out.medium) == held_out.media.index("complex")
    rows = zip(decode(*inserts(held_out.tokens[here])), held_out.labels[here], strict=True)
    return ingest_rows(write_rows(folder / "bare.tsv", rows, "sequence expression"), folder / "set")


def test_rows_without_adapters_are_like_held_out_rows_without(small_run, bare, tmp_path):
    """All of them were flagged, so no prediction had the interval of the held-out rows."""
    path = tmp_path / "m.safetensors"
    pack([small_run], path, PackOptions(media=("complex",)))
    card = calibrate(path, bare.path, tests=[bare.path], options=OPTIONS)
    assert card.calibration.familiar.adapters is False
    assert card.coverage["set"].unlike < 0.1
    assert "no adapters are added (--flanks none); at most 112 bases" in "\n".join(card_lines(card))
    _, trust = Predictor.load(path).assess_tokens(bare.tokens)
    assert not any("adapters" in flags for flags in trust.unlike)


def test_predictions_come_with_interval_percentile_and_flag(packed, held_out, tmp_path):
    predictor = Predictor.load(packed)
    sequences = [*decode(held_out.tokens[:3]), "A" * 80]
    expression, trust = predictor.assess(sequences)
    usual = np.array([not flags for flags in trust.unlike])
    assert usual.any()
    assert (trust.low < expression)[usual].all()
    assert (expression < trust.high)[usual].all()
    assert np.isnan([trust.low[~usual], trust.high[~usual]]).all()
    assert ((trust.percentile >= 0) & (trust.percentile <= 100)).all()
    assert "composition" in trust.unlike[3]
    np.testing.assert_array_equal(expression, predictor.predict(sequences))
    (tmp_path / "in.txt").write_text("\n".join(sequences) + "\n")
    (answered,) = predict_file(predictor, tmp_path / "in.txt")
    np.testing.assert_array_equal(answered.trust.low, trust.low)
    assert column_names(predictor, ["complex"]) == [
        "id", "expression_complex", "low_complex", "high_complex", "percentile_complex",
        "unlike_training",
    ]  # fmt: skip


def test_a_card_without_calibration_gives_expression_alone(small_run, tmp_path):
    pack([small_run], tmp_path / "m.safetensors")
    predictor = Predictor.load(tmp_path / "m.safetensors")
    assert predictor.assess(["ACGT" * 20]).trust is None
    assert column_names(predictor, ["complex"]) == ["id", "expression_complex"]


def test_the_held_out_families_of_the_training_set_are_used(small_run, assay, tmp_path):
    card = pack([small_run], tmp_path / "m.safetensors")
    assert len(unseen(assay, card)) == card.members[0].data["validation_rows"]
    assert unseen(assay, card.model_copy(update={"members": []})).labels is not None


def test_bundled_models_are_not_changed(packed, held_out, tmp_path, monkeypatch):
    (tmp_path / "weights").mkdir()
    own = tmp_path / "weights" / "tiny.safetensors"
    shutil.copy(packed, own)
    before = own.read_bytes()
    monkeypatch.setattr(packed_files.resources, "files", lambda _: tmp_path)
    card = calibrate("tiny", held_out.path, output=tmp_path / "mine.safetensors", options=OPTIONS)
    assert load_card(tmp_path / "mine.safetensors") == card
    assert not card.coverage and load_card(own).coverage
    assert calibrate("tiny", held_out.path, options=OPTIONS) == card
    assert own.read_bytes() == before
    with pytest.raises(FileExistsError, match=r"mine.safetensors exists"):
        calibrate("tiny", held_out.path, output=tmp_path / "mine.safetensors", options=OPTIONS)


def test_intervals_of_a_medium_are_not_lost(packed, held_out, tmp_path):
    path = tmp_path / "m.safetensors"
    shutil.copy(packed, path)
    before = path.read_bytes()
    complex_only = np.nonzero(np.asarray(held_out.medium) == held_out.media.index("complex"))[0]
    one = copy_rows(held_out, complex_only, tmp_path / "one")
    with pytest.raises(ValueError, match="one has no rows of defined, whose intervals would be"):
        calibrate(path, one.path, options=OPTIONS)
    assert path.read_bytes() == before


def test_rows_of_training_and_runs_are_refused(small_run, assay, tmp_path):
    path = tmp_path / "m.safetensors"
    other = tmp_path / "other"
    shutil.copytree(small_run, other)
    record = (other / "run.json").read_text()
    (other / "run.json").write_text(record.replace("held-out families", "another set"))
    pack([other], path)
    with pytest.raises(ValueError, match="the rows that member 1 was trained on, and none"):
        calibrate(path, assay.path)
    with pytest.raises(ValueError, match="is not a packed model"):
        calibrate(small_run, assay.path)
    with pytest.raises(ValueError, match="level must be between 0 and 1"):
        CalibrateOptions(level=90)
    pack([small_run], path, overwrite=True)
    with pytest.raises(ValueError, match="no intervals yet"):
        calibrate(path, native=assay.path)


def with_rule(run, folder, **train):
    """A copy of a run whose record holds other settings of training, and the record."""
    shutil.copytree(run, folder)
    record = json.loads((folder / "run.json").read_text())
    record["settings"]["train"].update(train)
    (folder / "run.json").write_text(json.dumps(record))
    return RunRecord.model_validate(record)


def test_calibration_rows_are_those_that_the_run_held_out(small_run, assay, tmp_path):
    """Another rule than the run's was used: 110 of 150 calibration rows were rows of training."""
    record = with_rule(small_run, tmp_path / "run", validation_by="homology")
    card = pack([tmp_path / "run"], tmp_path / "m.safetensors")
    chosen = choose_data(record.settings.train, assay)
    assert len(chosen.validation_rows) != card.members[0].data["validation_rows"]  # other families
    assert np.nonzero(trained_on(assay, card))[0].tolist() == chosen.rows.tolist()
    np.testing.assert_array_equal(
        unseen(assay, card).tokens, assay.tokens[np.asarray(chosen.validation_rows)]
    )


def test_rows_that_any_member_was_trained_on_are_no_calibration_rows(small_run, assay, tmp_path):
    records = [
        with_rule(small_run, tmp_path / f"run-{seed}", seed=seed, validation_by="sequence")
        for seed in (1, 2)
    ]
    card = pack([tmp_path / "run-1", tmp_path / "run-2"], tmp_path / "m.safetensors")
    held = [set(choose_data(r.settings.train, assay).validation_rows.tolist()) for r in records]
    assert set(np.nonzero(~trained_on(assay, card))[0].tolist()) == held[0] & held[1]


def test_a_test_set_of_training_rows_is_marked_in_the_card(small_run, assay, tmp_path, caplog):
    """It had been written into the card like any other test: r 0.985."""
    path = tmp_path / "m.safetensors"
    card = pack([small_run], path)
    held_out = card.members[0].data["validation_rows"]
    card = calibrate(path, tests=[assay.path], options=OPTIONS)
    assert sum(one["n"] for one in card.tests.values()) == held_out
    assert sum(one["left_out"] for one in card.tests.values()) == len(assay) - held_out
    assert f"{held_out} are scored" in caplog.text
    assert "NOT A TEST" not in "\n".join(card_lines(card))
    shutil.copytree(small_run, tmp_path / "run")
    record = (tmp_path / "run" / "run.json").read_text()
    (tmp_path / "run" / "run.json").write_text(record.replace("held-out families", "another set"))
    pack([tmp_path / "run"], path, overwrite=True)
    card = calibrate(path, tests=[assay.path], options=OPTIONS)
    assert sum(one["trained_on"] for one in card.tests.values()) == len(assay)
    assert "holds rows that the model was trained on" in caplog.text
    n = card.tests["assay:complex"]["n"]
    assert f"NOT A TEST: the model was trained on {n:,} of these rows" in "\n".join(
        card_lines(load_card(path))
    )


@pytest.fixture
def part_of_training(small_run, assay, tmp_path):
    """A data set of 150 rows that the run was trained on: another set by its fingerprint."""
    record = load_record(small_run)
    rows = choose_data(record.settings.train, assay).rows
    return copy_rows(assay, np.sort(rows)[:150], tmp_path / "part")


def test_a_test_set_of_some_training_rows_is_marked_in_the_card(
    small_run, part_of_training, tmp_path, caplog
):
    """Only complete training sets were found: a good r of training rows stood in the card."""
    path = tmp_path / "m.safetensors"
    pack([small_run], path)
    card = calibrate(path, tests=[part_of_training.path], options=OPTIONS)
    assert (
        "warning: the model was trained on rows of part: about 100 % of its inserts" in caplog.text
    )
    for one in card.tests.values():
        assert one["trained_on_about"] == one["n"]
    n = card.tests["part:complex"]["n"]
    lines = "\n".join(card_lines(load_card(path)))
    assert f"NOT A CLEAN TEST: the model was trained on about {n:,} of these rows" in lines


def test_held_out_rows_that_are_training_rows_are_refused(
    small_run, part_of_training, held_out, tmp_path, caplog
):
    path = tmp_path / "m.safetensors"
    pack([small_run], path)
    before = path.read_bytes()
    with pytest.raises(ValueError, match=r"trained on rows of part: .* too narrow: .* --without"):
        calibrate(path, part_of_training.path, options=OPTIONS)
    assert path.read_bytes() == before
    card = calibrate(path, held_out.path, tests=[held_out.path], options=OPTIONS)
    assert "trained on" not in caplog.text
    assert not any("trained_on_about" in one for one in card.tests.values())


def test_a_record_without_a_sketch_is_not_checked_and_says_so(
    small_run, part_of_training, tmp_path, caplog
):
    caplog.set_level("INFO")
    path = tmp_path / "m.safetensors"
    pack([run_without_sketch(small_run, tmp_path / "run")], path)
    calibrate(path, tests=[part_of_training.path], options=OPTIONS)
    assert "part: not checked for rows that the model was trained on" in caplog.text


def run_without_sketch(run, copy):
    """A copy of a run whose record has no sample of its training rows."""
    shutil.copytree(run, copy)
    record = json.loads((copy / "run.json").read_text())
    del record["data"]["training_sketch"]
    (copy / "run.json").write_text(json.dumps(record))
    return copy


def test_evaluate_warns_of_some_training_rows(
    small_run, part_of_training, held_out, assay, crmnet, caplog, tmp_path
):
    def logged(model, data):
        caplog.clear()
        assert crmnet("evaluate", model, data.path, "--resamples", 10)[0] == 0
        return caplog.text

    caplog.set_level("INFO")
    assert "warning: the model was trained on part: about 100 %" in logged(
        small_run, part_of_training
    )
    for other in (held_out, assay):  # the complete training set has a warning of its own
        found = logged(small_run, other)
        assert "about" not in found and "not checked" not in found
    without = run_without_sketch(small_run, tmp_path / "run")
    assert "part: not checked for rows that the model" in logged(without, part_of_training)


def test_intervals_widen_for_rows_like_the_unlike_ones(packed, held_out, tmp_path):
    path = tmp_path / "model.safetensors"
    shutil.copy(packed, path)
    rng = np.random.default_rng(0)
    inserts = ["".join(rng.choice(list("GGGGCCCCAT"), 80)) for _ in range(200)]
    media = [("complex", "defined")[i % 2] for i in range(200)]
    lines = [
        f"{insert}\t{label:.3f}\t{medium}"
        for insert, label, medium in zip(inserts, rng.uniform(0, 17, 200), media, strict=True)
    ]
    table = tmp_path / "rich.tsv"
    table.write_text("sequence\texpression\tmedium\n" + "\n".join(lines) + "\n")
    card = calibrate(path, held_out.path, unlike=table, options=OPTIONS)
    before, after = load_card(packed).calibration, card.calibration
    assert after.unlike_data["rows"] == 200 and not before.unlike_data
    assert after.familiar == before.familiar  # limits come from the rows like the training data
    assert all(interval.distance_slope > 0 for interval in after.intervals.values())
    assert " × distance" in "\n".join(card_lines(card))
    predictor = Predictor.load(path)
    rich, _ = prepare(*encode(inserts[:50]))
    usual = np.asarray(held_out.tokens)[:50]
    m, widths = predictor.media.index("complex"), []
    for tokens in (rich, usual):
        trust = predictor.assess_tokens(tokens)[1]
        spread = predictor.predict_with_spread(tokens)[1]
        distance = composition_distance(after.familiar, tokens)
        interval = after.intervals["complex"].half_width(spread[:, m], distance)
        wide = after.unlike_intervals["complex"].half_width(spread[:, m], distance)
        half = np.where([bool(flags) for flags in trust.unlike], wide, interval)
        np.testing.assert_allclose(trust.high[:, m] - trust.low[:, m], 2 * half, rtol=1e-4)
        widths.append(float(np.median(half)))
    assert widths[0] > widths[1]


def test_unlike_rows_need_held_out_rows(packed, held_out):
    with pytest.raises(ValueError, match="widens the intervals of held-out rows"):
        calibrate(packed, unlike=held_out.path)


def test_the_card_has_the_scale_of_predictions_and_the_errors_shared_with_another_model(
    packed, held_out, tmp_path
):
    other = tmp_path / "other.safetensors"
    write_rescaled(packed, {"complex": (3.0, -4.0)}, other)
    card = calibrate(
        packed, tests=[held_out.path], beside=other, output=tmp_path / "new.safetensors",
        options=OPTIONS,
    )  # fmt: skip
    rows = np.asarray(held_out.medium) == held_out.media.index("complex")
    measured = np.asarray(held_out.labels)[rows].astype(float)
    ours, theirs = (
        Predictor.load(file).predict_tokens(held_out.tokens[rows])[:, card.media.index("complex")]
        for file in (packed, other)
    )
    found = card.error_correlations["other"]["held:complex"]
    assert found.n == rows.sum()
    assert found.value == pytest.approx(np.corrcoef(measured - ours, measured - theirs)[0, 1])
    assert found.low < found.value < found.high
    test = card.tests["held:complex"]
    assert test["slope"] == pytest.approx(np.polyfit(ours, measured, 1)[0], rel=1e-4)
    spans = [np.subtract(*np.percentile(values, [99, 1])) for values in (ours, measured)]
    assert test["range"] == pytest.approx(spans[0] / spans[1], rel=1e-4)
    text = "\n".join(card_lines(card))
    assert f"held:complex: errors correlate with those of other: r {found.value:.3f} [" in text
    assert f"slope of measured on predicted {test['slope']:.2f}; predictions span" in text


def test_notes_stand_in_the_card(small_run, tmp_path):
    path = tmp_path / "noted.safetensors"
    pack([small_run], path, PackOptions(notes=("It learned from another model.",)))
    lines = card_lines(load_card(path))
    assert lines[lines.index("notes") + 1] == "  It learned from another model."


def test_rows_of_other_media_only_set_the_limits_of_inputs(small_run, held_out, tmp_path, caplog):
    path = tmp_path / "one.safetensors"
    pack([small_run], path, PackOptions(media=("complex",)))
    caplog.set_level(logging.INFO, "crmnet")
    found = calibrate(path, held_out.path, options=OPTIONS).calibration
    assert list(found.intervals) == ["complex"]
    complex_rows = np.asarray(held_out.medium) == held_out.media.index("complex")
    assert found.intervals["complex"].rows == complex_rows.sum()
    limits = fit_input_limits(held_out.tokens, {}, OPTIONS.tail)
    assert found.familiar.composition == limits.composition
    assert "only set the limits of unusual inputs" in caplog.text
