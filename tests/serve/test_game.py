"""GAME: requests that are valid, invalid and impossible, as the specification says."""

import json

import msgpack
import pytest

from crmnet.evaluation.game_names import MEDIA, cell_type, medium_of
from crmnet.serve.game import (
    GameError,
    answer_of,
    decode,
    help_of,
    predictor_name,
    read_request,
)
from crmnet.serve.limits import Limits

LIMITS = Limits(sequence_bases=120, game_sequences=50)
MODEL = {"name": "toy", "about": "a toy", "length": 112,
         "media": [{"name": "complex"}, {"name": "defined"}]}  # fmt: skip
TASK = {"name": "t1", "type": "expression", "cell_type": "YPD",
        "species": "saccharomyces_cerevisiae"}  # fmt: skip
REQUEST = {"readout": "point", "prediction_tasks": [TASK], "sequences": {"s1": "ACGT", "s2": "NNA"}}


def read(**changed):
    content = {**REQUEST, **changed}
    return read_request({k: v for k, v in content.items() if v is not ...}, MODEL, LIMITS)


def task(**changed):
    content = {**TASK, **changed}
    return {"prediction_tasks": [{k: v for k, v in content.items() if v is not ...}]}


def test_a_valid_request():
    asked = read(upstream_seq="TT", downstream_seq="G", prediction_ranges={"s1": [0, 6], "s2": []})
    assert asked.sequences == {"s1": "TTACGTG", "s2": "TTNNAG"}
    assert [one.medium for one in asked.tasks] == ["complex"]


@pytest.mark.parametrize(
    ("changed", "text"),
    [
        ({"readout": ...}, "readout is missing"),
        ({"sequences": ...}, "sequences is missing"),
        ({"prediction_tasks": ...}, "prediction_tasks is missing"),
        ({"readout": "area"}, "readout must be"),
        ({"readout": ["point"]}, "readout must be"),
        ({"prediction_tasks": []}, "1 to 100"),
        ({"prediction_tasks": ["x"]}, "must be a map"),
        (task(name=...), "name must be"),
        (task(cell_type=3), "cell_type must be"),
        (task(species="Yeast"), "lower case"),
        (task(type="taste"), "type is unknown"),
        (task(type="binding_"), "type is unknown"),
        (task(scale="square"), "scale must be"),
        (task(name="\ud800"), "name must be"),
        ({"sequences": {}}, "at least one id"),
        ({"sequences": ["ACGT"]}, "at least one id"),
        ({"sequences": {"a b": "ACGT"}}, "not allowed"),
        ({"sequences": {"s1": ""}}, "at least one base"),
        ({"sequences": {"s1": 5}}, "at least one base"),
        ({"upstream_seq": 5}, "upstream_seq must be text"),
        ({"prediction_ranges": {"s1": []}}, "must have the ids"),
        ({"prediction_ranges": {"s1": [1], "s2": []}}, r"\[start, end\]"),
        ({"prediction_ranges": {"s1": [1, 2.0], "s2": []}}, r"\[start, end\]"),
        ({"prediction_ranges": {"s1": [True, True], "s2": []}}, r"\[start, end\]"),
    ],
)
def test_an_invalid_request_is_a_bad_prediction_request(changed, text):
    with pytest.raises(GameError, match=text) as error:
        read(**changed)
    assert (error.value.key, error.value.status) == ("bad_prediction_request", 400)


@pytest.mark.parametrize(
    ("changed", "text"),
    [
        ({"readout": "track"}, "readout point"),
        ({"sequences": {"s1": "A" * 121}}, "at most 120"),
        ({"sequences": {f"s{i}": "A" for i in range(51)}}, "at most 50 sequences"),
        ({"prediction_ranges": {"s1": [0, 4], "s2": []}}, "outside the sequence"),
        ({"prediction_ranges": {"s1": [3, 1], "s2": []}}, "outside the sequence"),
        (task(type="accessibility"), "cannot predict accessibility"),
        (task(type="binding_GCN4"), "only expression"),
        (task(species="homo_sapiens"), "one species"),
        (task(cell_type="K562"), "S288C_YPD, S288C_SC-Ura"),
        (task(cell_type="Chardonnay"), "does not know"),
    ],
)
def test_an_impossible_request_has_failed(changed, text):
    with pytest.raises(GameError, match=text) as error:
        read(**changed)
    assert (error.value.key, error.value.status) == ("prediction_request_failed", 422)


def test_all_faults_are_listed():
    with pytest.raises(GameError) as error:
        read(readout="area", **task(name=..., type="taste"))
    assert len(error.value.body()["error"]) == 3
    assert all(list(one) == ["bad_prediction_request"] for one in error.value.body()["error"])


@pytest.mark.parametrize("name", ["YPD", "ypd", "S288C_YPD", "complex", "yeast_YPD", "Complex"])
def test_names_of_a_medium(name):
    assert medium_of(name, ["defined", "complex"]) == "complex"


def test_each_medium_has_its_own_name():
    assert len({cell_type(medium) for medium in MEDIA}) == len(MEDIA)
    for medium in [*MEDIA, "lemonade"]:
        assert medium_of(cell_type(medium), [*MEDIA, "lemonade"]) == medium
    assert medium_of("K562", list(MEDIA)) is None


def test_an_answer_has_one_number_in_a_list():
    two = [TASK, {**TASK, "name": "t2", "cell_type": "SC-Ura", "scale": "linear"}]
    asked = read(prediction_tasks=two)
    values = {"complex": {"s1": 1.5, "s2": 2.0}, "defined": {"s1": 3.0, "s2": 4.0}}
    answer = answer_of(asked, values, "toy")
    assert next(iter(answer)) == "predictor_name" and answer["predictor_name"] == "crmnet_toy_dev"
    first, second = answer["prediction_tasks"]
    assert first["predictions"] == {"s1": [1.5], "s2": [2.0]}
    assert second["predictions"] == {"s1": [3.0], "s2": [4.0]}
    assert first["type_actual"] == ["expression"] and first["cell_type_actual"] == "S288C_YPD"
    assert "scale_prediction_requested" not in first
    assert second["scale_prediction_requested"] == "linear"


def test_help_has_parallel_lists():
    about = help_of(MODEL)
    assert about["game_schema_version"] == "1.0" and about["input_size"] == 112
    assert len(about["features"]) == len(about["cell_types"]) == 2


def test_inside_apptainer_the_name_has_the_time_of_the_image(tmp_path, monkeypatch):
    labels = tmp_path / "labels.json"
    labels.write_text(
        json.dumps({"org.label-schema.build-date": "Monday_2_December_2024_10:30:05_UTC"})
    )
    monkeypatch.setattr("crmnet.serve.game.LABELS", labels)
    assert predictor_name("yeast") == "crmnet_yeast_20241202-103005_UTC"
    labels.write_text("{")
    assert predictor_name("yeast") == "crmnet_yeast_dev"


def nested(depth):
    return b"[" * depth + b"]" * depth


@pytest.mark.parametrize(
    "body", [b"", b"{", b"\xff\xfe", nested(200_000), b"9" * 5000, b'{"a":' * 100_000]
)
def test_a_body_that_is_not_json(body):
    with pytest.raises(GameError, match="not JSON") as error:
        decode(body, "application/json", LIMITS)
    assert error.value.status == 400 and len(error.value.messages[0]) < 300


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\xc1",
        b"\x91" * 200_000,  # deep nesting
        b"\xdd\xff\xff\xff\xff",  # an array of 4 billion
        b"\xdf\xff\xff\xff\xff",
        b"\xdb\xff\xff\xff\xffab",
        msgpack.packb(msgpack.ExtType(5, b"x")),
        msgpack.packb({1: 2}),
        msgpack.packb(list(range(51))),
        msgpack.packb(1) + b"more",
        b"\xa2\xff\xfe",  # not UTF-8
    ],
)
def test_a_body_that_is_not_messagepack(body):
    with pytest.raises(GameError, match="not MessagePack") as error:
        decode(body, "application/msgpack", LIMITS)
    assert error.value.status == 400


def test_both_formats_give_the_same():
    for body, kind in ((json.dumps(REQUEST).encode(), "application/json"),
                       (msgpack.packb(REQUEST), "application/msgpack")):  # fmt: skip
        assert decode(body, kind, LIMITS) == REQUEST
