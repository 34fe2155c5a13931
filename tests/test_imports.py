"""Imports point one way: a module may import a lower layer, or its own package."""

import ast
import subprocess
import sys
from pathlib import Path

SOURCE = Path(__file__).parents[1] / "src" / "crmnet"
LAYERS = [
    {"sequence", "names", "memory", "files", "processes"},
    {"data", "models", "perturb", "motifs", "figures"},  # independent of each other
    {"run", "cell", "trust"},
    {"simulate"},
    {"card", "optimiser"},
    {"checkpoint"},
    {"bundle", "train_data", "run_folder"},
    {"predict"},
    {"evaluate"},
    {"scored"},
    {"contests"},
    {
        "train",
        "attribute",
        "design",
        "evolve",
        "benchmark",
        "compare",
        "challenge",
        "calibrate",
        "distil",
        "export",
        "parts",
    },  # independent of each other
    {"ablate", "marginalise", "logos"},
    {"report"},
    {"comparison", "explain"},
    {"discovery", "figure5", "planted", "serve", "demo"},
    {"cli"},
    {"__main__"},
]
RANK = {name: rank for rank, names in enumerate(LAYERS) for name in names}


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
            assert name != "crmnet", f"{path}: name the module, as in `from crmnet.predict import`"
            if name.startswith("crmnet."):
                yield name.split(".")[1]


def test_imports_point_down():
    checked = 0
    for path in SOURCE.rglob("*.py"):
        here = path.relative_to(SOURCE).with_suffix("").parts[0]
        if here == "__init__":
            assert not list(imports(path)), "crmnet/__init__.py imports nothing"
            continue
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
    code = (
        f"import sys, crmnet.cli, crmnet.predict, crmnet.parts; print({heavy!r} & set(sys.modules))"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "set()"


def test_every_module_says_what_it_is():
    for path in SOURCE.rglob("*.py"):
        assert ast.get_docstring(ast.parse(path.read_text())), f"{path} has no module docstring"
