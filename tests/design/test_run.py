"""An interrupted search continues and ends as one that ran without interruption."""

import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from crmnet.design import run
from crmnet.design.objective import Objective
from crmnet.design.problem import Problem
from crmnet.design.run import Record, SearchOptions, record_in, search
from crmnet.design.scorer import Scorer
from toys import linear_predictor, random_starts

SETTINGS = {"oracle": "toy", "n": 4, "forbid": ["EcoRI"]}


def problem():
    return Problem(random_starts(), Scorer.of(linear_predictor()), Objective("maximise", "complex"))


def stop_after(step):
    def progress(state):
        if state.step == step:
            raise KeyboardInterrupt

    return progress


@pytest.mark.parametrize("method", ["greedy", "beam", "genetic", "annealing", "gradient"])
def test_an_interrupted_search_ends_the_same(tmp_path, method):
    options = SearchOptions(method, 4, seed=1)
    straight = search(problem(), options)
    record = record_in(tmp_path, SETTINGS)
    stopped = search(problem(), options, record=record, progress=stop_after(2))
    assert not stopped.complete
    assert len(stopped.history) == 3
    assert (tmp_path / run.STATE).exists()
    continued = search(problem(), options, record=record_in(tmp_path, SETTINGS))
    assert continued.complete
    for name in ("best", "fitness", "pool", "pool_chain", "history"):
        np.testing.assert_array_equal(getattr(continued, name), getattr(straight, name))


def test_ctrl_c_keeps_the_best_so_far():
    stopped = search(problem(), SearchOptions("annealing", 50), progress=stop_after(30))
    complete = search(problem(), SearchOptions("annealing", 50))
    assert not stopped.complete
    np.testing.assert_array_equal(stopped.history, complete.history[:31])
    np.testing.assert_array_equal(stopped.fitness, complete.history[30])


def test_the_state_belongs_to_its_settings(tmp_path):
    options = SearchOptions("greedy", 4)
    search(problem(), options, record=record_in(tmp_path, SETTINGS), progress=stop_after(1))
    other = record_in(tmp_path, {**SETTINGS, "n": 5})
    message = r"holds an unfinished search with another n \(4, now 5\); choose another folder"
    with pytest.raises(ValueError, match=message):
        other.load()
    (tmp_path / run.STATE).write_bytes(b"PK broken")
    with pytest.raises(ValueError, match=r"is damaged .*remove it, or pass --overwrite"):
        record_in(tmp_path, SETTINGS).load()


@pytest.mark.parametrize("share", [0, 0.1, 0.5, 0.9])
def test_a_truncated_state_is_damaged(tmp_path, share):
    record = record_in(tmp_path, SETTINGS)
    record.save(1, {"a": np.zeros(100)})
    content = record.path.read_bytes()
    record.path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(ValueError, match=r"is damaged .*remove it, or pass --overwrite"):
        record.load()


@pytest.mark.parametrize("place", [0.2, 0.5, 0.7, 0.95])
def test_a_state_with_other_bytes_is_damaged(tmp_path, place):
    record = record_in(tmp_path, SETTINGS)
    record.save(1, {"a": np.zeros(100)})
    content = bytearray(record.path.read_bytes())
    first = int(place * len(content))
    content[first : first + 20] = b"\xff" * 20
    record.path.write_bytes(content)
    with pytest.raises(ValueError, match=r"is damaged .*remove it, or pass --overwrite"):
        record.load()


def test_the_state_is_not_a_pickle(tmp_path):
    path = tmp_path / run.STATE
    np.savez(path, settings=np.array([{"a": 1}], dtype=object), step=np.array(1))
    with pytest.raises(ValueError, match="is damaged"):
        record_in(tmp_path, SETTINGS).load()


def test_states_are_saved_from_time_to_time(tmp_path, monkeypatch):
    record = record_in(tmp_path, SETTINGS)
    record.save(1, {"a": np.zeros(2)})
    first = (tmp_path / run.STATE).read_bytes()
    record.save(2, {"a": np.ones(2)})
    assert (tmp_path / run.STATE).read_bytes() == first
    monkeypatch.setattr(run, "SAVE_SECONDS", 0.0)
    record.save(3, {"a": np.ones(2)})
    step, arrays = record.load()
    assert step == 3
    assert (arrays["a"] == 1).all()
    Record().save(1, {})  # without a path nothing is saved
    assert Record().load() is None


COMMAND = (
    "design --maximise complex -n 3 --oracle yeast-fast --judge yeast-fast --rank-by yeast-fast "
    "--method annealing --steps 60 --length 40 --unlike 0 --device cpu --digits full -o"
)


@pytest.mark.slow
def test_a_killed_command_continues_and_ends_the_same(tmp_path, crmnet):
    words = COMMAND.split()
    assert crmnet(*words, tmp_path / "straight")[0] == 0
    environment = os.environ | {"CRMNET_TEST": "1"}
    code = "import crmnet.design.run as run, crmnet.cli; run.SAVE_SECONDS = 0.0; crmnet.cli.main()"
    process = subprocess.Popen(
        [sys.executable, "-c", code, *words, str(tmp_path / "killed")],
        env=environment, stderr=subprocess.PIPE,
    )  # fmt: skip
    state = tmp_path / "killed" / "search.npz"
    deadline = time.monotonic() + 120
    while not state.exists() and time.monotonic() < deadline and process.poll() is None:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    assert not (tmp_path / "killed" / "designs.tsv").exists()
    status, _, err = crmnet(*words, tmp_path / "killed")
    assert status == 0, err
    for name in ("designs.tsv", "paths.tsv", "order.tsv", "designs.fasta", "designs.gb"):
        straight, killed = (tmp_path / folder / name for folder in ("straight", "killed"))
        assert killed.read_text() == straight.read_text(), name
    assert not state.exists()
    assert json.loads((tmp_path / "killed" / "design.json").read_text())["complete"]
