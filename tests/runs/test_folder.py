import json

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from crmnet.models import build
from crmnet.runs.folder import (
    RECORD,
    WEIGHTS,
    load_run,
    load_strictly,
    load_tensors,
    save_record,
    save_weights,
)
from crmnet.runs.packed import load_card
from crmnet.runs.record import RunRecord, Scale, versions
from crmnet.runs.settings import resolve
from crmnet.training.resume import load_state, save_state


@pytest.fixture
def run(tmp_path):
    record = RunRecord(
        settings=resolve("small", ["n_media=1", "encoder=[4,4]", "decoder=[4]", "tail=[2]"]),
        media=["complex"],
        scale={"complex": Scale(mean=8.0, sd=4.0)},
        data={},
        versions=versions(),
    )
    torch.manual_seed(0)
    save_record(tmp_path, record)
    save_weights(tmp_path, build("crmnet-small", **record.settings.model.settings))
    return tmp_path


def test_a_run_is_loaded_as_it_was_saved(run):
    network, record = load_run(run)
    assert record.scale["complex"].sd == 4.0
    assert not network.training
    again, _ = load_run(run)
    for name, value in network.state_dict().items():
        assert torch.equal(value, again.state_dict()[name])


def test_weights_are_readable_for_all_users(run):
    other = run / "other"
    other.touch()
    assert (run / WEIGHTS).stat().st_mode == other.stat().st_mode


def test_weights_that_cannot_be_opened_are_not_called_missing(tmp_path):
    (tmp_path / WEIGHTS).symlink_to(WEIGHTS)  # nobody can open it, not even root
    with pytest.raises(OSError, match="symbolic links"):
        load_tensors(tmp_path / WEIGHTS)
    with pytest.raises(OSError, match="symbolic links"):
        load_card(tmp_path / WEIGHTS)


def test_missing_folder_record_or_weights_are_named(run, tmp_path):
    with pytest.raises(FileNotFoundError, match="no such run folder"):
        load_run(tmp_path / "nowhere")
    (run / WEIGHTS).unlink()
    with pytest.raises(FileNotFoundError, match="has not finished an epoch"):
        load_run(run)
    (run / RECORD).unlink()
    with pytest.raises(ValueError, match="not a run folder"):
        load_run(run)


def test_an_unknown_format_is_an_error(run):
    raw = json.loads((run / RECORD).read_text())
    (run / RECORD).write_text(json.dumps({**raw, "format": 99}))
    with pytest.raises(ValueError, match="format 99"):
        load_run(run)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"format": 1}'])
def test_a_damaged_record_is_named(run, text):
    (run / RECORD).write_text(text)
    with pytest.raises(ValueError, match=r"run.json is damaged"):
        load_run(run)


def test_damaged_weights_are_named(run):
    (run / WEIGHTS).write_bytes(b"not weights")
    with pytest.raises(ValueError, match=r"weights.safetensors is damaged"):
        load_run(run)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.pop("bias"), r"lacks tensor 'bias' \(3,\)"),
        (lambda t: t.update(bias=torch.zeros(4)), r"'bias' is \(4,\), the network needs \(3,\)"),
        (lambda t: t.update(extra=torch.zeros(1)), "'extra', which the network does not have"),
    ],
)
def test_weights_must_fit_exactly(tmp_path, change, message):
    network = torch.nn.Linear(2, 3)
    tensors = dict(network.state_dict())
    change(tensors)
    with pytest.raises(ValueError, match=message):
        load_strictly(network, tensors, tmp_path)


plain = (
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False)
    | st.text()
)
nested = st.recursive(
    plain,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.tuples(inner, inner)
        | st.dictionaries(st.text() | st.integers(), inner, max_size=3)
    ),
    max_leaves=8,
)


@settings(max_examples=15, deadline=None, derandomize=True)
@given(content=nested)
def test_a_state_is_loaded_as_it_was_saved(content, tmp_path_factory):
    path = tmp_path_factory.mktemp("state") / "state.safetensors"
    tensor = torch.arange(6.0).reshape(2, 3)
    save_state(path, {"content": content, 0: {"step": tensor, "count": torch.tensor(3)}})
    state = load_state(path)
    assert state["content"] == content
    assert type(state["content"]) is type(content)
    assert torch.equal(state[0]["step"], tensor)
    assert state[0]["count"].shape == ()


def test_a_state_that_needs_a_pickle_is_an_error(tmp_path):
    with pytest.raises(TypeError, match="may not hold object"):
        save_state(tmp_path / "s", {"a": object()})
    assert not list(tmp_path.iterdir())
