import inspect
import json
import subprocess
import sys
from pathlib import Path

import pytest
from fault_drill.material import Material, writing_commands

from crmnet.cli import COMMANDS

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


def test_every_command_that_writes_is_in_the_drill(tmp_path):
    def commands(table, words=()):
        for name, entry in table.items():
            if isinstance(entry, dict):
                yield from commands(entry, (*words, name))
            elif "output" in inspect.signature(entry).parameters:
                yield (*words, name)

    drilled = {tuple(words[:2]) for words in writing_commands(Material(tmp_path)).values()}
    drilled |= {words[:1] for words in drilled}
    # import-keras needs TensorFlow; rescale writes as calibrate does, which is drilled.
    not_drilled = {("models", "import-keras"), ("models", "rescale")}
    assert set(commands(COMMANDS)) - drilled == not_drilled
