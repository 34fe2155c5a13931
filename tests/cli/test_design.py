"""``crmnet design``: files, printed lines, interruption, and one line for each bad input."""

import csv
import json

import pytest

from crmnet.design import run
from crmnet.sequence import ADAPTER_3, ADAPTER_5

pytestmark = pytest.mark.slow

MODELS = ["--oracle", "yeast-fast", "--judge", "yeast-fast", "--rank-by", "yeast-fast"]
SMALL = ["--length", "40", "-n", "2", "--steps", "2", "--unlike", "0", *MODELS]
INSERT = "TTACCCGGGTCAAGTACGTGGCGCCATAGCTTGACGTACCCGGGATTAAGC"


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "start.fasta").write_text(f">one\n{ADAPTER_5}{INSERT}{ADAPTER_3}\n")
    (tmp_path / "insert.txt").write_text(f"{INSERT}\n")
    (tmp_path / "bad.txt").write_text(f"{INSERT}\n{INSERT[:20]}X{INSERT[21:]}\n")
    (tmp_path / "mixed.txt").write_text(f"{INSERT}\n{ADAPTER_5}{INSERT}{ADAPTER_3}\n")
    return tmp_path


def rows(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file, delimiter="\t"))


def test_a_promoter_without_sites_that_can_be_ordered(place, crmnet):
    status, out, err = crmnet(
        "design", "--target", "complex=6", "--target", "complex=9", *SMALL, "--avoid-enzyme",
        "EcoRI", "--avoid-enzyme", "BsaI", "--gc", "30-60", "--max-run", "5", "--preset", "twist",
        "--limit", "max_run=4", "--primer-5", "ggtcac", "--iupac", "n",
        "--column", "id=gene", "-o", "designs",
    )  # fmt: skip
    assert status == 0, err
    assert "twist: max_run       4  equal bases in a row, at most [changed by --limit]" in err
    assert "goal: expression in complex of 6, 9" in out
    assert "oracle and judge are the same model" in out
    assert "the judge confirms" in out and "|judge − target|" in out
    table = rows(place / "designs" / "designs.tsv")
    assert [float(row["target"]) for row in table] == [6, 9]
    assert all(row["constraints_met"] == "9 of 9" for row in table)
    oligos = [row["sequence"] for row in rows(place / "designs" / "order.tsv")]
    assert all(oligo.startswith("GGTCAC" + ADAPTER_5) for oligo in oligos)
    assert not any(site in oligo for oligo in oligos for site in ("GAATTC", "GGTCTC", "GAGACC"))
    record = json.loads((place / "designs" / "design.json").read_text())
    assert record["settings"]["avoid_enzyme"] == ["EcoRI", "BsaI"]
    assert record["settings"]["iupac"] == "n" and record["settings"]["column"] == ["id=gene"]


def test_positions_count_on_the_sequence_as_given(place, crmnet):
    status, _, err = crmnet(
        "design", "--maximise", "complex", "--start", "start.fasta", "--protect", "18-30", *SMALL,
        "--max-edits", "3", "-o", "designs",
    )  # fmt: skip
    assert status == 0, err
    assert "kept the adapters of 1 of 1 sequences" in err
    for row in rows(place / "designs" / "designs.tsv"):
        assert row["sequence"][:13] == INSERT[:13]
        assert row["start"] == "one"
        assert 1 <= int(row["edits"]) <= 3
    paths = rows(place / "designs" / "paths.tsv")
    construct = f"{ADAPTER_5}{INSERT}{ADAPTER_3}"
    for row in paths:
        assert row["edit"] == f"{row['position']}{row['from']}>{row['to']}"
        assert construct[int(row["position"]) - 1] == row["from"]
    changes = [word for row in paths for word in ("--change", row["edit"])]
    status, _, err = crmnet("mutate", "yeast-fast", "start.fasta", *changes, "--no-sites")
    assert status == 0, err


def test_a_start_with_one_adapter_gets_both_and_the_command_says_so(place, crmnet):
    (place / "one.txt").write_text(f"{ADAPTER_5}{INSERT}\n{INSERT}\n")
    status, _, err = crmnet(
        "design", *GOAL, "--start", "one.txt", *SMALL, "--max-edits", "1", "-o", "designs"
    )
    assert status == 0, err
    assert (
        "1 of 2 sequences have only one adapter; their designs, and the values of their starts, "
        "have both\n"
    ) in err
    assert "not added" not in err
    for row in rows(place / "designs" / "order.tsv"):
        assert row["sequence"].startswith(ADAPTER_5) and row["sequence"].endswith(ADAPTER_3)


def test_designs_stay_away_from_a_file(place, crmnet):
    status, _, err = crmnet(
        "design", "--minimise", "complex", "--start", "insert.txt", "--away-from", "start.fasta",
        "--distance", "9", *SMALL, "-o", "designs",
    )  # fmt: skip
    assert status == 0, err
    designs = [row["sequence"] for row in rows(place / "designs" / "designs.tsv")]
    for design in designs:
        assert sum(a != b for a, b in zip(design, INSERT, strict=True)) >= 9


def test_ctrl_c_keeps_the_best_and_the_same_command_continues(place, crmnet, monkeypatch, caplog):
    words = ["design", "--maximise", "complex", *SMALL, "--method", "annealing", "-o", "designs"]
    assert crmnet(*words[:-1], "straight")[0] == 0
    save = run.Record.save

    def interrupted(self, step, arrays, *, force=False):
        save(self, step, arrays, force=True)
        if step == 1 and not force:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(run.Record, "save", interrupted)
        status, out, err = crmnet(*words)
    assert status == 130
    assert "these are the best designs so far; the same command continues" in err
    assert "written: designs/designs.tsv" in out
    assert (place / "designs" / "search.npz").exists()
    status, _, err = crmnet(*words[:-2], "--seed", "5", "-o", "designs")
    assert status == 2
    assert "an unfinished search with another seed (0, now 5)" in err
    status, _, err = crmnet(*words)
    assert status == 0, err
    assert "continues the search in designs after step 1" in caplog.text
    for name in ("designs.tsv", "paths.tsv"):
        first, second = (place / folder / name for folder in ("straight", "designs"))
        assert first.read_text() == second.read_text()
    assert not (place / "designs" / "search.npz").exists()
    status, _, err = crmnet(*words)
    assert status == 2
    assert "exists; choose another name or pass --overwrite" in err


def test_without_any_design_only_written_files_are_named(place, crmnet):
    (place / "unlike.txt").write_text("A" * 50 + "\n")
    status, out, err = crmnet(
        "design", *GOAL, *MODELS, "--start", "unlike.txt", "--max-edits", "1", "-n", "1",
        "--steps", "2", "-o", "designs",
    )  # fmt: skip
    assert status == 0, err
    (line,) = (line for line in out.splitlines() if line.startswith("written: designs/"))
    named = line.removeprefix("written: designs/").split(", ")
    assert all((place / "designs" / name).exists() for name in named)
    assert "report.html" not in named and "designs.tsv" in named


def test_presets_are_listed_with_their_sources(crmnet):
    status, out, _ = crmnet("design", "--list-presets")
    assert status == 0
    for words in ("twist: gc_high       65", "idt: ", "salis: hairpin_stem", "not checked"):
        assert words in out


GOAL = ["--maximise", "complex"]
BAD = {
    "no goal": ([], "give one goal: --maximise, --minimise, --target or --separate"),
    "two goals": ([*GOAL, "--minimise", "complex"], "got --maximise and --minimise"),
    "target": (["--target", "complex"], "--target takes MEDIUM=VALUE, such as complex=9"),
    "more targets than designs": (
        ["--target", "complex=5", "--target", "complex=6", "-n", "1"],
        "2 values of --target need a design each; got -n 1, give -n 2 or more",
    ),
    "two media": (
        ["--target", "complex=1", "--target", "defined=2"], "--target takes values in one medium",
    ),
    "one medium twice": (["--separate", "complex", "complex"], "got complex twice"),
    "medium": (["--maximise", "grape"], "predicts grape; name other models with --oracle"),
    "number": ([*GOAL, "-n", "0"], "number of designs must be at least 1; got 0"),
    "chains": ([*GOAL, "--chains", "1"], "chains must be at least 2"),
    "gc": ([*GOAL, "--gc", "high"], "--gc takes percentages such as 30-60; got 'high'"),
    "gc order": ([*GOAL, "--gc", "60-30"], "the lower one first, such as 30-60; got 60-30"),
    "window": ([*GOAL, "--gc-window", "20-80"], "--gc-window takes WIDTH:LOW-HIGH"),
    "enzyme": ([*GOAL, "--avoid-enzyme", "EcoR1"], "not the name of a restriction enzyme; did you"),
    "motif": ([*GOAL, "--keep", "REBB1"], "did you mean 'REB1'?"),
    "contradiction": (
        [*GOAL, "--keep", "GAATTC", "--avoid-enzyme", "EcoRI"],
        "--keep GAATTC and --avoid-enzyme EcoRI (GAATTC) contradict each other",
    ),
    "infeasible preset": (
        [*GOAL, "--preset", "twist", "--limit", "gc_high=5", "--limit", "gc_low=0"],
        "no design can meet twist: G + C 0-5 (order)",
    ),
    "limit alone": ([*GOAL, "--limit", "max_run=4"], "give --preset as well"),
    "limit name": (
        [*GOAL, "--preset", "twist", "--limit", "runs=4"], "preset twist has no number 'runs'",
    ),
    "limit value": (
        [*GOAL, "--preset", "twist", "--limit", "max_run=few"], "--limit takes NAME=NUMBER",
    ),
    "edits of nothing": ([*GOAL, "--max-edits", "3"], "name it with --start"),
    "no file": ([*GOAL, "--start", "absent.fasta"], "absent.fasta: no such file"),
    "letter": ([*GOAL, "--start", "bad.txt"], "(bad.txt, line 2)': letter 'X' at position 21"),
    "position": (
        [*GOAL, "--start", "insert.txt", "--protect", "60"],
        "--protect: position 60 is not in the insert of 1, which has 51 bases",
    ),
    "positions": ([*GOAL, "--protect", "x"], "--protect takes positions and ranges from 1"),
    "mixed starts": (
        [*GOAL, "--start", "mixed.txt", "--protect", "20"], "some begin with an adapter",
    ),
    "stdin twice": (
        [*GOAL, "--start", "-", "--away-from", "-"], "stdin can be read only once; name files for",
    ),
    "away": ([*GOAL, "--away-from", "absent.fasta"], "absent.fasta: no such file"),
    "distance": ([*GOAL, "--distance", "0"], "--distance must be at least 1; got 0"),
    "edits and distance": (
        [*GOAL, "--start", "insert.txt", "--max-edits", "2", "--distance", "7"],
        "--max-edits 2 and --distance 7 contradict each other",
    ),
    "primer": ([*GOAL, "--primer-3", "ACNT"], "--primer-3 must have known bases; got ACNT"),
    "N at the end of a primer": (
        [*GOAL, "--primer-5", "acgtn"], "--primer-5 must have known bases; got acgtn",
    ),
    "primer letters": ([*GOAL, "--primer-5", "ACXT"], "letter 'X' at position 3 of 4"),
    "site in a primer": (
        [*GOAL, "--primer-5", "AGAATTCA", "--avoid-enzyme", "EcoRI"], "so no design can avoid it",
    ),
    "too long": ([*GOAL, "--length", "90"], "give inserts of at most 82 bases"),
    "weight": ([*GOAL, "--unlike", "-1"], "weights of penalties must be at least 0"),
}  # fmt: skip


@pytest.mark.parametrize(("words", "message"), BAD.values(), ids=BAD)
def test_a_bad_input_is_one_line(place, crmnet, words, message):
    own = {word for word in words if word.startswith("--")} | ({"-n"} & set(words))
    usual = ["--steps", "2", *MODELS]
    usual += [] if "-n" in own else ["-n", "2"]
    usual += [] if own & {"--length", "--start"} else ["--length", "40"]
    usual += [] if "--unlike" in own else ["--unlike", "0"]
    status, out, err = crmnet("design", *words, *usual, "-o", "designs")
    assert (status, out) == (2, ""), err
    lines = [line for line in err.splitlines() if line.startswith("crmnet: error: ")]
    assert len(lines) == 1
    assert message in lines[0]
    assert not (place / "designs" / "designs.tsv").exists()


def test_a_missing_default_model_names_the_option(place, crmnet, monkeypatch):
    monkeypatch.setattr("crmnet.design.judge.JUDGE", "yeast-absent")
    status, _, err = crmnet(
        "design", *GOAL, "--oracle", "yeast-fast", "--judge", "yeast-absent", "-o", "designs"
    )
    assert status == 2
    assert "yeast-absent, the default judge, is not one of the bundled models" in err
    assert "name a model with --judge" in err
