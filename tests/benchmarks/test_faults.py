import json
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

DRILL = Path(__file__).parents[2] / "benchmarks" / "faults.py"


@pytest.mark.skipif(sys.platform != "linux", reason="the drill reads /proc")
def test_hostile_models_and_fuzzed_inputs_end_in_one_line(tmp_path):
    """Five models and fifteen inputs of the drill."""
    words = ["--only", "models", "fuzz", "--scale", "0.003", "-o", tmp_path / "faults.json"]
    subprocess.run([sys.executable, DRILL, *words], check=True, capture_output=True)
    parts = json.loads((tmp_path / "faults.json").read_text())["parts"]
    assert {name: part["faults"] for name, part in parts.items()} == {"models": {}, "fuzz": {}}
    assert parts["models"]["cases"] == 5
    assert parts["fuzz"]["cases"] == 15
