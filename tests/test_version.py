"""The version stands in several files, which agree."""

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]


def test_all_files_state_one_version():
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    citation = (ROOT / "CITATION.cff").read_text()
    changelog = (ROOT / "CHANGELOG.md").read_text()
    assert re.search(r"^version: (.+)$", citation, re.MULTILINE)[1] == version
    assert re.search(r"^## (.+)$", changelog, re.MULTILINE)[1] == version


def test_torch_has_no_upper_bound():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert [text for text in project["dependencies"] if text.startswith("torch")] == ["torch>=2.11"]
