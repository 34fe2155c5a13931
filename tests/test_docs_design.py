"""The Python example of docs/design.md runs, and the presets print what the page promises."""

import re
from pathlib import Path

import numpy as np
import pytest

pytestmark = pytest.mark.slow

PAGE = Path(__file__).parents[1] / "docs" / "design.md"


def test_the_python_example_runs():
    (block,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(), flags=re.DOTALL)
    block = block.replace('judge="yeast", n=4', 'judge="yeast-fast", ranker="yeast-fast", n=1')
    names = {}
    exec(block, names)
    designs = names["designs"]
    assert designs.tokens.shape == (1, 80)
    assert designs.oracle.shape == designs.judge.shape == designs.gap.shape == (1,)
    assert np.isfinite(designs.confirmed.share)
    assert designs.to_table().height == 1
    assert re.fullmatch(r"\d+[ACGT]>[ACGT]", designs.paths[0].changes()[0])


def test_the_page_names_every_option_and_file(crmnet):
    text = PAGE.read_text()
    status, shown, _ = crmnet("design", "--help")
    assert status == 0
    shared = {"--column", "--flanks", "--iupac", "--digits", "--batch-size", "--device", "--help",
              "--overwrite", "--output", "--designs", "--format", "--seed", "--steps"}  # fmt: skip
    for option in set(re.findall(r"--[a-z][a-z0-9-]+", shown)) - shared:
        assert option in text, option
