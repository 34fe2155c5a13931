"""A tiny study: every item of the paper, resuming after a kill, and what the report says."""

import json
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from crmnet.data.dataset import Dataset
from crmnet.evaluation.compare import Difference
from crmnet.statistics.metrics import Estimate
from crmnet.studies.ablate import AblationResult, VariantResult
from crmnet.studies.reproduce.paper import BLANK_ROWS, ITEMS, MEMORY_GB, paper_value
from crmnet.studies.reproduce.place import Place
from crmnet.studies.reproduce.profiles import DEMO, PROFILES, PUBLIC, Training, find_profile
from crmnet.studies.reproduce.results import Number, StepResult, Table
from crmnet.studies.reproduce.runner import plan, reproduce
from crmnet.studies.reproduce.stamps import Stamp
from crmnet.studies.reproduce.steps import STEPS, chosen_steps
from crmnet.studies.reproduce.training_steps import order_sentence
from support import SHARED, TINY, needs_shared

SHORT = Training("demo", (*TINY, "epochs=1", "even_media=false"))
TINY_STUDY = replace(
    DEMO, simulated=300, simulated_random=120, simulated_native=240, pretrain=SHORT, finetune=SHORT,
    ablation=SHORT, seeds=(0,), zoo=(), network="crmnet-small", batch_sizes=(2,),
    precisions=("fp32", "bf16"),    steps=1, discovery=40, figure5=60, logos=2,
)  # fmt: skip
KILLED = """
import sys
from test_reproduce import TINY_STUDY
from crmnet.studies.reproduce import training_steps
from crmnet.studies.reproduce.runner import reproduce
import os

training_steps.write_learning_curve = lambda run: os._exit(9)
reproduce(sys.argv[1], TINY_STUDY)
"""
"""A study whose process ends without any clean-up, after the pre-training."""


@pytest.fixture(scope="module")
def killed(tmp_path_factory):
    """The folder of a study that was killed after its pre-training."""
    folder = tmp_path_factory.mktemp("study") / "study"
    path = [str(Path(__file__).parent), str(Path(__file__).parents[1]), *filter(None, sys.path)]
    ended = subprocess.run(
        [sys.executable, "-c", KILLED, str(folder)], capture_output=True, text=True, check=False,
        env={"PYTHONPATH": ":".join(path), "PATH": "", "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert ended.returncode == 9, ended.stderr
    return folder


@pytest.fixture(scope="module")
def study(killed):
    """The killed study, continued to its end; and the state in which the kill left it."""
    left = {path: path.stat().st_mtime_ns for path in killed.rglob("*") if path.is_file()}
    return reproduce(killed, TINY_STUDY, made_by="crmnet reproduce"), left


pytestmark = pytest.mark.filterwarnings("error")
slow = pytest.mark.slow


def test_every_item_of_the_paper_has_one_step_with_a_cost_in_every_profile():
    assert sorted(item for step in STEPS for item in step.items) == sorted(ITEMS)
    for profile in PROFILES.values():
        assert set(profile.costs) == {step.name for step in STEPS}
        place = Place(Path("study"), profile)
        planned = list(plan(place))
        assert [p.step for p in planned] == list(STEPS)
        assert all(line.startswith("crmnet ") for p in planned for line in p.commands)
        assert all(p.commands for p in planned)


def test_the_profiles_keep_their_promises():
    minutes = {name: sum(c.minutes for c in p.costs.values()) for name, p in PROFILES.items()}
    assert minutes["demo"] <= 15
    assert minutes["public"] <= 180
    with pytest.raises(ValueError, match="did you mean"):
        find_profile("pubic")


def test_a_step_stands_after_what_it_needs():
    names = [step.name for step in STEPS]
    for number, step in enumerate(STEPS):
        assert set(step.needs) <= set(names[:number])
    assert [s.name for s in chosen_steps(DEMO, ["figure2"])] == [
        "data", "pre-training", "fine-tuning-complex", "figure2",
    ]  # fmt: skip
    assert [s.name for s in chosen_steps(PUBLIC, ["figure5"])] == ["data", "figure5"]
    assert "fine-tuning-complex" in [s.name for s in chosen_steps(DEMO, ["figure5"])]
    with pytest.raises(ValueError, match="unknown step 'figure7'"):
        chosen_steps(DEMO, ["figure7"])


def test_a_command_names_the_studys_own_network_by_its_folder():
    commands = [line for p in plan(Place(Path("study"), DEMO), ["figure5"]) for line in p.commands]
    assert any(line.startswith("crmnet explain runs/fine-tuned-complex ") for line in commands)


def test_every_option_of_the_commands_exists(crmnet):
    seen = {}
    for profile in PROFILES.values():
        for planned in plan(Place(Path("study"), profile, Path("folder"))):
            for line in planned.commands:
                words = line.split()[1:]
                verbs = words[:2] if words[0] in ("data", "models", "motifs") else words[:1]
                options = re.findall(r"(?<=\s)--?[a-z][a-z0-9-]*", line)
                seen.setdefault(tuple(verbs), set()).update(options)
    for verbs, options in seen.items():
        status, shown, _ = crmnet(*verbs, "--help")
        assert status == 0
        for option in options:
            assert option in shown, f"{' '.join(verbs)} has no {option}"


def test_the_papers_numbers():
    assert paper_value("pearson", "CRMnet", "native-complex") == (0.971, 61_150)
    assert paper_value("mse", "CRMnet", "native-complex") == (3.2, 61_150)
    assert paper_value("pearson", "DanQ", "native-complex") is None
    assert len(BLANK_ROWS) == 4
    assert MEMORY_GB == {"fp32": 270.14, "fp16": 142.17}


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (Number("r", 0.95, 0.94, 0.96, 10, 0.955), "lower than in the paper; the paper's value is"),
        (Number("r", 0.90, 0.89, 0.91, 10, 0.955), "0.055 lower than in the paper; the"),
        (Number("r", 0.99, None, None, 10, 0.955), "0.035 higher than in the paper; no interval"),
        (Number("r", 0.955, 0.9, 0.96, 10, 0.955), "Equal to the paper's"),
        (Number("rows", 50, n=50, paper=200, digits=0), "25 % of the paper's."),
        (Number("r", 0.9), "The paper gives no number."),
        (Number("r", None, paper=0.9), "not defined"),
        (Number("rows", 500, n=500, paper=200, digits=0), "2.5 times the paper's."),
        (Number("rows", 5_289, n=5_289, paper=5_284, digits=0), "Nearly the paper's."),
        (Number("share", 1.0, n=9, paper=0.96, note="Above 0.96."), "Above 0.96."),
    ],
)
def test_a_sentence_says_how_a_number_differs(number, text):
    assert text in number.sentence()


def test_simulated_rows_are_not_compared_with_the_papers():
    simulated = Number("r", 0.90, 0.89, 0.91, 10, 0.955).sentence(simulated=True)
    assert "no meaning" in simulated
    assert "12 %" in Number("rows", 12, n=12, paper=100, digits=0).sentence(simulated=True)
    assert "higher" in Number("seconds", 0.5, paper=0.4).sentence(simulated=True)


def test_a_number_keeps_what_is_finite():
    number = Number.of("r", {"value": 0.5, "low": float("nan"), "high": None}, n=3)
    assert (number.value, number.low, number.high, number.n) == (0.5, None, None, 3)


def test_a_stamp_is_read_as_it_was_written(tmp_path):
    result = StepResult(
        ["a"], [Number("r", 0.5, n=2)], [Table("t", {"x": [1]})], missing={"b": "c"}
    )
    stamp = Stamp("step", {"settings": "0"}, result, 1.0, {"hardware": "h"})
    stamp.save(tmp_path / "step.json")
    again = Stamp.load(tmp_path / "step.json")
    assert again is not None
    assert again.result.as_json() == json.loads(json.dumps(result.as_json()))
    assert (again.step, again.inputs, again.about) == (stamp.step, stamp.inputs, stamp.about)
    assert again.identity == stamp.identity
    (tmp_path / "step.json").write_text("{")
    assert Stamp.load(tmp_path / "step.json") is None
    assert Stamp.load(tmp_path / "none.json") is None


def test_a_folder_with_something_else_is_refused(tmp_path, crmnet):
    (tmp_path / "mine.txt").write_text("mine")
    status, _, err = crmnet("reproduce", "-o", tmp_path)
    assert (status, len(err.splitlines())) == (2, 1)
    assert "is not empty" in err
    other = tmp_path / "other"
    other.mkdir()
    (other / "reproduce.json").write_text(json.dumps({"settings": PUBLIC.as_json()}))
    assert "holds a study of profile public" in crmnet("reproduce", "-o", other)[2]
    status, _, err = crmnet("reproduce", "-o", tmp_path / "new", "--from", tmp_path / "none")
    assert (status, "no such folder" in err) == (2, True)


def test_a_dry_run_prints_each_step_and_writes_nothing(tmp_path, crmnet):
    status, out, err = crmnet("reproduce", "--profile", "full", "--dry-run", "-o", tmp_path / "new")
    assert (status, err) == (0, "")
    for step in STEPS:
        assert f"\n{step.name}: {'; '.join(step.items)}\n  " in out
    assert "in all: " in out
    assert not (tmp_path / "new").exists()


@slow
def test_a_killed_study_repeats_nothing_that_was_done(study):
    found, left = study
    assert "data" not in found.ran and "lengths" not in found.ran
    assert found.ran[0] == "pre-training"
    kept = [path for path in left if "data" in path.parts or path.name == "weights.safetensors"]
    assert len(kept) > 10
    for path in kept:
        assert path.stat().st_mtime_ns == left[path], path


@slow
def test_a_finished_study_runs_only_what_was_not_run(study, killed):
    before = {path: path.read_bytes() for path in (killed / "results").glob("*.json")}
    again = reproduce(killed, TINY_STUDY, made_by="crmnet reproduce")
    assert again.ran == ["published-weights"]
    kept = [path for path in before if path.stem != "published-weights"]
    assert all(path.read_bytes() == before[path] for path in kept)


@slow
def test_changed_data_repeat_what_read_them(study, killed):
    path = killed / "results" / "lengths.json"
    content = json.loads(path.read_text())
    content["inputs"]["data random-complex"] = "other rows"
    path.write_text(json.dumps(content))
    again = reproduce(killed, TINY_STUDY, made_by="crmnet reproduce")
    assert again.ran == ["lengths", "published-weights"]


@slow
def test_the_report_shows_every_item_with_its_command(study):
    found, _ = study
    text = found.report.read_text()
    for item in ITEMS:
        assert f"<td>{item}</td>" in text
    for step in STEPS:
        assert f"<h2>{step.title}</h2>".replace("'", "&#x27;") in text
    assert text.count('<pre class="command">') > len(STEPS)
    assert "http" not in re.sub(r'src="data:[^"]*"', "", text)
    for image in re.findall(r"<img[^>]*>", text):
        assert re.search(r'alt="[^"]{20,}"', image)
    assert text.count("<img") >= 10
    assert "0.987 (N 2,954)" in text
    assert "The test sets of this profile are simulated" in text
    for word in ("V100 32G", "out of memory (paper)", "270.14", "142.17", "0.434"):
        assert word in text


@slow
def test_numbers_of_the_report_are_those_of_the_files(study, killed):
    found, _ = study
    metrics = json.loads((killed / "results/figure2/metrics.json").read_text())["sets"]
    numbers = {n.name: n for n in found.stamps["figure2"].result.numbers}
    for name, result in metrics.items():
        number = numbers[f"Pearson r, {name}"]
        assert number.value == result["pearson"]["value"]
        assert number.n == result["n"] == len(Dataset.open(killed / "data" / name))


@slow
def test_the_comparison_has_trivial_baselines(study, killed):
    sets = json.loads((killed / "results/figure3/compare.json").read_text())["sets"]
    assert set(sets) == {"random-complex", "native-complex", "random-defined", "native-defined"}
    for result in sets.values():
        assert {"CRMnet (this study)", "G + C", "dinucleotides", "6-mers"} <= set(result["models"])


@slow
@needs_shared
def test_real_files_are_read_from_a_folder(tmp_path):
    folder = SHARED / "data" / "evolution"
    profile = replace(
        PUBLIC,
        tests={name: (name,) for name in ("random-complex", "native-defined")},
        training={"complex": (("drift-complex",),), "defined": (("drift-defined",),)},
    )  # fmt: skip
    found = reproduce(tmp_path / "study", profile, source=folder, only=["lengths"])
    rows = {n.name: n.value for n in found.stamps["data"].result.numbers}
    assert rows["rows of random-complex"] == 2954
    assert "Test set native-defined" in found.stamps["data"].result.missing
    assert found.ran == ["data", "lengths"]
    assert "<strong>Figure 4: ablation: not run.</strong>" in found.report.read_text()


def test_the_ablation_says_how_far_seeds_are_apart():
    """A p-value of the test rows says nothing about another training run."""
    estimate = Estimate(0.8, 0.7, 0.9)
    variants = [
        VariantResult("pre-trained", 9, (0.80, 0.82), Estimate(0.81, 0.7, 0.9),
                      Difference(0.01, -0.1, 0.1, 0.9), 0.9),
        VariantResult("full", 9, (0.74, 0.86), estimate, None),
    ]  # fmt: skip
    result = AblationResult("native", 1_234, 5, (0, 1), tuple(variants))
    assert order_sentence(result) == (
        "native (n = 1,234): pre-trained > full; the paper's order. No significant difference from "
        "full: pre-trained. The seeds of one way to train differ by up to 0.120, which the "
        "intervals do not contain."
    )
