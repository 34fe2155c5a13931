"""Damaged and hostile models, settings and recipes: each is a ValueError that names the file."""

import json
import time

import pytest
import torch
from safetensors.torch import save_file

from crmnet.models import build
from crmnet.runs.folder import (
    RECORD,
    WEIGHTS,
    build_network,
    load_run,
    load_tensors,
    save_record,
    save_weights,
)
from crmnet.runs.model_card import ModelCard
from crmnet.runs.packed import (
    CARD,
    _fingerprint,
    bundled,
    load_card,
    load_packed,
    pack,
    start_record,
)
from crmnet.runs.record import RunRecord, Scale, versions
from crmnet.runs.settings import resolve
from crmnet.training.resume import load_state

pytestmark = pytest.mark.slow

TINY = ["encoder=[4,4]", "decoder=[4]", "tail=[2]", "transformer_blocks=1", "heads=1"]


@pytest.fixture
def run(tmp_path):
    record = RunRecord(
        settings=resolve("small", [*TINY, "key_dim=4", "feed_forward=4", "dense=[4,4]"]),
        media=["complex"],
        scale={"complex": Scale(mean=8.0, sd=4.0)},
        data={"name": "made by hand"},
        versions=versions(),
        finished=True,
    )
    torch.manual_seed(0)
    save_record(tmp_path / "run", record)
    save_weights(tmp_path / "run", build("crmnet-small", **record.settings.model.settings))
    return tmp_path / "run"


def put(values, path, value):
    """Set the value at ``a.b.c`` of nested dictionaries and lists."""
    *above, last = path.split(".")
    for key in above:
        values = values[int(key)] if isinstance(values, list) else values[key]
    if isinstance(values, list):
        values[int(last)] = value
    else:
        values[last] = value


RECORDS = [
    ("settings.model.name", "crmnt", "model must be one of"),
    ("settings.model.name", 5, "settings.model.name"),
    ("settings.model.settings.transformer_blocks", 10**9, "transformer_blocks must be at most 64"),
    ("settings.model.settings.transformer_blocks", 60, "lacks tensor"),
    ("settings.model.settings.encoder", [65536, 65536], "the network needs"),
    ("settings.model.settings.encoder", [2**40, 4], "each entry of encoder must be at most"),
    ("settings.model.settings.encoder", ["a", 4], "each entry of encoder must be int"),
    ("settings.model.settings.encoder", [[4], 4], "each entry of encoder must be int"),
    ("settings.model.settings.dense", [4] * 9999, "dense must have at most 64 entries"),
    ("settings.model.settings.heads", 0, "heads must be at least 1"),
    ("settings.model.settings.heads", True, "heads must be int"),
    ("settings.model.settings.length", 2**20, "length must be at most 1,024"),
    ("settings.model.settings.conv_dropout", 7.0, "conv_dropout must be at least 0 and less"),
    ("settings.model.settings.dense_dropout", [-1.0, 0.0], "each entry of dense_dropout"),
    ("settings.model.settings.kernel", 10**30, "too large a number"),
    ("settings.model.settings.headz", 3, "no setting 'headz'"),
    ("settings.model.settings.n_media", 2, "the network needs"),
    ("settings.model.settings", [], "settings.model.settings"),
    ("settings.train.loss", "soft-bins", "lacks tensor 'network.encoder"),
    ("settings.train.epochs", "many", "settings.train.epochs"),
    ("settings.train.surprise", 1, "settings.train.surprise: extra inputs"),
    ("settings.train.learning_rate", float("inf"), "learning_rate is not a finite number"),
    ("media", [], "media names no output"),
    ("media", ["complex", "complex"], "media names 'complex' twice"),
    ("media", ["complex\x1b[31m"], r"control character: .*x1b"),
    ("media", ["complex", "defined"], "scale has no entry for the output 'defined'"),
    ("media", [7], "media"),
    ("scale.complex.sd", 0, "scale.complex.sd"),
    ("scale.complex.mean", float("nan"), "scale.complex.mean is not a finite number"),
    ("scale", {}, "scale has no entry for the output 'complex'"),
    ("data", {"units": 5}, "data.units must name texts"),
    ("data", {"training_rows": "x"}, "data.training_rows must be a number of rows"),
    ("data", {"training_rows": 5, "name": "x"}, "data lacks validation"),
    ("data", {"name": "\x1b]0;owned\x07"}, "data.name holds a control character"),
    ("data", {"name": "\ud800"}, "data.name holds a control character"),
    ("best", {"epoch": -1, "metrics": {}}, "best.epoch"),
    ("format", [1], r"has format \[1\]"),
    ("surprise", 1, "surprise: extra inputs"),
]


@pytest.mark.parametrize(("key", "value", "message"), RECORDS)
def test_a_hostile_record_is_refused_in_one_line_that_names_its_file(run, key, value, message):
    raw = json.loads((run / RECORD).read_text())
    put(raw, key, value)
    (run / RECORD).write_text(json.dumps(raw))
    start = time.process_time()
    with pytest.raises(ValueError, match=message) as caught:
        load_run(run)
    assert str(run) in str(caught.value)
    assert len(str(caught.value)) < 500 + len(str(run))
    assert "\x1b" not in str(caught.value)
    assert time.process_time() - start < 2


@pytest.mark.parametrize(
    "text", ["[" * 100_000, '{"a":' * 100_000, '{"format": 1e999}', "{}" + " " * 10_000_001, "\xff"]
)
def test_a_record_that_is_no_record_is_refused(run, text):
    (run / RECORD).write_bytes(text.encode("latin-1"))
    with pytest.raises(ValueError, match=r"run\.json"):
        load_run(run)


FLOAT = "encoder.0.0.conv.weight"
WEIGHT_CHANGES = [
    (lambda t: t.update({"extra": torch.zeros(1)}), "holds tensor"),
    (lambda t: t.pop(min(t)), "lacks tensor"),
    (lambda t: t[FLOAT].fill_(float("nan")), "holds NaN or infinity"),
    (lambda t: t[FLOAT].fill_(float("-inf")), "holds NaN or infinity"),
    (lambda t: t.update({FLOAT: t[FLOAT].to(torch.int32)}), "is torch.int32, the network needs"),
    (lambda t: t.update({FLOAT: t[FLOAT].to(torch.complex64)}), "torch.complex64|not a safetens"),
    (lambda t: t.update({FLOAT: t[FLOAT] * 1e38 * 1e38}), "NaN or infinity"),
    (lambda t: t.update({k: torch.full_like(v, 3e38) for k, v in t.items()
                         if v.is_floating_point()}), "does not predict finite numbers"),
    (lambda t: t.update({k: -torch.ones_like(v) for k, v in t.items() if "running_var" in k}),
     "is a variance below 0"),
]  # fmt: skip


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize(("change", "message"), WEIGHT_CHANGES)
def test_hostile_weights_are_refused(run, tmp_path, change, message, packed):
    tensors = load_tensors(run / WEIGHTS)
    change(tensors)
    if not packed:
        save_file(tensors, run / WEIGHTS)
        with pytest.raises(ValueError, match=message):
            load_run(run)
        return
    card = pack([run], tmp_path / "m.safetensors")
    tensors = {name if name == "extra" else f"0.{name}": value for name, value in tensors.items()}
    card = card.model_copy(update={"fingerprint": _fingerprint(tensors, card)})
    save_file(tensors, tmp_path / "m.safetensors", metadata={CARD: card.model_dump_json()})
    with pytest.raises(ValueError, match=message) as caught:
        load_packed(tmp_path / "m.safetensors")
    assert "m.safetensors" in str(caught.value)


CARDS = [
    ("members", [], "members names no network"),
    ("media", ["defined"], "no member predicts 'defined'"),
    ("name", "\x1b[2Jowned", "name holds a control character"),
    ("about", "two\nlines", "about holds a control character"),
    ("not_for", ["\x9b31m"], "holds a control character"),
    ("tests", {"x": {"n": "many"}}, "tests.x.n must be a number"),
    ("tests", {"x": {"n": 1, "families": 1, "pearson": 3}}, "tests.x.pearson must hold value"),
    ("members.0.settings.model.settings.transformer_blocks", 10**9, "at most 64"),
    ("storage", "int3", "storage"),
    ("fingerprint", "0", "weights do not belong"),
    ("calibration", {"level": 2}, "calibration"),
    ("surprise", 1, "surprise: extra inputs"),
]


@pytest.mark.parametrize(("key", "value", "message"), CARDS)
def test_a_hostile_card_is_refused_in_one_line_that_names_its_file(
    run, tmp_path, key, value, message
):
    path = tmp_path / "m.safetensors"
    raw = json.loads(pack([run], path).model_dump_json())
    tensors = load_tensors(path)
    put(raw, key, value)
    if key.startswith("members.0"):
        raw["fingerprint"] = _fingerprint(
            tensors,
            ModelCard.model_construct(
                media=raw["media"], members=[RunRecord.model_validate(raw["members"][0])]
            ),
        )
    save_file(tensors, path, metadata={CARD: json.dumps(raw)})
    with pytest.raises(ValueError, match=message) as caught:
        load_packed(path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("text", ["", "[]", "{", "[" * 100_000, '"x"', "null"])
def test_a_card_that_is_no_json_object_is_refused(run, tmp_path, text):
    path = tmp_path / "m.safetensors"
    pack([run], path)
    save_file(load_tensors(path), path, metadata={CARD: text})
    with pytest.raises(ValueError, match=r"m\.safetensors: its card is damaged"):
        load_packed(path)


def test_a_damaged_state_is_refused(tmp_path):
    path = tmp_path / "state.safetensors"
    for metadata in (None, {"structure": "{"}, {"structure": '["tensor", "9"]'},
                     {"structure": '["plain", 3]'}):  # fmt: skip
        save_file({"0": torch.zeros(1)}, path, metadata=metadata)
        with pytest.raises(ValueError, match="does not hold a state of training"):
            load_state(path)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("model.name=5", "--set model.name=5: model must be the name of a network"),
        ("model.name=[1]", r"--set model.name=\[1\]: model must be the name of a network"),
        ("model.encoder=5", "--set model.encoder=5: encoder must be a list"),
        ("encoder=[[1]]", "each entry of encoder must be int"),
        ("model.heads=nan", "heads must be int"),
        ("model.kernel=99999999999", "kernel must be at most 65,536"),
        ("model.conv_dropout=1.5", "--set model.conv_dropout=1.5: conv_dropout must be at least 0"),
        ("learning_rate=nan", "--set learning_rate=nan: train.learning_rate"),
        ("learning_rate=inf", "train.learning_rate"),
        ("epochs=99999999999999999999", "train.epochs"),
        ("seed=-1", "--set seed=-1: train.seed"),
        ("batch_size=" + "[" * 5000, "train.batch_size"),
        ("train.=5", "no setting train."),
        ("train.epochs.x=5", "no setting train.epochs.x"),
        ("model.=5", "no setting ''"),
    ],
)
def test_a_hostile_override_is_named(override, message):
    with pytest.raises(ValueError, match=message):
        resolve("small", [override])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("model = 5\n", r"mine\.toml: model must be a section"),
        ("[train]\nseed = 1\nepochs = 0\n", r"mine\.toml, line 3: train\.epochs = 0"),
        ("[model]\nname = 'crmnet'\nkernel = 4\n", r"mine\.toml, line 3: kernel must be odd"),
        ("[model]\nname = 'x'\n", r"mine\.toml, line 2: model must be one of"),
        ("[train]\nepoch = 3\n", r"mine\.toml, line 2: no setting train\.epoch"),
        ("[train]\nepochs = \n", r"mine\.toml: not valid TOML: .*line 2"),
        ("a = " + "[" * 100_000, r"mine\.toml: not valid TOML"),
        ("[train]\n\xff", r"mine\.toml, line 2: not UTF-8"),
        ("#" * 1_000_001, r"mine\.toml is damaged: it is larger"),
    ],
)
def test_errors_in_a_recipe_name_its_file_and_line(tmp_path, text, message):
    (tmp_path / "mine.toml").write_bytes(text.encode("latin-1"))
    with pytest.raises(ValueError, match=message):
        resolve(str(tmp_path / "mine.toml"))


def test_training_starts_from_a_run_or_the_first_network_of_a_model(run, tmp_path):
    pack([run], tmp_path / "one.safetensors")
    assert start_record(run) == start_record(tmp_path / "one.safetensors")
    for name in ("yeast", "yeast-fast"):
        assert start_record(name) == load_card(bundled()[name]).members[0]
    with pytest.raises(FileNotFoundError, match="no such run folder, packed file or bundled"):
        start_record(tmp_path / "nowhere")


def test_a_network_that_no_memory_holds_is_not_built():
    wide = ["encoder=[65536,65536]", "decoder=[]", "tail=[]", "dense=[4]", "dense_dropout=[0.1]"]
    record = RunRecord(
        settings=resolve("small", wide), media=["complex"], scale={"complex": Scale()},
        data={}, versions=versions(),
    )  # fmt: skip
    with pytest.raises(ValueError, match=r"would have [\d,]+ parameters, more than 1,000,000,000"):
        build_network(record)


@pytest.mark.parametrize(
    ("recipe", "override", "message"),
    [
        ("legnet", "model.per_group=3", "do not give a network: in_channels must be divisible"),
        ("danq", "model.pool=500", "leave nothing for layer"),
    ],
)
def test_settings_that_fit_no_network_are_named(recipe, override, message):
    record = RunRecord(
        settings=resolve(recipe, [override]), media=["complex"], scale={"complex": Scale()},
        data={}, versions=versions(),
    )  # fmt: skip
    with pytest.raises(ValueError, match=message):
        build_network(record)
