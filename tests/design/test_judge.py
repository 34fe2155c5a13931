"""Which labels oracle and judge share, and who judges a medium that only one of them knows."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from crmnet.data.sketch import Sketch
from crmnet.design import judge
from crmnet.design.judge import choose_panel, open_scorer, shared_labels
from crmnet.design.objective import Objective
from crmnet.design.scorer import Assessment, Scorer, held_out_member
from crmnet.models.ensemble import Ensemble, Member
from crmnet.prediction.predictor import Predictor
from crmnet.runs.record import SKETCH
from toys import Linear, linear_predictor


def scorer(seed, *data, name="toy", media=("complex",), members=1):
    predictor = linear_predictor(seed, media, members)
    predictor.records = [SimpleNamespace(data=entry) for entry in data]
    return Scorer.of(predictor, name)


def sketch(seed, rows=400):
    rng = np.random.default_rng(seed)
    tokens = rng.integers(4, size=(rows, 80), dtype=np.uint8)
    return Sketch.of(tokens).to_text()


def test_one_model_in_two_roles():
    assert "are the same model" in shared_labels(scorer(1), scorer(1))


def test_models_without_records():
    known = scorer(1, {"fingerprint": "a", "name": "rows"})
    assert "is unknown: a model has no record" in shared_labels(known, scorer(2))


def test_a_common_training_set():
    one = scorer(1, {"fingerprint": "a", "name": "rows"}, {"fingerprint": "b", "name": "more"})
    two = scorer(2, {"fingerprint": "b", "name": "more"})
    assert shared_labels(one, two) == (
        "oracle and judge share training labels: both learned from more"
    )


def test_a_pupil_and_its_teacher():
    teacher = scorer(1, {"fingerprint": "a", "name": "rows"})
    labels = {"fingerprint": "b", "name": "soft", "labelled_by": teacher.predictor.identity}
    pupil = scorer(2, labels)
    assert "the oracle learned from the judge's predictions" in shared_labels(pupil, teacher)
    assert "the judge learned from the oracle's predictions" in shared_labels(teacher, pupil)
    third = scorer(3, {"fingerprint": "c", "name": "measured"})
    assert shared_labels(pupil, third) == (
        "oracle and judge share no label: those of the oracle are predictions of another model, "
        "those of the judge are not"
    )


def test_sketches_of_training_rows():
    one = scorer(1, {"fingerprint": "a", "name": "one", SKETCH: sketch(1)})
    other = scorer(2, {"fingerprint": "b", "name": "two", SKETCH: sketch(2)})
    assert "share no training promoter, as far as a sample" in shared_labels(one, other)
    half = Sketch.from_text(sketch(1)).merged(Sketch.from_text(sketch(3))).to_text()
    both = scorer(3, {"fingerprint": "c", "name": "both", SKETCH: half})
    assert "about 100 % of the promoters of the smaller" in shared_labels(one, both)
    bare = scorer(4, {"fingerprint": "d", "name": "bare"})
    assert "whether these share rows is unknown" in shared_labels(one, bare)


def test_a_member_judges_a_medium_that_the_judge_lacks():
    data = {"fingerprint": "a", "name": "rows"}
    both = scorer(1, data, data, data, name="wide", media=("complex", "dream"), members=3)
    narrow = scorer(9, {"fingerprint": "b", "name": "other"}, name="narrow")
    panel = choose_panel(both, narrow, narrow, ["dream"])
    assert panel.oracle.name == "wide without member 3"
    assert panel.judge.name == "member 3 of wide"
    assert panel.ranker is panel.judge
    assert "members of one ensemble and share its training labels" in panel.shared
    assert panel.notes[0].startswith("narrow does not predict dream: wide without member 3 opti")
    # The other way round, the judge's ensemble takes both roles.
    panel = choose_panel(narrow, both, both, ["dream"])
    assert (panel.oracle.name, panel.ranker.name) == ("wide without member 3", "wide")
    with pytest.raises(ValueError, match=r"neither narrow .complex. nor narrow .* predicts grape"):
        choose_panel(narrow, narrow, narrow, ["grape"])


def test_a_member_of_the_ranker_judges_where_the_judge_is_a_single_network():
    narrow = Scorer.of(linear_predictor(media=("complex",)), "narrow")
    single = Scorer.of(linear_predictor(media=("complex", "dream")), "single")
    ranker = Scorer.of(linear_predictor(media=("complex", "dream"), members=3), "ranker")
    panel = choose_panel(narrow, single, ranker, ["complex", "dream"])
    assert (panel.oracle.name, panel.judge.name) == (
        "ranker without member 3", "member 3 of ranker")  # fmt: skip
    assert panel.notes[0].startswith("narrow does not predict dream: ranker without member 3")
    media = ["complex", "dream"]
    message = r"narrow .complex. does not predict dream, and single has 1 network for complex and "
    with pytest.raises(ValueError, match=message + "dream.* another oracle with --oracle"):
        choose_panel(narrow, single, single, media)
    with pytest.raises(ValueError, match=message + "dream.* another judge with --judge"):
        choose_panel(single, narrow, single, media)


def test_an_output_for_two_media_serves_each_but_not_their_difference():
    pooled = Scorer.of(linear_predictor(media=("dream", "complex+defined")), "pooled")
    assert pooled.knows(["defined"]) and pooled.knows(["dream", "complex"])
    assert not pooled.knows(["complex", "defined"]) and not pooled.knows(["grape"])
    assert not pooled.knows_uncertainty("defined")
    assert choose_panel(pooled, pooled, pooled, ["defined"]).judge is pooled
    expression = np.array([[1.0, 4.0], [2.0, 7.0]])
    value = Objective("maximise", "defined").value(expression, pooled.media)
    assert value.tolist() == [4, 7]
    apart = Objective("separate", "complex", "dream")
    assert apart.value(expression, pooled.media).tolist() == [3, 5]
    wide = Assessment(pooled.media, expression, np.array([[3.0, 4.0]]), np.zeros(1))
    assert apart.half_width(wide).tolist() == [5]
    with pytest.raises(ValueError, match=r"neither pooled .* predicts complex and defined"):
        choose_panel(pooled, pooled, pooled, ["complex", "defined"])


def of_members(*own_columns):
    """An ensemble of two media, of members that have some of them."""
    members = [
        Member(Linear(seed, media=sum(c is not None for c in columns)), columns, 112)
        for seed, columns in enumerate(own_columns)
    ]
    media = ["complex", "dream"]
    predictor = Predictor(Ensemble(members).eval(), media, torch.device("cpu"))
    return Scorer.of(predictor, "wide")


def test_a_held_out_member_has_the_media_that_it_predicts():
    tokens = np.random.default_rng(0).integers(4, size=(3, 112), dtype=np.uint8)
    whole = of_members((0, 1), (0, 1), (None, 0))
    rest, member = held_out_member(whole, ["dream"])
    assert (rest.media, member.media) == (["complex", "dream"], ["dream"])
    alone = member.assess(tokens).expression[:, 0]
    expected = [2 * rest.assess(tokens).expression[:, 1], whole.assess(tokens).expression[:, 1]]
    np.testing.assert_allclose(alone, 3 * expected[1] - expected[0], rtol=1e-4, atol=1e-4)
    # The member that is held out is the only one with complex medium.
    rest, member = held_out_member(of_members((None, 0), (0, 1)), ["dream"])
    assert (rest.media, member.media) == (["dream"], ["complex", "dream"])
    assert np.isfinite(rest.assess(tokens).expression).all()


def test_notes_on_what_the_oracle_does_not_know():
    one, other = scorer(1, name="one"), scorer(2, name="other")
    panel = choose_panel(one, other, other, ["complex"])
    assert any("one has the same uncertainty for every promoter" in note for note in panel.notes)
    assert any("one is not calibrated" in note for note in panel.notes)


def test_a_missing_default_model_names_the_option(monkeypatch):
    monkeypatch.setattr(judge, "ORACLE", "yeast-absent")
    message = "yeast-absent, the default oracle, is not one of the bundled models .* --oracle"
    with pytest.raises(FileNotFoundError, match=message):
        open_scorer("yeast-absent", "oracle")
    with pytest.raises(FileNotFoundError, match="no-such-model: no such run folder"):
        open_scorer("no-such-model", "judge")


def test_modules_and_predictors_are_taken_as_they_are():
    module = open_scorer(Linear(length=30), "oracle", length=30)
    assert module.bare
    assert module.media == ["output"]
    assert open_scorer(module, "judge") is module
    assert Scorer.of(Linear(media=2, length=30), length=30).media == ["output_1", "output_2"]
