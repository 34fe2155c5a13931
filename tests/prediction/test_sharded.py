"""Predictions in parts: by hand in one process, and by two processes of which one is killed."""

import dataclasses
import os
import subprocess
import sys
import time

import numpy as np
import polars
import pytest
import torch
from torch import nn

from crmnet.files import WriteError, locked
from crmnet.prediction.predictor import Assessed, Predictor
from crmnet.prediction.sharded import ProcessRank, ShardedJob, predict_sharded
from crmnet.runs.model_card import ModelCard
from crmnet.sequence import decode
from crmnet.statistics.uncertainty import Calibration, InputLimits, Interval, Trust

pytestmark = pytest.mark.slow


class CountA(nn.Module):
    def forward(self, x_BCL):
        return x_BCL[:, 0].sum(dim=1, keepdim=True)


@pytest.fixture
def counter():
    return Predictor(CountA(), ["complex"], torch.device("cpu"))


def written(tmp_path, n=10):
    path = tmp_path / "in.txt"
    path.write_text("".join("A" * i + "C\n" for i in range(n)))
    return path


def job(tmp_path, name="out.tsv", **options):
    path = tmp_path / "in.txt"
    if not path.exists():
        written(tmp_path)
    return ShardedJob(path, tmp_path / name, ("complex",), "none", **options)


@pytest.mark.parametrize("name", ["out.tsv", "out.csv", "out.parquet"])
def test_parts_are_joined_in_order(counter, tmp_path, name):
    sharded_job = job(tmp_path, name, rows=3)
    predict_sharded(counter, sharded_job, ProcessRank(1, 2))
    numbers = [p.stem[-8:] for p in sorted(sharded_job.folder.glob("part-*.parquet"))]
    assert numbers == ["00000001", "00000003"]
    assert predict_sharded(counter, sharded_job, ProcessRank(0, 2)).total == 6
    assert [p.name for p in sharded_job.folder.iterdir()] == ["job.json"]
    before = sharded_job.output.stat().st_mtime_ns
    assert (
        predict_sharded(counter, sharded_job, ProcessRank(1, 2)).total == 0
    )  # a process that starts late
    assert sharded_job.output.stat().st_mtime_ns == before
    if name.endswith("parquet"):
        table = polars.read_parquet(sharded_job.output)
    else:
        table = polars.read_csv(sharded_job.output, separator="\t" if name.endswith("tsv") else ",")
    assert table["id"].cast(int).to_list() == list(range(1, 11))
    assert table["expression_complex"].to_list() == list(range(10))


@pytest.mark.parametrize("name", ["out[1].tsv", "out[1].parquet"])
def test_a_name_with_brackets_is_no_pattern(counter, tmp_path, name):
    assert predict_sharded(counter, job(tmp_path, name, rows=3), ProcessRank()).total == 10
    assert (tmp_path / name).stat().st_size


def test_a_restart_predicts_missing_parts_with_any_number_of_processes(counter, tmp_path):
    sharded_job = job(tmp_path, rows=2)
    predict_sharded(counter, sharded_job, ProcessRank(1, 2))  # parts 1 and 3 of 0–4
    assert predict_sharded(counter, sharded_job, ProcessRank(0, 1)).total == 6
    rows = sharded_job.output.read_text().splitlines()
    assert rows == ["id\texpression_complex", *(f"{i + 1}\t{i}.000" for i in range(10))]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: {"rows": 4}, r"rows was 3, now it is 4"),
        (lambda t: written(t, 12) and {"rows": 3}, "bytes was"),
    ],
)
def test_parts_of_another_job_are_an_error(counter, tmp_path, change, message):
    predict_sharded(counter, job(tmp_path, rows=3), ProcessRank(1, 2))
    with pytest.raises(ValueError, match=message):
        predict_sharded(counter, job(tmp_path, **change(tmp_path)), ProcessRank(1, 2))


def test_parts_of_another_precision_are_an_error(counter, tmp_path):
    predict_sharded(counter, job(tmp_path, rows=3), ProcessRank(1, 2))
    rounded = dataclasses.replace(counter, precision="bf16")
    with pytest.raises(ValueError, match="precision was 'fp32', now it is 'bf16'"):
        predict_sharded(rounded, job(tmp_path, rows=3), ProcessRank(1, 2))


def test_a_changed_input_of_the_same_size_is_another_job(counter, tmp_path):
    predict_sharded(counter, job(tmp_path, rows=3), ProcessRank(1, 2))
    os.utime(tmp_path / "in.txt", (1, 1))
    with pytest.raises(ValueError, match="its input has changed since"):
        predict_sharded(counter, job(tmp_path, rows=3), ProcessRank(1, 2))


def test_an_invalid_output_is_an_error_before_any_work(counter, tmp_path):
    (tmp_path / "folder").mkdir()
    with pytest.raises(IsADirectoryError, match="name a file in it"):
        predict_sharded(counter, job(tmp_path, "folder"), ProcessRank())
    with pytest.raises(ValueError, match=r"written as \.tsv, \.csv or \.parquet"):
        job(tmp_path, "out.xlsx")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["folder", "in.txt"]


def test_after_joining_another_job_or_a_lost_output_is_predicted(counter, tmp_path):
    predict_sharded(counter, job(tmp_path, rows=3), ProcessRank())
    with pytest.raises(FileExistsError, match="--overwrite"):
        predict_sharded(counter, job(tmp_path, rows=4), ProcessRank())
    again = job(tmp_path, rows=4, overwrite=True)
    assert predict_sharded(counter, again, ProcessRank()).total == 10
    job(tmp_path).output.unlink()
    assert predict_sharded(counter, job(tmp_path, rows=4), ProcessRank()).total == 10
    assert len(job(tmp_path).output.read_text().splitlines()) == 11


def test_ranks_and_jobs_are_checked(tmp_path):
    assert ProcessRank.from_environment({}) is None
    ranks = {"RANK": "1", "WORLD_SIZE": "4"}
    assert ProcessRank.from_environment(ranks) is None  # other programs set them too
    torchrun = {**ranks, "TORCHELASTIC_RUN_ID": "1"}
    assert ProcessRank.from_environment(torchrun) == ProcessRank(1, 4)
    assert ProcessRank.from_text("1/4") == ProcessRank(1, 4)
    for text in ("1", "1/", "a/b", "-1/2", "1/4/2"):
        with pytest.raises(ValueError, match="--rank takes RANK/SIZE"):
            ProcessRank.from_text(text)
    with pytest.raises(ValueError, match="the rank must be between"):
        ProcessRank(2, 2)
    with pytest.raises(ValueError, match="parts need files"):
        ShardedJob(tmp_path / "in", tmp_path.__class__("-"), ("complex",))


def start(rank, words):
    return subprocess.Popen(
        [sys.executable, "-m", "crmnet", *map(str, words), "--rank", f"{rank}/2"],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def test_two_processes_and_a_kill_give_the_result_of_one_process(assay, small_run, tmp_path):
    sequences = decode(assay.tokens) * 3
    (tmp_path / "in.txt").write_text("\n".join(sequences))
    out = tmp_path / "out.parquet"
    words = ["predict", small_run, tmp_path / "in.txt", "-o", out, "--part-rows", 100]
    # Rank 1 is not started: rank 0 predicts its nine parts and waits. It is killed before the end.
    killed = start(0, words)
    parts = out.with_name("out.parquet.parts")
    while len(list(parts.glob("part-*.parquet"))) < 2:
        assert killed.poll() is None, killed.stderr.read()
        time.sleep(0.02)
    killed.kill()
    killed.communicate()
    assert not out.exists()
    before = {p.name: p.stat().st_mtime_ns for p in parts.glob("part-*.parquet")}
    second = start(1, words)
    assert second.wait() == 0, second.stderr.read()
    second.communicate()
    after = {p.name: p.stat().st_mtime_ns for p in parts.glob("part-*.parquet")}
    assert before.items() <= after.items()  # existing parts are not predicted again
    first = start(0, words)
    assert first.wait() == 0, first.stderr.read()
    first.communicate()
    table = polars.read_parquet(out)
    assert table["id"].cast(int).to_list() == list(range(1, len(sequences) + 1))
    expected = Predictor.load(small_run).predict(sequences)
    found = table.select(f"expression_{medium}" for medium in assay.media).to_numpy()
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_variables_of_other_programs_do_not_switch_to_parts(
    crmnet, small_run, tmp_path, monkeypatch
):
    monkeypatch.setenv("RANK", "1")
    monkeypatch.setenv("WORLD_SIZE", "2")
    status, _, err = crmnet("predict", small_run, written(tmp_path, 5), "-o", tmp_path / "out.tsv",
                            "--flanks", "none")  # fmt: skip
    assert status == 0, err
    assert len((tmp_path / "out.tsv").read_text().splitlines()) == 6
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.txt", "out.tsv"]


def test_a_second_process_of_the_same_rank_is_refused(counter, tmp_path):
    sharded_job = job(tmp_path, rows=3)
    sharded_job.folder.mkdir()
    with locked(sharded_job.folder / "rank-0"):
        with pytest.raises(WriteError, match=r"another process is writing .*out\.tsv as rank 0"):
            predict_sharded(counter, sharded_job, ProcessRank())
    assert predict_sharded(counter, sharded_job, ProcessRank()).total == 10


def test_a_missing_rank_is_named_and_finished_parts_are_kept(
    counter, tmp_path, monkeypatch, caplog
):
    monkeypatch.setattr("crmnet.prediction.sharded.ABSENT_SECONDS", 0.1)
    monkeypatch.setattr("crmnet.prediction.sharded.POLL_SECONDS", 0.02)
    sharded_job = job(tmp_path, rows=3)
    with caplog.at_level("INFO", logger="crmnet"):
        with pytest.raises(WriteError, match=r"2 parts of .* no process of rank 1 is running"):
            predict_sharded(counter, sharded_job, ProcessRank(0, 2))
    assert "waiting for 2 parts of rank 1" in caplog.text
    assert predict_sharded(counter, sharded_job, ProcessRank()).total == 4


def test_a_rerun_removes_what_killed_processes_left(counter, tmp_path):
    sharded_job = job(tmp_path, rows=3)
    predict_sharded(counter, sharded_job, ProcessRank(1, 2))
    left = [".job.json.host.7", "..job.json.host.7.partial", ".part-0-00000000.parquet.partial",
            "part-00000000-00000001.parquet", ".rank-0.lock", ".job.json.lock"]  # fmt: skip
    for name in left:
        (sharded_job.folder / name).write_text("left")
    predict_sharded(counter, sharded_job, ProcessRank())
    (sharded_job.folder / left[3]).write_text("left by a kill after joining")
    predict_sharded(counter, sharded_job, ProcessRank())
    assert [path.name for path in sharded_job.folder.iterdir()] == ["job.json"]


def calibrated(counter, width):
    """The predictor with a card whose calibration has intervals of ± ``width``."""
    interval = Interval(base=width, slope=0, quantile=1, rows=9, families=9)
    known = Calibration(
        level=0.5, data={}, intervals={"complex": interval},
        familiar=InputLimits(
            lengths=(1, 112), unknown=0, pairs=[0] * 16, precision=[[0] * 16] * 16, composition=1,
            spread={},
        ),
    )  # fmt: skip
    card = ModelCard.model_construct(calibration=known, fingerprint="f" * 64)
    return dataclasses.replace(counter, card=card)


def test_a_new_calibration_is_another_job(counter, tmp_path, monkeypatch):
    monkeypatch.setattr(Predictor, "assess_tokens", plainly_assessed)
    first, second = calibrated(counter, 1.0), calibrated(counter, 2.0)
    sharded_job = job(tmp_path, rows=3)
    predict_sharded(first, sharded_job, ProcessRank(1, 2))
    with pytest.raises(ValueError, match="the model has been calibrated since"):
        predict_sharded(second, sharded_job, ProcessRank())
    predict_sharded(first, sharded_job, ProcessRank())
    with pytest.raises(FileExistsError, match="--overwrite"):
        predict_sharded(second, sharded_job, ProcessRank())
    again = dataclasses.replace(sharded_job, overwrite=True)
    assert predict_sharded(second, again, ProcessRank()).total == 10


def plainly_assessed(self, tokens):
    """Expression ± the width of the calibration."""
    expression = self.predict_tokens(tokens)
    width = self.card.calibration.intervals["complex"].base
    trust = Trust(expression - width, expression + width, None, [""] * len(expression))
    return Assessed(expression, trust)


def test_overwrite_predicts_a_finished_job_again_in_one_process(counter, tmp_path, caplog):
    sharded_job = job(tmp_path, rows=3)
    predict_sharded(counter, sharded_job, ProcessRank())
    with caplog.at_level("INFO", logger="crmnet"):
        assert predict_sharded(counter, sharded_job, ProcessRank()).total == 0
    assert "out.tsv: kept, and nothing was predicted" in caplog.text
    again = dataclasses.replace(sharded_job, overwrite=True)
    assert predict_sharded(counter, again, ProcessRank(1, 2)).total == 0  # it started late
    assert predict_sharded(counter, again, ProcessRank()).total == 10
