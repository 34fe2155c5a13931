"""Without ``--flanks``, commands read files as the model's training data were read."""

import json
import shutil

import numpy as np
import pytest

from crmnet.evaluation.calibrate import calibrate
from crmnet.evaluation.intervals import CalibrateOptions
from crmnet.evaluation.rescale import rescale
from crmnet.evaluation.score_sets import score_model
from crmnet.prediction.predictor import Predictor
from crmnet.runs.folder import load_record
from crmnet.runs.model_card import card_lines
from crmnet.runs.packed import load_card, pack
from crmnet.sequence import decode, inserts
from crmnet.simulation.assay import AssayOptions, simulate
from support import ingest_rows, write_rows

pytestmark = pytest.mark.slow

MESSAGE = "no adapters are added, as for the model's training data; --flanks auto adds them"
OPTIONS = CalibrateOptions(resamples=10)


@pytest.fixture(scope="module")
def run(small_run, tmp_path_factory):
    """A run whose record states training data without adapters."""
    folder = tmp_path_factory.mktemp("bare") / "run"
    shutil.copytree(small_run, folder)
    record = json.loads((folder / "run.json").read_text())
    record["data"]["flanks"] = "none"
    (folder / "run.json").write_text(json.dumps(record))
    return folder


@pytest.fixture(scope="module")
def file(run, tmp_path_factory):
    """Inserts of one medium, of which two have more bases than fit with adapters."""
    assay = simulate(AssayOptions(300, seed=6), tmp_path_factory.mktemp("held") / "held")
    here = np.asarray(assay.medium) == assay.media.index(load_record(run).media[0])
    texts = decode(*inserts(assay.tokens[here]))
    texts[:2] = [text + "ACGTTGCA" * 3 for text in texts[:2]]
    rows = zip(texts, assay.labels[here], strict=True)
    return write_rows(tmp_path_factory.mktemp("rows") / "rows.tsv", rows, "sequence expression")


@pytest.fixture(scope="module")
def dataset(file, run, tmp_path_factory):
    medium = load_record(run).media[0]
    return ingest_rows(file, tmp_path_factory.mktemp("set") / "rows", media=(medium,))


def test_a_run_records_the_treatment_of_adapters(small_run, run, tmp_path):
    """`simulate` adds adapters; `auto` reads such inserts and constructs alike."""
    assert load_record(small_run).data["flanks"] == "add"
    assert Predictor.load(small_run).flanks == "auto"
    assert Predictor.load(run).flanks == "none"
    assert Predictor.load("yeast-fast").flanks == "auto"  # its record states nothing
    with pytest.raises(ValueError, match=r"run were read with --flanks none, those of .* were not"):
        pack([run, small_run], tmp_path / "both.safetensors")
    pack([run], tmp_path / "bare.safetensors")
    assert Predictor.load(tmp_path / "bare.safetensors").flanks == "none"
    lines = "\n".join(card_lines(load_card(tmp_path / "bare.safetensors")))
    assert "no adapters are added (--flanks none); at most 112 bases" in lines


@pytest.mark.parametrize(
    ("command", "options"),
    [
        ("predict", ()),
        ("mutate", ("--change", "5del")),
        ("evolve robustness", ()),
    ],
)
def test_files_are_read_as_the_training_data_were(crmnet, run, file, command, options, tmp_path):
    few = tmp_path / "few.txt"
    few.write_text("\n".join(line.split("\t")[0] for line in file.read_text().split("\n")[1:4]))
    words = [*command.split(), run, few, *options]
    status, bare, told = crmnet(*words)
    assert status == 0 and MESSAGE in told, told
    status, same, told = crmnet(*words, "--flanks", "none")
    assert (status, same) == (0, bare) and MESSAGE not in told
    status, _, told = crmnet(*words, "--flanks", "auto")
    assert status == 2 and "has 104 bases, 134 with its adapters" in told


def test_explain_reads_files_as_the_training_data_were(crmnet, run, file, tmp_path):
    (tmp_path / "few.txt").write_text(file.read_text().split("\n")[1].split("\t")[0] + "\n")
    words = ("explain", run, tmp_path / "few.txt", "--medium", "complex", "-o", tmp_path / "out")
    status, _, told = crmnet(*words)
    assert status == 0 and MESSAGE in told, told


def test_a_file_is_scored_as_the_data_set_made_of_it(
    crmnet, run, small_run, file, dataset, tmp_path
):
    """Adapters were added to the rows of files, and rows of 105 bases were refused."""
    medium = dataset.media[0]
    found = []
    for source in (file, dataset.path):
        for words in (("evaluate", run, source), ("compare", run, "--data", source)):
            output = tmp_path / f"{words[0]}-{len(found)}"
            more = ("--medium", medium) if source == file else ()
            status, _, told = crmnet(*words, *more, "-o", output, "--resamples", "10")
            assert status == 0, told
            assert (MESSAGE in told) == (source == file)
            name = "metrics.json" if words[0] == "evaluate" else "compare.json"
            found.append((output / name).read_text())
    assert json.loads(found[0])["sets"] == json.loads(found[2])["sets"]
    assert json.loads(found[1]) == json.loads(found[3])
    both = ("compare", run, f"other={small_run}", "--data", file, "-o", tmp_path / "both")
    status, _, told = crmnet(*both)
    assert status == 2 and "give --flanks for the files of --data" in told
    assert crmnet(*both, "--flanks", "none", "--resamples", "10")[0] == 0


def test_calibration_reads_files_as_the_training_data_were(run, file, dataset, tmp_path):
    cards = []
    for number, source in enumerate((file, dataset.path)):
        path = tmp_path / f"{number}.safetensors"
        pack([run], path)
        cards.append(calibrate(path, source, tests=[source], native=source, options=OPTIONS))
    one, other = cards
    assert one.calibration.intervals == other.calibration.intervals
    assert one.calibration.familiar == other.calibration.familiar
    assert one.tests["rows"]["pearson"] == other.tests["rows"]["pearson"]
    medium = dataset.media[0]
    np.testing.assert_allclose(
        one.calibration.native[medium], other.calibration.native[medium], atol=1e-5
    )
    with pytest.raises(ValueError, match="has 104 bases, 134 with its adapters"):
        auto = CalibrateOptions(resamples=10, flanks="auto")
        calibrate(tmp_path / "0.safetensors", tests=[file], native=file, options=auto)


def test_rescaling_reads_files_as_the_training_data_were(run, dataset, tmp_path):
    """Labels are exact multiples of the predictions for the rows as they are."""
    pack([run], tmp_path / "m.safetensors")
    medium = dataset.media[0]
    predicted = Predictor.load(run).predict_tokens(dataset.tokens)[:, 0]
    rows = zip(decode(dataset.tokens), 2.0 * predicted + 1, strict=True)
    file = write_rows(tmp_path / "exact.tsv", rows, "sequence expression")
    exact = ingest_rows(file, tmp_path / "exact", media=(medium,), units=("sorting bin",))
    for number, source in enumerate((file, exact.path)):
        output = tmp_path / f"{number}.safetensors"
        lines = rescale(tmp_path / "m.safetensors", source, output=output)
        assert lines == {medium: pytest.approx((2, 1), abs=1e-3)}


def test_a_data_set_with_other_adapters_than_the_model_knows_is_reported(run, assay, caplog):
    score_model(Predictor.load(run), assay)
    name = f"the training data of {run.name} with it; ingest it again with --flanks none"
    assert f"{assay.name} was read without --flanks none, {name}" in caplog.text
