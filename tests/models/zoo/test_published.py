"""Published DeepATT: its own predictions from its own weights, and files that hold another one."""

import sys

import h5py
import numpy as np
import pytest
import torch

from crmnet.models import build
from crmnet.models.layers import BiLSTM
from crmnet.models.zoo.published import _plan, deepatt_state, read_keras_file
from crmnet.prediction.predictor import Predictor
from crmnet.runs.published import import_published
from support import SHARED

WEIGHTS = SHARED / "reference" / "deepatt" / "DeepAtt_model.h5"
PREDICTIONS = SHARED / "data" / "evolution" / "Random_test_DeepAtt_model.csv"
needs_weights = pytest.mark.skipif(
    not (WEIGHTS.is_file() and PREDICTIONS.is_file()),
    reason=f"needs {WEIGHTS} and {PREDICTIONS} (crmnet data fetch deepatt-vaishnav)",
)


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    return build("deepatt", gate="hard-sigmoid")


@pytest.fixture
def variables(network):
    """Keras variables of ``network``, by the inverse of the import, written independently."""
    made = {}
    for tensor_name, names in _plan():
        value = network.state_dict()[tensor_name].numpy().T
        if len(names) == 2:
            made[names[1]] = value[-1]
            value = value[:-1]
        made[names[0]] = value
    return made


def write_keras_file(path, variables):
    """A file as Keras names its groups."""
    with h5py.File(path, "w") as file:
        for name, value in variables.items():
            layer, variable = name.split("/")
            inner = (
                f"bidirectional/bidirectional/{layer}" if "_lstm" in layer else f"{layer}/{layer}"
            )
            prefix = "multi_head_attention_" if "attention" in layer else ""
            file[f"model_weights/{inner}/{prefix}{variable}:0"] = value
        file.create_group("model_weights/dropout")
    return path


@needs_weights
def test_the_published_predictions_are_reproduced(tmp_path):
    import polars as pl

    record = import_published(WEIGHTS, tmp_path / "run", "complex")
    assert record.units == {"complex": "sorting bin"}
    assert "MIT" in record.data["licence"] and "2022" in record.data["citation"]
    table = pl.read_csv(PREDICTIONS)
    bare = table["sequence"].str.strip_chars_start("N")
    predicted = Predictor.load(tmp_path / "run", device="cpu").predict(bare, flanks="none")
    assert len(predicted) == 2954
    expected = table["Predicted Expression"].to_numpy()
    np.testing.assert_allclose(predicted, expected, rtol=0, atol=1e-5)


def test_hard_gates_follow_their_formula():
    torch.manual_seed(1)
    lstm = BiLSTM(3, 2, "hard-sigmoid")
    x = torch.randn(1, 5, 3)
    with torch.no_grad():
        output = lstm(x)[0].numpy()
    x = np.concatenate([x[0].numpy(), np.ones((5, 1))], axis=1)

    def gate(value):
        return np.clip(0.2 * value + 0.5, 0, 1)

    def one_direction(rows, end):
        W = getattr(lstm.lstm, f"weight_ih_l0{end}").detach().numpy()
        U = getattr(lstm.lstm, f"weight_hh_l0{end}").detach().numpy()
        h = c = np.zeros(2)
        for row in rows:
            i, f, g, o = np.split(W @ row + U @ h, 4)
            c = gate(f) * c + gate(i) * np.tanh(g)
            h = gate(o) * np.tanh(c)
            yield h

    forward = np.array(list(one_direction(x, "")))
    backward = np.array(list(one_direction(x[::-1], "_reverse")))[::-1]
    np.testing.assert_allclose(output, np.hstack([forward, backward]), atol=1e-6)


def test_both_gates_have_the_same_tensors_and_another_function():
    soft, hard = BiLSTM(3, 2), BiLSTM(3, 2, "hard-sigmoid")
    hard.load_state_dict(soft.state_dict())
    x = torch.randn(2, 4, 3)
    assert not torch.allclose(soft(x), hard(x), atol=1e-4)


def test_every_tensor_comes_from_the_file(network, variables, tmp_path):
    state = deepatt_state(read_keras_file(write_keras_file(tmp_path / "a.h5", variables)))
    assert state.keys() == network.state_dict().keys()
    for name, value in network.state_dict().items():
        assert torch.equal(state[name], value), name


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda v: v.pop("dense_1/bias"), "has no variable 'dense_1/bias'"),
        (
            lambda v: v.update({"conv1d/kernel": np.zeros((11, 4, 256))}),
            r"conv1d/kernel \(11, 4, 256\) does not give 'motifs.0.weight' \(256, 4, 30\)",
        ),
        (lambda v: v.update({"forward_lstm/bias": np.zeros(8)}), r"forward_lstm/bias \(8,\)"),
        (lambda v: v.update({"dense_3/bias": np.zeros(8)}), "has no variable 'dense_3/bias'"),
    ],
)
def test_another_network_is_refused(variables, change, message, tmp_path):
    change(variables)
    file = write_keras_file(tmp_path / "a.h5", variables)
    with pytest.raises(ValueError, match=message):
        import_published(file, tmp_path / "run", "complex")
    assert not (tmp_path / "run").exists()


def test_files_of_another_kind_are_refused(tmp_path):
    text = tmp_path / "text.h5"
    text.write_text("no HDF5")
    with pytest.raises(ValueError, match=r"text\.h5 is damaged or not an HDF5 file"):
        read_keras_file(text)
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["x"] = 1
    with pytest.raises(ValueError, match=r"other\.h5 is not a model that Keras saved"):
        read_keras_file(tmp_path / "other.h5")
    with h5py.File(tmp_path / "huge.h5", "w") as file:  # no byte of it is stored
        file.create_dataset("model_weights/dense/dense/kernel:0", (10**6, 10**6), "f4", chunks=True)
    with pytest.raises(ValueError, match=r"huge\.h5 is damaged.*\(1000000, 1000000\)"):
        read_keras_file(tmp_path / "huge.h5")
    with pytest.raises(FileNotFoundError, match="no such file"):
        read_keras_file(tmp_path / "none.h5")


def test_without_h5py_the_error_names_the_extra_to_install(tmp_path, monkeypatch):
    (tmp_path / "a.h5").touch()
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(ModuleNotFoundError, match=r"pip install 'crmnet\[h5\]'"):
        read_keras_file(tmp_path / "a.h5")
