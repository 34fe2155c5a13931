import json
import os
import resource
import signal
import subprocess
import sys

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from crmnet.prediction.export import export_onnx, export_program
from crmnet.prediction.predictor import Predictor
from crmnet.runs.packed import PackOptions, pack
from crmnet.sequence import decode, one_hot

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def predictor(small_run, tmp_path_factory):
    """A model that predicts on both strands: the most difficult one to export."""
    path = tmp_path_factory.mktemp("packed") / "m.safetensors"
    pack([small_run], path, PackOptions(reverse_complement=True))
    return Predictor.load(path, device="cpu")


def test_onnx_of_one_hot_predicts_the_same_for_any_batch(predictor, assay, tmp_path):
    path = tmp_path / "m.onnx"
    assert export_onnx(predictor, path) <= 1e-5
    session = onnxruntime.InferenceSession(path)
    for size in (1, 5, 130):
        tokens = np.array(assay.tokens[:size])
        found = session.run(None, {"onehot": one_hot(torch.from_numpy(tokens)).numpy()})[0]
        np.testing.assert_allclose(found, predictor.predict_tokens(tokens), rtol=1e-5, atol=1e-5)
    about = {p.key: p.value for p in onnx.load(path).metadata_props}
    assert json.loads(about["media"]) == assay.media
    assert about["model"] == predictor.card.fingerprint


def test_onnx_reads_letters_and_tokens(predictor, assay, tmp_path):
    path = tmp_path / "m.onnx"
    assert export_onnx(predictor, path, reads="tokens") <= 1e-5
    session = onnxruntime.InferenceSession(path)
    tokens = np.array(assay.tokens[:4])
    expected = predictor.predict_tokens(tokens)
    texts = [text.ljust(112, "N") for text in decode(tokens)]
    for letters in (texts, [text.lower() for text in texts]):
        rows = np.stack([np.frombuffer(text.encode(), np.uint8) for text in letters])
        found = session.run(None, {"tokens": rows})[0]
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)
    found = session.run(None, {"tokens": tokens})[0]
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)


def test_a_program_of_torch_export_predicts_the_same(predictor, assay, tmp_path):
    path = tmp_path / "m.pt2"
    assert export_program(predictor, path) <= 1e-5
    program = torch.export.load(path).module()
    tokens = np.array(assay.tokens[:9])
    with torch.inference_mode():
        found = program(one_hot(torch.from_numpy(tokens))).numpy()
    np.testing.assert_allclose(found, predictor.predict_tokens(tokens), rtol=1e-5, atol=1e-5)
    with pytest.raises(ValueError, match=r"name the ONNX file \*\.onnx"):
        export_onnx(predictor, tmp_path / "n.pt2")
    with pytest.raises(ValueError, match=r"torch\.export \*\.pt2"):
        export_program(predictor, tmp_path / "m.pt")


def test_a_network_with_a_step_by_step_lstm_is_exported_for_any_batch(tmp_path):
    path = tmp_path / "m.onnx"
    bundled = Predictor.load("yeast-fast", device="cpu")
    assert bundled.records[0].settings.model.name == "deepatt"
    assert export_onnx(bundled, path) <= 1e-5
    session = onnxruntime.InferenceSession(path)
    tokens = np.random.default_rng(0).integers(4, size=(3, 112), dtype=np.uint8)
    found = session.run(None, {"onehot": one_hot(torch.from_numpy(tokens)).numpy()})[0]
    np.testing.assert_allclose(found, bundled.predict_tokens(tokens), rtol=1e-5, atol=1e-5)


def test_a_file_with_other_predictions_is_not_written(predictor, tmp_path, monkeypatch):
    monkeypatch.setattr("crmnet.prediction.export.TOLERANCE", -1.0)
    with pytest.raises(ValueError, match="differs from PyTorch"):
        export_program(predictor, tmp_path / "m.pt2")
    assert not list(tmp_path.iterdir())


def test_a_full_disk_ends_an_export_in_one_line(small_run, tmp_path):
    def limit():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (400, 400))

    words = ["models", "export", small_run, "--torch-export", "-o", "m.pt2"]
    done = subprocess.run(
        [sys.executable, "-m", "crmnet", *words], cwd=tmp_path, preexec_fn=limit,
        capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 2
    assert done.stderr.startswith("crmnet: error: m.pt2 cannot be written: file too large")
    assert not list(tmp_path.iterdir())


def test_the_telemetry_of_onnxruntime_is_off(tmp_path):
    """With telemetry, the import alone writes a device id into the cache of the user."""
    code = "from crmnet.prediction.export import import_onnx; import_onnx()"
    kept = {
        k: v for k, v in os.environ.items() if k not in ("ORT_DISABLE_TELEMETRY", "XDG_CACHE_HOME")
    }
    subprocess.run([sys.executable, "-c", code], check=True, env={**kept, "HOME": str(tmp_path)})
    assert not [path for path in tmp_path.rglob("*") if "onnxruntime" in path.name]
