"""``from crmnet import …``: every name is there, and nothing is loaded before it is used."""

import importlib.metadata
import subprocess
import sys
from importlib import import_module

import pytest

import crmnet

HEAVY = ("torch", "numpy", "polars", "pydantic", "scipy", "lightning", "matplotlib")
NAMES = {
    "Dataset",
    "Predictor",
    "attribute",
    "design_promoters",
    "evaluate",
    "evolve",
    "mutate",
    "simulate",
    "train",
}


def python(code):
    """What a fresh interpreter prints."""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return done.stdout.split()


def test_the_import_loads_no_other_library():
    names = python(
        "import sys; before = set(sys.modules); import crmnet; print(*set(sys.modules) - before)"
    )
    assert "crmnet" in names
    assert not {name.split(".")[0] for name in names} & set(HEAVY)
    # Apart from the standard library, the package itself and nothing below it.
    assert {name.split(".")[0] for name in names} <= {"crmnet", *sys.stdlib_module_names}
    assert [name for name in names if name.startswith("crmnet")] == ["crmnet"]


def test_every_name_is_the_object_of_its_module():
    assert set(crmnet.__all__) == {*NAMES, "__version__"}
    for name in NAMES:
        found = getattr(crmnet, name)
        assert found is getattr(import_module(found.__module__), name)
        assert found.__module__.startswith("crmnet.")


def test_the_names_are_listed_before_they_are_used():
    assert {*NAMES, "__version__"} <= set(python("import crmnet; print(*dir(crmnet))"))
    assert {*NAMES, "__version__"} <= set(dir(crmnet))


def test_import_star_gives_the_same_names():
    found = {}
    exec("from crmnet import *", found)
    assert set(crmnet.__all__) <= set(found)


def test_the_version_is_that_of_the_installed_package():
    assert crmnet.__version__ == importlib.metadata.version("crmnet")


def test_modules_and_folders_are_imported_as_before():
    from crmnet import motifs, sequence

    assert sequence.LENGTH == 112
    assert motifs.__name__ == "crmnet.motifs"


def test_an_unknown_name_is_an_error():
    with pytest.raises(AttributeError, match="'crmnet' has no attribute 'predictor'"):
        _ = crmnet.predictor
    with pytest.raises(ImportError, match="cannot import name 'Model'"):
        exec("from crmnet import Model")
