"""Imports point one way: a module imports its own folder and those earlier in ORDER."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

SOURCE = Path(__file__).parents[1] / "src" / "crmnet"
ORDER = [
    ("choices",),  # named choices of options; imports nothing
    ("arrays",),  # types of arrays and numbers; imports nothing
    (
        "compiled",
        "sequence",
        "names",
        "files",
        "process",
        "device",
    ),  # DNA as arrays; this machine
    ("perturb",),  # edited sequences, still without a model
    ("data",),  # rows on disk
    ("models",),  # networks, which read what data holds
    ("motifs",),  # matrices and sites
    ("figures",),  # axes; no files
    ("statistics",),  # numbers about predictions, whoever made them
    ("reports",),  # files that several verbs write
    ("simulation",),  # a data set whose truth is known
    ("runs",),  # a trained model on disk
    ("training",),  # makes runs
    ("prediction",),  # reads runs
    ("evaluation", "interpretation"),  # use predictions
    ("design",),  # changes sequences by predictions
    ("benchmark",),  # measures training and prediction
    ("studies",),  # combine all of the above
    ("serve",),  # offers them to a browser
    ("cli",),  # offers them to a shell
    ("__main__",),
]
"""Folders and modules of ``src/crmnet``, each of which imports only those in lines above."""
RANK = {name: rank for rank, names in enumerate(ORDER) for name in names}


def imports(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            names = [node.module] if node.module != "crmnet" else [
                f"crmnet.{alias.name}" for alias in node.names
            ]  # fmt: skip
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        else:
            continue
        for name in names:
            assert name != "crmnet", (
                f"{path}: name the module, as in `from crmnet.prediction.predictor import`"
            )
            if name.startswith("crmnet."):
                yield name.split(".")[1]


def test_imports_point_down():
    checked = 0
    for path in SOURCE.rglob("*.py"):
        here = path.relative_to(SOURCE).with_suffix("").parts[0]
        if here == "__init__":
            continue  # the front door; its imports are lazy
        for there in imports(path):
            assert there == here or RANK[there] < RANK[here], f"{path}: {here} imports {there}"
            checked += 1
    assert checked > 20


def test_the_command_line_starts_without_heavy_libraries():
    heavy = {"torch", "numpy", "matplotlib", "lightning", "scipy", "polars"}
    code = f"import sys, crmnet.cli; print({heavy!r} & set(sys.modules))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "set()"


def test_predicting_starts_without_what_only_training_and_pictures_need():
    heavy = {"lightning", "torchmetrics", "matplotlib", "scipy", "polars", "pyjaspar"}
    modules = "sys, crmnet.cli, crmnet.prediction.predictor, crmnet.prediction.sharded"
    code = f"import {modules}; print({heavy!r} & set(sys.modules))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "set()"


def test_the_server_process_computes_nothing():
    heavy = {"torch", "lightning", "matplotlib", "scipy", "polars", "pyjaspar", "Bio"}
    code = f"import sys, crmnet.serve.app; print({heavy!r} & set(sys.modules))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "set()"


def test_every_module_says_what_it_is():
    for path in SOURCE.rglob("*.py"):
        assert ast.get_docstring(ast.parse(path.read_text())), f"{path} has no module docstring"
