"""What the README and the docs say can be typed, and the map shows what is there."""

import re
import runpy
import shlex
import sys
from pathlib import Path

import pytest

from crmnet import cli

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def code_blocks(page, language):
    return re.findall(rf"```{language}\n(.*?)```", page.read_text(), flags=re.DOTALL)


def commands():
    found = {}
    for page in PAGES:
        for block in code_blocks(page, "sh"):
            for line in block.replace("\\\n", " ").splitlines():
                for part in line.split("#")[0].split("|"):
                    words = shlex.split(part.split("&&")[0])
                    if words and words[0] == "crmnet":
                        found[f"{page.name}: {' '.join(words)}"] = words[1:]
    return found


@pytest.mark.parametrize(("words"), commands().values(), ids=commands().keys())
def test_every_command_shown_exists_with_its_options(words, monkeypatch, capsys):
    verbs = words[:2] if words[0] in ("data", "evolve", "models", "motifs") else words[:1]
    monkeypatch.setattr(sys, "argv", ["crmnet", *verbs, "--help"])
    monkeypatch.setenv("COLUMNS", "200")
    with pytest.raises(SystemExit) as stop:
        cli.main()
    assert not stop.value.code
    shown = capsys.readouterr().out
    for word in words:
        if re.match(r"--?[a-z]", word):
            assert re.search(rf"(^|\s){re.escape(word)}\b", shown), f"{word} is not in the help"


def test_there_are_commands_to_check():
    assert len(commands()) > 8


def test_the_readmes_python_runs(tmp_path, monkeypatch):
    (block,) = code_blocks(ROOT / "README.md", "python")  # those of docs: test_docs_python.py
    monkeypatch.chdir(tmp_path)
    (tmp_path / "readme.py").write_text(block)
    found = runpy.run_path("readme.py")
    assert found["expression"].shape == (1, 3)
    assert (found["trust"].low < found["expression"]).all()


def test_the_map_names_every_module_and_nothing_else():
    text = (ROOT / "CONTRIBUTING.md").read_text()
    block = re.search(r"```\nsrc/crmnet/\n(.*?)```", text, flags=re.DOTALL)[1]
    shown = {line.split()[0].rstrip("/") for line in block.splitlines()}
    source = ROOT / "src" / "crmnet"
    there = {
        path.name for path in source.iterdir() if path.name not in ("__main__.py", "__pycache__")
    }
    assert shown == there


def test_the_contributors_table_names_files_that_exist():
    text = (ROOT / "CONTRIBUTING.md").read_text()
    tests = set(re.findall(r"`((?:\w+/)*test_\w+\.py)`", text))
    assert tests
    for name in tests:
        assert (ROOT / "tests" / name.removeprefix("tests/")).is_file(), name
    sources = set(re.findall(r"`([\w/]+\.py)`", text)) - tests
    for name in {name for name in sources if not name.startswith("tests/")}:
        folder = ROOT if name.startswith("benchmarks/") else ROOT / "src" / "crmnet"
        assert (folder / name).is_file(), name


def test_no_machine_paths_or_hosts_of_registries():
    pages = [*PAGES, ROOT / "CHANGELOG.md", ROOT / "CONTRIBUTING.md", ROOT / "Makefile",
             ROOT / "pyproject.toml", ROOT / "constraints.txt"]  # fmt: skip
    for page in pages:
        assert not re.search(r"/(root|home|work|opt)/|pypi\.org|pythonhosted", page.read_text()), (
            page
        )
