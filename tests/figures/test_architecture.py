"""The drawing of a network shows its parts, and the figures of the docs can be drawn again."""

import runpy
import struct
from pathlib import Path

import matplotlib
import pytest
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, Rectangle

from crmnet.figures.architecture import draw_architecture
from crmnet.figures.style import ARCHITECTURE, PAGE, STYLE
from crmnet.models.crmnet.network import CRMNET_SMALL, CRMnetConfig

DOCS = Path(__file__).parents[2] / "docs"


def drawn(config, background="light"):
    with matplotlib.rc_context(STYLE):
        axes = Figure().subplots()
        draw_architecture(axes, config, background=background)
    return axes


def boxes(axes, part):
    colour = matplotlib.colors.to_rgba(ARCHITECTURE[part])
    found = [p for p in axes.patches if isinstance(p, Rectangle) and p.get_facecolor() == colour]
    return [box.get_width() for box in found]


def test_each_block_has_a_box_as_wide_as_the_sequence():
    axes = drawn(CRMnetConfig())
    assert boxes(axes, "encoder") == pytest.approx([3.0, 1.5, 0.75, 0.375])
    assert boxes(axes, "decoder") == pytest.approx([0.75, 1.5, 3.0])
    assert len(boxes(axes, "transformer")) == 8
    dashed = [p for p in axes.patches if isinstance(p, FancyArrowPatch) and p.get_linestyle() != "-"
              and p.get_linestyle() != "solid"]  # fmt: skip
    assert len(dashed) == 3, "skip connections"


@pytest.mark.parametrize("config", [CRMNET_SMALL, CRMnetConfig(transformer_blocks=5)])
def test_the_text_is_that_of_the_configuration(config):
    texts = " ".join(text.get_text() for text in drawn(config).texts)
    assert f"{config.transformer_blocks} transformer blocks of {config.heads} heads" in texts
    for level, channels in enumerate(config.encoder):
        assert f"{channels} × {112 // 2**level}" in texts


def test_the_page_is_light_or_dark():
    for background in ("light", "dark"):
        assert matplotlib.colors.to_hex(
            drawn(CRMnetConfig(), background).figure.get_facecolor()
        ) == matplotlib.colors.to_hex(PAGE[background])


@pytest.mark.parametrize("change", [{"stem": 8}, {"recurrent": 8}, {"decoder": ()}])
def test_networks_of_another_shape_are_refused(change):
    with pytest.raises(ValueError, match="only a CRMnet with a decoder"):
        drawn(CRMnetConfig(**change))


def test_the_figures_of_the_docs_are_drawn_by_their_script(tmp_path):
    files = runpy.run_path(str(DOCS / "draw_figures.py"))["draw"](tmp_path)
    assert len(files) == 3
    for file in files:
        sizes = [
            struct.unpack(">2I", path.read_bytes()[16:24]) for path in (file, DOCS / file.name)
        ]
        assert sizes[0] == sizes[1], file.name
