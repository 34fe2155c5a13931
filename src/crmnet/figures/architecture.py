"""The architecture of a CRMnet, drawn from its configuration.

Boxes are as wide as the sequence is long at that point: the encoder on the left shortens it, the
bottleneck reads it, and the decoder on the right lengthens it again.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import FancyArrowPatch, Rectangle

from crmnet.figures.style import (
    ARCHITECTURE,
    BASE_COLOURS,
    DASHED,
    GREY,
    PAGE,
    PAGE_TEXT,
    Background,
)
from crmnet.models.crmnet.network import CRMnetConfig

RIGHT, WIDEST, BOX, STEP = 8.0, 3.0, 0.42, 0.95
"""Distance of the columns, width of a full-length box, height of a box, distance of two levels."""
WAIST = 1.3
"""Distance of the bottleneck from the deepest level."""
Point = tuple[float, float]


def architecture_figure_size() -> tuple[float, float]:
    """Width and height in inches at which the text of :func:`draw_architecture` fits."""
    return 8.6, 5.6


def draw_architecture(ax: Axes, config: CRMnetConfig, *, background: Background = "light") -> None:
    """Draw the network of a configuration.

    Args:
        ax: Axes to draw on; a figure of :func:`architecture_figure_size`.
        config: The network. It has a decoder and no stem or recurrent layer, as the published one.
        background: Colour of the page around the figure.

    Raises:
        ValueError: If the network has a stem, a recurrent layer or no decoder.
    """
    if config.stem or config.recurrent or not config.decoder:
        raise ValueError("only a CRMnet with a decoder and without stem and LSTM can be drawn")
    drawing = _Drawing(ax, config, PAGE_TEXT[background])
    drawing.encoder()
    drawing.bottleneck()
    drawing.decoder()
    drawing.head()
    levels = len(config.encoder)
    ax.set(xlim=(-5.1, RIGHT + 5.1), ylim=(-(levels - 1) * STEP - WAIST - 1.1, 3.5))
    ax.axis("off")
    ax.figure.set_facecolor(PAGE[background])


class _Drawing:
    """Places of the boxes, and how a box and an arrow look."""

    def __init__(self, ax: Axes, config: CRMnetConfig, text: str) -> None:
        self.ax, self.config, self.text = ax, config, text
        self.lengths = [config.length // 2**level for level in range(len(config.encoder))]

    def box(self, centre: Point, length: float, part: str) -> None:
        width = self.width(length)
        corner = (centre[0] - width / 2, centre[1] - BOX / 2)
        self.ax.add_patch(Rectangle(corner, width, BOX, facecolor=ARCHITECTURE[part], linewidth=0))

    def width(self, length: float) -> float:
        return WIDEST * length / self.config.length

    def arrow(self, start: Point, end: Point, **style: Any) -> None:
        look: dict[str, Any] = {"color": self.text, "linewidth": 1.0, "mutation_scale": 9, **style}
        self.ax.add_patch(FancyArrowPatch(start, end, arrowstyle="-|>", shrinkA=0, shrinkB=0,
                                          **look))  # fmt: skip

    def label(self, place: Point, text: str, side: str = "center", size: float = 8) -> None:
        self.ax.text(*place, text, ha=side, va="center", fontsize=size, color=self.text)

    def encoder(self) -> None:
        """The input, and a block for each length."""
        self._bases(1.35)
        self.label((-WIDEST / 2 - 0.25, 1.35), "promoter with adapters\n"
                   f"one-hot, {self.config.length} positions", "right")  # fmt: skip
        self.arrow((0, 1.35 - BOX / 2), (0, BOX / 2))
        for level, (channels, length) in enumerate(
            zip(self.config.encoder, self.lengths, strict=True)
        ):
            y = -level * STEP
            self.box((0, y), length, "encoder")
            self.label((-WIDEST / 2 - 0.25, y), f"encoder {level + 1}\n{channels} × {length}",
                       "right")  # fmt: skip
            if level:
                self.arrow((0, y + STEP - BOX / 2), (0, y + BOX / 2))

    def _bases(self, y: float) -> None:
        """A stripe of random bases, in the colours of the bases."""
        letters = np.random.default_rng(3).integers(4, size=self.config.length)
        step = WIDEST / len(letters)
        for place, letter in enumerate(letters):
            corner = (-WIDEST / 2 + place * step, y - BOX / 2)
            self.ax.add_patch(
                Rectangle(corner, step, BOX, facecolor=BASE_COLOURS["ACGT"[letter]], linewidth=0)
            )

    def bottleneck(self) -> None:
        """Transformer blocks from left to right, pairs above each other."""
        deepest = -(len(self.lengths) - 1) * STEP
        y = deepest - WAIST
        numbers = range(1, self.config.transformer_blocks + 1)
        groups = [numbers[:1], *(numbers[n : n + 2] for n in range(1, len(numbers), 2))]
        xs = np.linspace(1.6, RIGHT - 1.6, len(groups)).tolist() if numbers else []
        start: Point = (0, deepest - BOX / 2)
        for x, group in zip(xs, groups, strict=False):
            for number, block in enumerate(group):
                height = y + (0.5 - number / max(len(group) - 1, 1)) * 0.62 * (len(group) > 1)
                self.box((x, height), 32, "transformer")
                self.label((x, height), f"T{block}")
            end = (x - self.width(32) / 2 - 0.04, y)
            bend = {"connectionstyle": "angle,angleA=-90,angleB=180,rad=4"} if x == xs[0] else {}
            self.arrow(start, end, **bend)
            start = (x + self.width(32) / 2 + 0.04, y)
        self.arrow(start, (RIGHT, self._decoder_y(0) - BOX / 2),
                   connectionstyle="angle,angleA=0,angleB=90,rad=4")  # fmt: skip
        code = {"none": "", "additive": "position code added, then ",
                "published": "position code multiplied, then "}  # fmt: skip
        self.label((RIGHT / 2, y - 0.78), f"bottleneck, {self.config.encoder[-1]} × "
                   f"{self.lengths[-1]}: {code[self.config.position]}"
                   f"{len(numbers)} transformer blocks of {self.config.heads} heads")  # fmt: skip

    def _decoder_y(self, number: int) -> float:
        return -(len(self.config.decoder) - 1 - number) * STEP

    def decoder(self) -> None:
        """A block for each length, with what the encoder saw at that length."""
        for number, channels in enumerate(self.config.decoder):
            y, length = self._decoder_y(number), self.lengths[-2 - number]
            self.box((RIGHT, y), length, "decoder")
            self.label((RIGHT + WIDEST / 2 + 0.25, y), f"decoder {number + 1}\n"
                       f"{channels} × {length}", "left")  # fmt: skip
            if number:
                self.arrow((RIGHT, y - STEP + BOX / 2), (RIGHT, y - BOX / 2))
            edge = self.width(length) / 2 + 0.06
            self.arrow((edge, y), (RIGHT - edge, y), color=GREY, linestyle=DASHED)
        self.label((RIGHT / 2, 0.2), "skip connections", size=7.5)

    def head(self) -> None:
        """Convolutions, dense layers and the outputs, above the decoder."""
        readout = {"flatten": "flattened", "mean": "mean over positions",
                   "mean-max": "mean and maximum over positions"}  # fmt: skip
        rows = [
            ("tail", self.config.length, "convolutions\n" + _sizes(self.config.tail)),
            ("dense", 56, f"{readout[self.config.readout]}, dense layers\n"
             + _sizes(self.config.dense)),
            ("output", 10, "expression,\none number a medium"),
        ]  # fmt: skip
        y = 0.0
        for part, length, text in rows:
            self.arrow((RIGHT, y + BOX / 2), (RIGHT, y + STEP - BOX / 2))
            y += STEP
            self.box((RIGHT, y), length, part)
            self.label((RIGHT + WIDEST / 2 + 0.25, y), text, "left")


def _sizes(widths: tuple[int, ...]) -> str:
    return " · ".join(map(str, widths))
