"""Every command: no output replaces an input, and an existing one only with --overwrite."""

import inspect
import shutil
from pathlib import Path

import numpy as np
import pytest

from crmnet.cli import COMMANDS
from crmnet.data.subset import copy_rows
from crmnet.files import locked
from crmnet.sequence import decode
from crmnet.training.resume import check_new_run

pytestmark = pytest.mark.slow

PROMOTERS = "id\tsequence\texpression\n" + "".join(
    f"p{i}\t{'ACGT' * 19}{'ACGT'[i % 4] * 4}\t{i % 17}\n" for i in range(40)
)
VARIED = "sequence\texpression\n" + "".join(
    f"{decode(bases[None])[0]}\t{i % 17}\n"
    for i, bases in enumerate(np.random.default_rng(0).integers(4, size=(40, 80), dtype=np.uint8))
)
"""Unrelated promoters."""
PREDICTIONS = "measured\tpredicted\n" + "".join(f"{i}\t{i % 7}\n" for i in range(40))
MOTIFS = """MEME version 4
ALPHABET= ACGT
MOTIF M1 one
letter-probability matrix: w= 4
1 0 0 0
0 1 0 0
0 0 1 0
0 0 0 1
"""


@pytest.fixture
def place(tmp_path, monkeypatch, small_run, assay):
    """A folder with copies of all kinds of inputs, in which commands run."""
    (tmp_path / "rows.tsv").write_text(PROMOTERS)
    (tmp_path / "varied.tsv").write_text(VARIED)
    (tmp_path / "predictions.tsv").write_text(PREDICTIONS)
    (tmp_path / "motifs.meme").write_text(MOTIFS)
    shutil.copytree(small_run, tmp_path / "run")
    copy_rows(assay, range(400), tmp_path / "data")
    (tmp_path / "data" / "assay.tsv").write_text(PROMOTERS)
    shutil.copytree(tmp_path / "data", tmp_path / "validation")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def contents(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


REPLACING = [
    "data ingest data/assay.tsv -o data",
    "data ingest rows.tsv -o data/../rows.tsv",
    "data split data -o data --held-out other",
    "data split data -o new --without data --held-out data",
    "data check data -o rows.tsv",
    "predict run rows.tsv -o rows.tsv",
    "predict run rows.tsv -o run/weights.safetensors",
    "predict run/weights.safetensors rows.tsv -o run/weights.safetensors",
    "evaluate --predictions predictions.tsv -o .",
    "evaluate --predictions predictions.tsv -o rows.tsv",
    "explain run rows.tsv --motifs motifs.meme -o rows.tsv",
    "motifs match motifs.meme -o motifs.meme",
    "motifs match motifs.meme --motifs predictions.tsv -o predictions.tsv",
    "motifs scan rows.tsv --motifs motifs.meme -o rows.tsv",
    "motifs scan rows.tsv --motifs motifs.meme -o motifs.meme",
    "motifs discover rows.tsv --motifs motifs.meme -o .",
    "models pack run -o run/weights.safetensors",
    "models export run --torch-export -o run/weights.safetensors",
    "models distil run data -o data",
    "train small --data data --from run -o run --resume",
    "train small --data data -o data",
    "train small --data data --validation validation -o validation",
    "compare run --data rows.tsv -o rows.tsv",
    "mutate run rows.tsv --saturate -o rows.tsv",
    "mutate run rows.tsv --pairs --matrix run/weights.safetensors",
    "evolve robustness run rows.tsv -o rows.tsv",
    "evolve robustness run rows.tsv --changes run/weights.safetensors",
    "evolve trajectories run rows.tsv --medium complex -o rows.tsv",
    "evolve conservation run rows.tsv --medium complex -o rows.tsv",
    "evolve archetypes run rows.tsv --medium complex -o rows.tsv",
    "design --maximise complex --oracle run --judge run --start rows.tsv -o rows.tsv",
]


@pytest.mark.parametrize("line", REPLACING)
@pytest.mark.parametrize("option", ["", " --overwrite"])
def test_no_output_replaces_an_input(place, crmnet, line, option):
    before = contents(place)
    if line.startswith("train"):
        option = ""
    status, _, err = crmnet(*(line + option).split())
    assert status == 2, err
    assert len(err.strip().splitlines()) == 1
    assert option == "" or "would be lost" in err or "is a file" in err or "*.safetensors" in err, (
        err
    )
    assert contents(place) == before


EXISTING = {
    "predict run rows.tsv -o out.tsv": "out.tsv",
    "predict run rows.tsv -o out.tsv --part-rows 10": "out.tsv",
    "mutate run rows.tsv --change 1del -o out.tsv": "out.tsv",
    "mutate run rows.tsv --saturate -o new.tsv --plot out.png": "out.png",
    "motifs match motifs.meme -o out.tsv": "out.tsv",
    "motifs scan rows.tsv --motifs motifs.meme -o out.tsv": "out.tsv",
    "motifs discover rows.tsv -o out": "out/motifs.tsv",
    "evaluate --predictions predictions.tsv --resamples 10 -o out": "out/metrics.json",
    "explain run rows.tsv --medium complex -o out": "out/logos-3.png",
    "compare run --data data -o out": "out/compare.csv",
    "design --maximise complex --oracle run --judge run --rank-by run -o out": "out/designs.tsv",
    "data check data -o out": "out/check.json",
    "data split data -o out --held-out other": "out",
    "data split data -o other --held-out out": "out",
    "data ingest rows.tsv -o out": "out",
    "data simulate -n 10 -o out": "out",
    "models pack run -o out.safetensors": "out.json",
    "models export run --torch-export -o out.pt2": "out.pt2",
    "models distil run data -o out": "out",
    "models import-keras data -o out": "out",
    "benchmark -o out": "out/benchmark.md",
    "train small --data data -o out": "out/run.json",
    "train auto --data data -o out": "out/report.html",
    "train small --data data --resume -o out": "out/learning_curve.png",
    "evolve robustness run rows.tsv -o out.tsv": "out.tsv",
    "evolve trajectories run rows.tsv --medium complex -o out": "out/trajectories.tsv",
    "evolve conservation run rows.tsv --medium complex -o out": "out/conservation.png",
    "evolve archetypes run rows.tsv --medium complex -o out": "out/archetype_vectors.tsv",
}


@pytest.mark.parametrize("line", EXISTING)
def test_an_existing_output_is_kept_without_overwrite(place, crmnet, line):
    there = place / EXISTING[line]
    there.parent.mkdir(exist_ok=True)
    if EXISTING[line] == "out":
        shutil.copytree("data", "out")
    elif there.name == "run.json":
        shutil.copytree("run", "out", dirs_exist_ok=True)
    else:
        there.write_text("old")
    before = contents(place)
    status, _, err = crmnet(*line.split())
    assert status == 2, err
    assert "exists" in err or "already holds a run" in err
    assert contents(place) == before


@pytest.mark.parametrize("name", ["history.csv", "weights.safetensors", "state.safetensors"])
def test_training_leaves_files_that_are_not_of_a_run(place, name):
    (place / "mine").mkdir()
    (place / "mine" / "notes.txt").write_text("mine")
    check_new_run("mine", [Path("data"), None, Path("yeast")])
    (place / "mine" / name).write_text("mine")
    with pytest.raises(FileExistsError, match=rf"{name} exists, and mine is not a run; choose"):
        check_new_run("mine", [])
    check_new_run("run", [])


def test_a_card_replaces_only_a_card(place, crmnet):
    assert crmnet("models", "pack", "run", "-o", "packed.safetensors")[0] == 0
    line = "models pack run -o packed.safetensors --overwrite"
    assert crmnet(*line.split())[0] == 0
    (place / "packed.json").write_text('{"name": "mine"}')
    before = contents(place)
    for command in (line, "models calibrate packed.safetensors data",
                    "models rescale packed.safetensors data"):  # fmt: skip
        status, _, err = crmnet(*command.split())
        assert (status, len(err.splitlines())) == (2, 1)
        assert "packed.json exists and is not the card of a model" in err
    assert contents(place) == before


@pytest.mark.parametrize(
    "line",
    ["predict run rows.tsv -o out.tsv", "motifs scan rows.tsv --motifs motifs.meme -o out.tsv"],
)
def test_overwrite_replaces(place, crmnet, line):
    (place / "out.tsv").write_text("old")
    status, _, err = crmnet(*line.split(), "--overwrite")
    assert status == 0, err
    assert (place / "out.tsv").read_text() != "old"


def test_every_command_with_an_output_has_overwrite_or_continues_its_own():
    continues = {"demo", "train", "ablate", "reproduce", "import-keras"}
    for name, command in COMMANDS.items():
        for verb, function in (command if isinstance(command, dict) else {name: command}).items():
            names = inspect.signature(function).parameters
            if "output" in names and verb not in continues:
                assert "overwrite" in names, verb


def test_two_processes_do_not_write_one_output(place, crmnet):
    for line in ("predict run rows.tsv -o out", "data ingest rows.tsv -o out",
                 "train small --data data -o out"):  # fmt: skip
        with locked(Path("out")):
            status, _, err = crmnet(*line.split())
        assert (status, "another process is writing out" in err) == (2, True), err
        assert not Path("out").exists()


OLD = {
    "explain run rows.tsv --medium complex --method gradient --first 2 --page 1 --format svg": [
        "attributions.npz", "sites.tsv", "logos-2.svg", "logos-3.svg", "logos-12.png",
        "figure5.pdf", "figure5.tsv", "planted.png", "planted.tsv", "pairs.tsv",
    ],
    "motifs discover varied.tsv -n 20 --plain": ["motifs.meme", "motifs.tsv", "motifs.png"],
    "evaluate --predictions predictions.tsv --resamples 10": ["metrics.json", "scatter.png"],
    "compare run --data data --resamples 10": ["compare.csv", "compare.png"],
    "data check data": ["check.json", "check.png"],
    "evolve trajectories run rows.tsv --medium complex --mode drift --format svg": [
        "trajectories.tsv", "trajectories.png",
    ],
}  # fmt: skip
"""Command → names of its own files, some of which this run does not write."""
NOT_ITS_OWN = ["logos-notes.txt", "logos-1.png.bak", "my-logos-3.svg", "attributions.txt", "sites"]


@pytest.mark.parametrize("line", OLD)
def test_an_overwritten_folder_holds_what_this_run_wrote_and_the_users_files(place, crmnet, line):
    for name in [*OLD[line], *NOT_ITS_OWN]:
        (place / "out").mkdir(exist_ok=True)
        (place / "out" / name).write_text("old")
    status, _, err = crmnet(*line.split(), "-o", "out", "--overwrite")
    assert status == 0, err
    old = {path.name for path in (place / "out").iterdir() if path.read_bytes() == b"old"}
    assert old == set(NOT_ITS_OWN)
    status, _, err = crmnet(*line.split(), "-o", "new")
    assert status == 0, err
    assert {p.name for p in (place / "new").iterdir()} == {
        path.name for path in (place / "out").iterdir()
    } - set(NOT_ITS_OWN)


def test_a_failed_run_removes_nothing(place, crmnet):
    (place / "out").mkdir()
    for name in ("figure5.tsv", "logos-7.png"):
        (place / "out" / name).write_text("old")
    before = contents(place)
    status, _, _ = crmnet("explain", "run", "rows.tsv", "--medium", "x", "-o", "out", "--overwrite")
    assert status == 2
    assert contents(place) == before
