"""The commands as a user types them; in-process where nothing depends on the process."""

import json
import subprocess
import sys

import numpy as np
import pytest

from crmnet.cli import COMMANDS
from crmnet.cli.train import warn_of_copies
from crmnet.data.dataset import Dataset
from crmnet.data.subset import copy_rows
from crmnet.prediction.predictor import Predictor
from crmnet.sequence import decode
from crmnet.simulation.assay import AssayOptions, simulate

pytestmark = pytest.mark.slow


def every_command():
    yield []
    for name, command in COMMANDS.items():
        yield [name]
        if isinstance(command, dict):
            yield from ([name, verb] for verb in command)


@pytest.mark.parametrize("command", list(every_command()), ids=" ".join)
def test_every_command_has_help_with_an_example(crmnet, command):
    status, out, _ = crmnet(*command, "--help")
    assert status == 0
    assert "Usage: crmnet" in out
    assert command in ([], ["data"], ["evolve"], ["models"], ["motifs"]) or "Example" in out


def test_help_of_explain_names_all_motif_formats(crmnet):
    words = " ".join(crmnet("explain", "--help")[1].replace("│", " ").split())
    for name in ("MEME", "JASPAR", "HOMER", "TRANSFAC", ".gz"):
        assert name in words, name
    assert "else (and with --minus) predicted" in words


def test_version(crmnet):
    status, out, _ = crmnet("--version")
    assert (status, out) == (0, "crmnet 0.2.0\n")


def test_ingest_then_train_then_evaluate_then_predict(crmnet, assay, tmp_path):
    rows = tmp_path / "rows.tsv"
    sequences = decode(assay.tokens)
    rows.write_text(
        "".join(f"{s}\t{y:.6g}\n" for s, y in zip(sequences, assay.labels, strict=True))
        + "ACGTNX\t3\n"
    )
    status, out, _ = crmnet("data", "ingest", rows, "-o", tmp_path / "data", "--medium", "ypd")
    assert status == 0
    assert f"accepted {len(assay)} of {len(assay) + 1} rows" in out.replace(",", "")
    assert Dataset.open(tmp_path / "data").media == ["ypd"]

    run = tmp_path / "run"
    sets = ["--set", "epochs=1", "--set", "encoder=[8,8]", "--set", "decoder=[8]", "--set",
            "transformer_blocks=1", "--set", "validation_fraction=0.2"]  # fmt: skip
    status, out, err = crmnet("train", "small", "--data", tmp_path / "data", "-o", run, *sets)
    assert status == 0, err
    assert "kept epoch 1, the best by R²" in out
    assert (run / "learning_curve.png").stat().st_size > 5_000

    status, _, err = crmnet("evaluate", run, tmp_path / "data", "-o", tmp_path / "e")
    assert status == 0, err
    metrics = json.loads((tmp_path / "e" / "metrics.json").read_text())["sets"]["data"]
    assert metrics["n"] == len(assay)
    assert metrics["pearson"]["low"] <= metrics["pearson"]["value"] <= metrics["pearson"]["high"]
    assert (tmp_path / "e" / "scatter.png").stat().st_size > 10_000
    assert (metrics["unit"], metrics["predicted_unit"]) == ("sorting bin", "sorting bin")
    assert err.count("warning") == 1 and "data is the data set that the model was trained" in err
    status, _, err = crmnet(
        "data", "ingest", rows, "-o", tmp_path / "other", "--medium", "ypd", "--unit", "scores"
    )
    status, out, err = crmnet(
        "evaluate", run, tmp_path / "other", "-o", tmp_path / "e", "--overwrite"
    )
    assert status == 0
    assert "scores" in out
    assert "warning: other: measured in the unit 'scores', predicted in the unit 'sorting" in err

    status, out, err = crmnet("predict", run, tmp_path / "data.fa")
    assert (status, out) == (2, "")
    assert "data.fa: no such file" in err


def test_ingest_says_why_a_unit_is_unknown_and_what_comes_next(crmnet, tmp_path):
    texts = ["ACGTT" * 16, "GGATC" * 16, "CATGA" * 16]
    lines = [f"{text}\t{value}" for text, value in zip(texts, (0.25, 9, 18.41), strict=True)]
    (tmp_path / "r.tsv").write_text("\n".join(["sequence\texpression", *lines]) + "\n")
    words = ["data", "ingest", tmp_path / "r.tsv", "--medium", "ypd", "-o"]
    _, out, _ = crmnet(*words, tmp_path / "a")
    assert (
        "values from 0.25 to 18.41 are not all within bins 0–17, so the unit is unknown; --unit "
        "'sorting bin' or another name states it"
    ) in out
    assert f"crmnet data split {tmp_path / 'a'} -o TRAINING --held-out TEST" in out
    _, out, _ = crmnet(*words, tmp_path / "b", "--unit", "sorting bin")
    assert "(sorting bin)" in out and "unknown" not in out


def test_validation_rows_that_are_training_rows_give_a_warning(assay, tmp_path, capsys):
    watched = copy_rows(assay, np.arange(7), tmp_path / "watched")
    warn_of_copies(assay, watched)
    assert (
        "warning: 7 of 7 validation rows have the insert of a training row"
        in capsys.readouterr().err
    )
    others = simulate(AssayOptions(10, seed=9), tmp_path / "others")
    warn_of_copies(assay, others)
    assert not capsys.readouterr().err


def test_predictions_are_those_of_the_predictor(crmnet, assay, small_run, tmp_path):
    sequences = decode(assay.tokens[:20])
    (tmp_path / "in.txt").write_text("\n".join(sequences))
    status, out, err = crmnet("predict", small_run, tmp_path / "in.txt", "--digits", "full")
    assert status == 0
    lines = [line.split("\t") for line in out.splitlines()]
    assert lines[0] == ["id", *(f"expression_{medium}" for medium in assay.media)]
    found = np.array([[float(v) for v in line[1:]] for line in lines[1:]], dtype=np.float32)
    expected = Predictor.load(small_run).predict(sequences)
    np.testing.assert_allclose(found, expected, rtol=1e-6)
    assert "kept the adapters of 20 of 20" in err
    assert "expression_complex: mean sorting bin, bins 0–17\n" in err

    status, out, _ = crmnet("predict", small_run, tmp_path / "in.txt", "--medium", "defined",
                            "--digits", "full", "-o", tmp_path / "out.csv")  # fmt: skip
    assert status == 0
    lines = (tmp_path / "out.csv").read_text().splitlines()
    assert lines[0] == "id,expression_defined"
    own = expected[2, assay.media.index("defined")]
    assert float(lines[3].split(",")[1]) == pytest.approx(own, rel=1e-6)


def test_a_model_is_packed_calibrated_shown_used_and_exported(crmnet, small_run, tmp_path):
    model, held = tmp_path / "mine.safetensors", tmp_path / "held"
    status, out, err = crmnet("models", "pack", small_run, "-o", model, "--half", "--about", "Tiny",
                              "--reverse-complement", "--max-mb", "1")  # fmt: skip
    assert status == 0, err
    assert "16 bits change a member's prediction by at most" in out
    status, _, err = crmnet("data", "simulate", "-n", 200, "--seed", 9, "-o", held)
    assert status == 0, err
    status, out, err = crmnet("models", "calibrate", model, held, "--test", held, "--native",
                              held, "--resamples", 20)  # fmt: skip
    assert status == 0, err
    assert "complex: 90% intervals ±" in out
    status, shown, _ = crmnet("models", "show", model)
    assert (status, shown) == (0, out)
    assert json.loads(crmnet("models", "show", model, "--json")[1])["storage"] == "float16"

    (tmp_path / "in.fa").write_text(">a\n" + "ACGGT" * 16 + "\n>b\n" + "A" * 80 + "\n")
    words = ["predict", model, tmp_path / "in.fa", "--medium", "complex"]
    status, out, err = crmnet(*words)
    assert status == 0, err
    lines = [line.split("\t") for line in out.splitlines()]
    assert lines[0] == [
        "id", "expression_complex", "low_complex", "high_complex", "percentile_complex",
        "unlike_training",
    ]  # fmt: skip
    assert [line[0] for line in lines[1:]] == ["a", "b"]
    for line in lines[1:]:
        if line[5]:
            assert line[2:4] == ["", ""]  # unlike its training: no honest interval is known
        else:
            assert float(line[2]) < float(line[1]) < float(line[3])
        assert 0 <= float(line[4]) <= 100
    assert "composition" in lines[2][5]
    words += ["--digits", "full"]
    lines = [line.split("\t") for line in crmnet(*words)[1].splitlines()]
    status, _, err = crmnet(*words, "-o", tmp_path / "parts.tsv", "--part-rows", 1)
    assert status == 0, err
    parts = [line.split("\t") for line in (tmp_path / "parts.tsv").read_text().splitlines()]
    assert parts[0] == lines[0]
    for one, other in zip(parts[1:], lines[1:], strict=True):
        assert (one[0], one[5]) == (other[0], other[5])
        np.testing.assert_allclose(
            [float(v or "nan") for v in one[1:5]],
            [float(v or "nan") for v in other[1:5]],
            rtol=1e-5,
        )
    status, out, err = crmnet("models", "export", model, "--torch-export", "-o", tmp_path / "m.pt2")
    assert status == 0, err
    assert "from PyTorch" in out
    status, out, _ = crmnet("models", "list")
    assert status == 0


def test_a_pipe_that_head_closes_is_not_an_error(assay, small_run):
    # Much more than the buffer of a pipe, so that writing fails after head has ended.
    sequences = "\n".join(decode(assay.tokens) * 20)
    command = f"{sys.executable} -m crmnet predict {small_run} - --medium complex | head -n 3"
    done = subprocess.run(
        ["bash", "-o", "pipefail", "-c", command], input=sequences, capture_output=True, text=True
    )
    assert done.returncode == 0
    assert len(done.stdout.splitlines()) == 3
    assert "Error" not in done.stderr


def test_evaluate_scores_a_table_of_predictions(crmnet, tmp_path):
    table = tmp_path / "t.csv"
    table.write_text("sequence,measured,predicted\nA,1,2\nC,2,4\nG,3,6\nT,4,8\n")
    status, _, _ = crmnet("evaluate", "--predictions", table, "-o", tmp_path / "e")
    assert status == 0
    found = json.loads((tmp_path / "e" / "metrics.json").read_text())["sets"]["t"]
    assert found["pearson"]["value"] == pytest.approx(1)
    rows = (tmp_path / "e" / "predictions.tsv").read_text().splitlines()
    assert [row.split("\t")[3] for row in rows] == ["family", "A", "C", "C", "A"]  # strands
    assert found["mae"]["value"] == pytest.approx(2.5)
    assert found["mse"]["value"] == pytest.approx((1 + 4 + 9 + 16) / 4)
    assert found["r2"]["value"] == pytest.approx(1 - 30 / 5)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["evaluate"], "either MODEL and DATA, or --predictions"),
        (["evaluate", "run"], "name a data set"),
        (["predict", "nowhere", "-"], "nowhere: no such run folder"),
        (["models", "show", "nowhere"], "nowhere is not a packed file"),
        (["models", "pack", "nowhere", "-o", "x.safetensors"], "nowhere: no such run folder"),
        (["models", "calibrate", "nowhere"], "there is nothing to calibrate"),
        (["models", "export", "nowhere"], "choose one of --onnx and --torch-export"),
        (["train", "small", "--data", "nowhere", "-o", "r"], "nowhere: no such data set"),
        (["train", "finetune", "--data", "nowhere", "-o", "r"], "to start from: --from yeast"),
        (["models", "distil", "yeast", "d", "-o", "o", "--native-like", "f"], "has no effect"),
        (["models", "distil", "yeast", "d", "-o", "o", "--mix", "native-like=1"], "--native-like"),
        (["train", "big", "--data", "nowhere", "-o", "r"], "shipped ones are auto, basenji"),
        (["data", "ingest", "nowhere.tsv", "-o", "d"], "nowhere.tsv: no such file"),
        (["data", "ingest", "a", "b", "--medium", "x", "--medium", "y", "--medium", "z", "-o", "d"],
         "3 media for 2 files"),
        (["data", "ingest", "a", "-o", "d", "--column", "sequence"], "--column takes ROLE=NAME"),
        (
            ["data", "ingest", "a", "-o", "d", "--column", "expr=x"],
            "the role of a column must be one of sequence",
        ),
        (["data", "simulate", "-n", "0", "-o", "d"], "promoters must be at least 1"),
    ],
)  # fmt: skip
def test_bad_input_is_one_line_and_status_2(crmnet, tmp_path, monkeypatch, words, message):
    monkeypatch.chdir(tmp_path)
    status, out, err = crmnet(*words)
    assert (status, out) == (2, "")
    assert message in err
    assert len(err.strip().splitlines()) == 1
    assert not list(tmp_path.iterdir())


def test_other_failures_are_status_1(crmnet, monkeypatch, tmp_path):
    def fail(*_, **__):
        raise RuntimeError("out of memory")

    monkeypatch.setattr("crmnet.prediction.predictor.Predictor.load", fail)
    status, _, err = crmnet("predict", "run", "-")
    assert status == 1
    assert "RuntimeError: out of memory" in err


def test_demo_runs_the_full_workflow(crmnet, tmp_path, monkeypatch):
    monkeypatch.setattr("crmnet.studies.demo.TEST_PROMOTERS", 100)
    out_dir = tmp_path / "demo"
    words = ["demo", "-o", out_dir, "--promoters", 300, "--set", "epochs=1", "--set",
             "encoder=[8,8]", "--set", "decoder=[8]", "--set", "transformer_blocks=1"]  # fmt: skip
    status, out, err = crmnet(*words)
    assert status == 0, err
    for name in ("evaluation/metrics.json", "evaluation/scatter.png", "run/learning_curve.png",
                 "run/weights.safetensors", "data/train_expression.png",
                 "data/test_random/truth/sites.tsv"):  # fmt: skip
        assert (out_dir / name).is_file(), name
    sets = json.loads((out_dir / "evaluation" / "metrics.json").read_text())["sets"]
    assert {name.split(":")[0] for name in sets} == {"test_random", "test_native_like"}
    status, _, err = crmnet("demo", "-o", out_dir, "--promoters", 301)
    assert status == 2
    assert "simulated with other options" in err
    # The three commands that it suggests can be run.
    offered = [line.strip() for line in out.splitlines() if line.strip().startswith("crmnet ")]
    assert len(offered) == 3
    status, again, _ = crmnet(*offered[0].split(" | ")[0].split()[1:])
    assert status == 0
    header, first = again.splitlines()[:2]
    assert set(header.split("\t")) == {"id", "expression_complex", "expression_defined"}
    assert first.startswith("p0\t")


def test_the_zoo_is_listed_and_shown(crmnet):
    status, listed, _ = crmnet("models", "list")
    assert status == 0
    assert "legnet" in listed and "1,852,846" in listed
    status, shown, _ = crmnet("models", "show", "vaishnav-transformer")
    assert status == 0
    assert "1,296,785, 1,280 of them not trained (published: 1,296,785)" in shown
    assert "strand_filters = 256" in shown


def test_an_unknown_network_is_an_error_with_a_suggestion(crmnet):
    status, _, error = crmnet("models", "show", "legnett")
    assert status == 2
    assert "did you mean 'legnet'" in error


@pytest.mark.parametrize("command", [("predict",), ("mutate", "--saturate")])
def test_a_missing_file_is_found_before_the_model_is_opened(crmnet, tmp_path, command):
    verb, *options = command
    status, _, err = crmnet(verb, tmp_path / "no-model", tmp_path / "absent.txt", *options)
    assert status == 2 and "absent.txt: no such file" in err
