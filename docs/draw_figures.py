"""Draws the figures of the docs that show no data.

    python docs/draw_figures.py

Other figures come from the commands that their pages show.
"""

from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.figure import Figure

from crmnet.figures.architecture import architecture_figure_size, draw_architecture
from crmnet.figures.style import CYCLE, INK, STYLE
from crmnet.models.crmnet.network import CRMnetConfig
from crmnet.sequence import BINS
from crmnet.simulation.assay import CELL_SPREAD

DOCS = Path(__file__).parent
TRUE = {"weak promoter": 4.0, "medium promoter": 9.5, "strong promoter": 14.2}
"""True expression of the promoters in the figure of the assay."""
CELLS = 60


def draw(folder: Path = DOCS) -> list[Path]:
    """Draw all figures into ``folder``; returns the files."""
    return [*draw_network(folder), draw_assay(folder)]


def draw_assay(folder: Path) -> Path:
    """Cells of three promoters in the sorting bins, and their means."""
    random = np.random.default_rng(4)
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(7.2, 2.7), layout="constrained")
        axes = figure.subplots()
        for (name, true), colour in zip(TRUE.items(), CYCLE, strict=False):
            cells = np.clip(np.rint(random.normal(true, CELL_SPREAD, CELLS)), 0, BINS - 1)
            counts = np.bincount(cells.astype(int), minlength=BINS)
            axes.bar(range(BINS), counts, color=colour, alpha=0.55, width=0.9, label=name)
            axes.axvline(cells.mean(), color=colour, linewidth=1.6)
            axes.text(cells.mean(), 26, f"{cells.mean():.2f}", color=INK, ha="center", fontsize=9)
        axes.set(xlabel="sorting bin: log of YFP over RFP, 0 dim to 17 bright", ylabel="cells",
                 xticks=range(BINS), ylim=(0, 25))  # fmt: skip
        axes.legend(loc="upper left", bbox_to_anchor=(1, 1))
        figure.savefig(folder / "assay.png", dpi=160)
    return folder / "assay.png"


def draw_network(folder: Path) -> list[Path]:
    """The published network on a light and on a dark page."""
    files = []
    for background in ("light", "dark"):
        with matplotlib.rc_context(STYLE):
            figure = Figure(figsize=architecture_figure_size())
            axes = figure.add_axes((0, 0, 1, 1))
            draw_architecture(axes, CRMnetConfig(), background=background)
            files.append(folder / f"architecture-{background}.png")
            figure.savefig(files[-1], dpi=160)
    return files


if __name__ == "__main__":
    print(*draw(), sep="\n")
