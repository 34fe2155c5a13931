"""Published weights: names and shapes without TensorFlow; with it, known predictions."""

import importlib.util
import json
import subprocess
import sys
import tarfile

import numpy as np
import pytest
import torch

from crmnet.models import build
from crmnet.models.crmnet.published import _plan, published_state
from crmnet.runs.folder import load_run
from crmnet.runs.published import import_published
from crmnet.sequence import encode, one_hot
from support import SHARED

ARCHIVE = SHARED / "reference" / "keras_crmnet.tar.xz"
has_tensorflow = importlib.util.find_spec("tensorflow") is not None
needs_reference = pytest.mark.skipif(
    not (ARCHIVE.is_file() and has_tensorflow),
    reason=f"needs {ARCHIVE} and TensorFlow (pip install 'crmnet[keras]')",
)


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    return build("crmnet")


def keras_names(offset=0):
    """Our tensor names → names in a Keras session whose counters start at ``offset``."""
    names = {}
    for ours, (kind, rank, variable) in _plan():
        number = rank + offset
        names[ours] = f"box_{rank}/{kind}{f'_{number}' if number else ''}/{variable}"
    return names


def to_keras(ours, value, name):
    """Inverse of the import, written independently: axes of torch → axes of Keras."""
    value = value.numpy()
    if value.ndim == 3:
        return value.transpose(2, 1, 0)
    if "attend" in ours and ours.endswith("weight"):
        shape = (12, 256, 256) if "attention_output" in name else (256, 12, 256)
        return value.T.reshape(shape)
    if "attend" in ours and ours.endswith("bias") and "output" not in ours:
        return value.reshape(12, 256)
    return value.T if value.ndim == 2 else value


@pytest.fixture(scope="module")
def named(network):
    state = network.state_dict()
    return {name: to_keras(ours, state[ours], name) for ours, name in keras_names().items()}


def test_the_plan_covers_the_308_tensors_of_the_network(network):
    names = [ours for ours, _ in _plan()]
    assert len(names) == len(set(names)) == 308
    counters = {n for n in network.state_dict() if n.endswith("num_batches_tracked")}
    assert set(names) == set(network.state_dict()) - counters


@pytest.mark.parametrize("offset", [0, 7])
def test_weights_are_found_for_any_file_order_and_any_running_numbers(network, named, offset):
    there = dict(zip(keras_names(offset).values(), named.values(), strict=True))
    extra = {"Adam/m/conv1d/kernel": np.zeros(3), "iteration": np.zeros(()), "total": np.zeros(())}
    state = published_state({**extra, **dict(sorted(there.items()))})
    for name, value in network.state_dict().items():
        assert torch.equal(state[name], value), name


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda n: n.pop("box_0/conv1d/kernel"), r"conv1d number 1 has no 'kernel' .*encoder.0"),
        (
            lambda n: n.update({"box_0/conv1d/kernel": np.zeros((11, 4, 128))}),
            r"'box_0/conv1d/kernel' has shape \(11, 4, 128\), .* 'encoder.0.0.conv.weight' has",
        ),
        (lambda n: n.update({"conv1d_99/kernel": np.zeros((1, 2))}), r"conv1d_99/kernel' \(1, 2\)"),
        (
            lambda n: n.update({"lstm/kernel": np.zeros((3, 4))}),
            r"tensor for 'lstm/kernel' \(3, 4\)",
        ),
    ],
)
def test_another_network_is_rejected_with_tensor_and_shape(named, change, message):
    changed = dict(named)
    change(changed)
    with pytest.raises(ValueError, match=message):
        published_state(changed)


def test_a_folder_without_a_saved_model_gets_a_clear_error(tmp_path):
    with pytest.raises(FileNotFoundError, match="no such folder"):
        import_published(tmp_path / "nowhere", tmp_path / "run", "complex")
    with pytest.raises(FileNotFoundError, match=r"not a SavedModel \(it has no variables"):
        import_published(tmp_path, tmp_path / "run", "complex")
    assert not (tmp_path / "run").exists()


def test_without_tensorflow_the_error_names_the_extra_to_install(tmp_path, monkeypatch):
    (tmp_path / "variables").mkdir()
    (tmp_path / "variables" / "variables.index").touch()
    monkeypatch.setitem(sys.modules, "tensorflow", None)
    with pytest.raises(ModuleNotFoundError, match=r"pip install 'crmnet\[keras\]'"):
        import_published(tmp_path, tmp_path / "run", "complex")


@needs_reference
def test_reference_predictions_and_gradients_are_reproduced(tmp_path):
    with tarfile.open(ARCHIVE) as archive:
        archive.extractall(tmp_path, filter="data")
    saved = next(path.parent for path in tmp_path.rglob("expected.npz"))
    command = [sys.executable, "-m", "crmnet", "models", "import-keras", str(saved), "-o"]
    subprocess.run([*command, str(tmp_path / "run")], check=True, capture_output=True)
    network, record = load_run(tmp_path / "run")
    assert json.loads(record.model_dump_json())["media"] == ["complex"]
    expected = np.load(saved / "expected.npz", allow_pickle=False)
    tokens, _ = encode([str(text) for text in expected["sequences"]])
    x_BCL = one_hot(torch.from_numpy(tokens))
    with torch.no_grad():
        predicted = network(x_BCL)[:, 0].numpy()
    np.testing.assert_allclose(predicted, expected["prediction"].ravel(), atol=1e-5)

    # The five input channels of Keras are the inputs of our first block: N, A, C, G, T.
    captured = []

    def keep(_, inputs):
        inputs[0].retain_grad()
        captured.append(inputs[0])

    network.encoder[0].register_forward_pre_hook(keep)
    network(x_BCL[:8].requires_grad_()).sum().backward()
    gradient = captured[0].grad.permute(0, 2, 1).numpy()
    np.testing.assert_allclose(gradient, expected["input_gradient"], atol=1e-5)
