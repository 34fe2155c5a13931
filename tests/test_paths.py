"""Every public function that takes a path takes text and any ``os.PathLike`` as well."""

import ast
import os
import re
from pathlib import Path

import numpy as np
import pytest

from crmnet import Dataset, Predictor, evaluate, simulate, train
from crmnet.data.ingest import IngestOptions, ingest
from crmnet.data.opening import open_data
from crmnet.data.reading import display_name
from crmnet.data.sequences import read_promoters
from crmnet.data.validate import Source
from crmnet.evaluation.score_sets import score_table
from crmnet.files import as_paths, write_text_atomically
from crmnet.motifs.formats import read_motifs
from crmnet.prediction.sharded import ShardedJob
from crmnet.prediction.table import predict_file
from crmnet.reports.tables import TableWriter
from crmnet.runs.packed import pack
from crmnet.simulation.assay import AssayOptions
from support import settings

SOURCE = Path(__file__).parents[1] / "src" / "crmnet"


class Place(os.PathLike):
    """A path that is neither text nor a ``pathlib.Path``, as other libraries have them."""

    def __init__(self, path):
        self.path = str(path)

    def __fspath__(self):
        return self.path


@pytest.fixture(params=[str, Place], ids=["text", "PathLike"])
def kind(request):
    return request.param


def public_functions(node, owner="."):
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.ClassDef) and not child.name.startswith("_"):
            yield from public_functions(child, child.name)
        elif isinstance(child, ast.FunctionDef) and re.match(r"__init__$|[^_]", child.name):
            yield owner, child


def test_no_public_function_takes_pathlib_paths_alone():
    checked = 0
    for file in SOURCE.rglob("*.py"):
        if file.is_relative_to(SOURCE / "cli"):  # which typer calls
            continue
        for owner, function in public_functions(ast.parse(file.read_text())):
            arguments = function.args
            for argument in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs):
                kind = "" if argument.annotation is None else ast.unparse(argument.annotation)
                where = f"{file.name}: {owner}.{function.name}({argument.arg}: {kind})"
                assert "Callable" in kind or not re.search(r"\bPath\b", kind), where
                checked += "PathLike" in kind
    assert checked > 90


def test_from_an_assay_to_an_evaluation(kind, tmp_path):
    data = simulate(AssayOptions(300, seed=3), kind(tmp_path / "assay"))
    assert data.path == tmp_path / "assay"
    assert len(Dataset.open(kind(data.path))) == len(data)
    train(settings("epochs=1"), data, kind(tmp_path / "run"))
    train(settings("epochs=1"), data, kind(tmp_path / "more"), start=kind(tmp_path / "run"))
    predictor = Predictor.load(kind(tmp_path / "run"), device="cpu")
    assert predictor.name == "run"
    pack([kind(tmp_path / "run")], kind(tmp_path / "one.safetensors"))
    pack(kind(tmp_path / "run"), kind(tmp_path / "two.safetensors"))
    packed = Predictor.load(kind(tmp_path / "one.safetensors"), device="cpu")
    promoters = ["ACGTT" * 16]
    np.testing.assert_array_equal(packed.predict(promoters), predictor.predict(promoters))
    assert (tmp_path / "one.safetensors").read_bytes() != b""
    assert evaluate(predictor, kind(data.path)) == evaluate(kind(tmp_path / "run"), data)


def test_a_bundled_name_that_is_no_file_is_still_a_name():
    assert Predictor.load(Place("yeast-fast"), device="cpu").name == "yeast-fast"
    with pytest.raises(FileNotFoundError, match="did you mean 'yeast-fast'"):
        Predictor.load("./yeast-fast")


def test_files_of_sequences_and_of_rows(kind, tmp_path):
    file = tmp_path / "rows.tsv"
    file.write_text("id\tsequence\texpression\nx\tACGT\t3\ny\tAACC\t5\nz\tGGTT\t7\n")
    assert read_promoters(kind(file)).ids == ["x", "y", "z"]
    predictor = Predictor.load("yeast-fast", device="cpu")
    (answered,) = predict_file(predictor, kind(file))
    assert answered.ids == ["x", "y", "z"]
    for number, files in enumerate((kind(file), [kind(file)], Source(kind(file)), [Path(file)])):
        data = ingest(files, kind(tmp_path / f"set{number}"), IngestOptions(flanks="none"))
        np.testing.assert_array_equal(data.labels, [3, 5, 7])
    with open_data(kind(file)) as data:
        assert data.name == "rows"


def test_tables_and_motifs(kind, tmp_path):
    with TableWriter(kind(tmp_path / "new" / "t.csv"), ["measured", "predicted"]) as table:
        table.write({"measured": [1, 2, 3], "predicted": [2, 4, 6]})
    assert score_table(kind(tmp_path / "new" / "t.csv")).name == "t"
    write_text_atomically(kind(tmp_path / "m.jaspar"), ">M1 x\n1 2\n3 4\n5 6\n7 8\n")
    assert [motif.id for motif in read_motifs(kind(tmp_path / "m.jaspar"))] == ["M1"]
    job = ShardedJob(kind(tmp_path / "in.fa"), kind(tmp_path / "out.tsv"), ("complex",))
    assert (job.input, job.output) == (tmp_path / "in.fa", tmp_path / "out.tsv")
    assert display_name(kind("-")) == "standard input"


def test_one_path_or_several():
    expected = [Path("a"), Path("b")]
    assert as_paths(["a", Place("b")]) == as_paths(iter(expected)) == expected
    assert as_paths("ab") == as_paths(Place("ab")) == [Path("ab")]
