"""Panels about data, training and accuracy, drawn on matplotlib axes from arrays.

:mod:`crmnet.reports.dataset_page` and the report modules of other folders arrange panels into pages
and save them.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator
from scipy.ndimage import gaussian_filter

from crmnet.arrays import AnyFloats
from crmnet.figures.style import (
    BACKGROUND,
    BASE_COLOURS,
    BEST_MODELS,
    BLUE,
    CYCLE,
    DASHED,
    DENSITY,
    FROM_PAPER,
    GREY,
    GRID,
    INK,
    MEASURED_HERE,
    ORANGE,
    OTHER_MODELS,
    literal,
)


def density_scatter(
    ax: Axes, measured: npt.ArrayLike, predicted: npt.ArrayLike, unit: str = ""
) -> None:
    """The paper's Figure 2: measured and predicted expression, coloured by density of points.

    Both axes have the same scale; the dashed line is perfect prediction.
    """
    measured, predicted = np.asarray(measured), np.asarray(predicted)
    low = float(min(measured.min(), predicted.min()))
    high = float(max(measured.max(), predicted.max()))
    margin = 0.04 * (high - low or 1.0)
    span = (low - margin, high + margin)
    density = _density_at(measured, predicted, span)
    order = np.argsort(density)  # the densest points are drawn last, on top
    ax.plot(span, span, color=GREY, linewidth=0.8, linestyle=DASHED, zorder=1)
    ax.scatter(
        measured[order],
        predicted[order],
        c=density[order],
        cmap=DENSITY,
        s=max(3.0, min(14.0, 4e4 / len(measured))),
        linewidths=0,
        alpha=0.9,
        rasterized=True,
        zorder=2,
    )
    ax.set(xlim=span, ylim=span, aspect="equal")
    suffix = f" ({literal(unit)})" if unit else ""
    ax.set_xlabel(f"measured expression{suffix}")
    ax.set_ylabel(f"predicted expression{suffix}")


def _density_at(x: AnyFloats, y: AnyFloats, span: tuple[float, float], bins: int = 96) -> AnyFloats:
    """Square root of the smoothed number of points around each point: ``(N,)``."""
    counts, edges, _ = np.histogram2d(x, y, bins=bins, range=[span, span])
    smooth = gaussian_filter(counts, sigma=1.5)
    column = np.clip(np.digitize(x, edges) - 1, 0, bins - 1)
    row = np.clip(np.digitize(y, edges) - 1, 0, bins - 1)
    return np.sqrt(smooth[column, row])


def annotate_metrics(ax: Axes, lines: Sequence[str]) -> None:
    """Write lines of text on a pale ground in the upper left corner, above the points."""
    ax.text(
        0.03, 0.97, "\n".join(lines), transform=ax.transAxes, va="top", ha="left",
        fontsize=8, linespacing=1.5, zorder=4,
        bbox={"facecolor": BACKGROUND, "alpha": 0.8, "edgecolor": "none", "pad": 1.5},
    )  # fmt: skip


def learning_curve(
    loss_ax: Axes, r_ax: Axes, history: Mapping[str, AnyFloats], best_epoch: int | None
) -> None:
    """Losses of training and validation on one axes, r and R² of validation on the other.

    The dashed line marks the epoch whose weights are kept.
    """
    epochs = history["epoch"]
    loss_ax.plot(epochs, history["loss"], color=GREY, marker="o", markersize=3, label="training")
    loss_ax.plot(
        epochs, history["val_loss"], color=BLUE, marker="o", markersize=3, label="validation"
    )
    loss_ax.set(xlabel="epoch", ylabel="loss", title="Loss")
    r_ax.plot(epochs, history["val_r"], color=BLUE, marker="o", markersize=3, label="Pearson r")
    r_ax.plot(epochs, history["val_r2"], color=ORANGE, marker="o", markersize=3, label="R²")
    r_ax.set(xlabel="epoch", ylabel="on validation rows", title="Accuracy")
    r_ax.set_ylim(max(-0.1, float(np.min(history["val_r2"])) - 0.05), 1.0)
    for ax in (loss_ax, r_ax):
        ax.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
        if best_epoch is not None:
            ax.axvline(
                best_epoch,
                color=GREY,
                linewidth=0.8,
                linestyle=DASHED,
                label="epoch kept",
                zorder=1,
            )
        ax.legend(loc="best", fontsize=8)
        ax.grid(axis="y", color=GRID, linewidth=0.7)
        ax.set_axisbelow(True)


def label_histogram(
    ax: Axes, histograms: Mapping[str, tuple[AnyFloats, AnyFloats]], unit: str = ""
) -> None:
    """Distribution of expression in each medium, as filled outlines.

    Args:
        ax: Axes to draw on.
        histograms: Medium → left edges of bins of equal width, and counts.
        unit: Appended to the axis label.
    """
    for (medium, (edges, counts)), color in zip(
        histograms.items(), itertools.cycle(CYCLE), strict=False
    ):
        share = counts / counts.sum()
        width = edges[1] - edges[0] if len(edges) > 1 else 1.0
        steps = np.append(edges, edges[-1] + width)
        ax.stairs(share, steps, color=color, fill=True, alpha=0.25)
        ax.stairs(share, steps, color=color, linewidth=1.3, label=literal(medium))
    ax.set(ylabel="share of rows", title="Expression")
    ax.set_xlabel(f"expression ({literal(unit)})" if unit else "expression")
    # Above the axes, because the bars may fill them.
    ax.legend(loc="lower right", bbox_to_anchor=(1, 1), ncols=3, fontsize=8)


def throughput_bars(
    ax: Axes, labels: Sequence[str], rates: npt.ArrayLike, measured: npt.ArrayLike
) -> None:
    """Sequences per second as horizontal bars on a log axis, with the first bar on top.

    Args:
        ax: Axes to draw on.
        labels: One label for each bar.
        rates: Sequences per second, above 0.
        measured: True for bars measured on this machine, False for bars from the paper.
    """
    rates, measured = np.asarray(rates), np.asarray(measured)
    y = np.arange(len(labels))
    for selected, color, name in (
        (measured, MEASURED_HERE, "this machine"),
        (~measured, FROM_PAPER, "paper, Table 1"),
    ):
        if selected.any():
            ax.barh(y[selected], rates[selected], height=0.7, color=color, label=name)
    for row, rate in enumerate(rates.tolist()):
        text = f"{rate:,.0f}" if rate >= 10 else f"{rate:.2g}"
        ax.annotate(
            text, (rate, row), xytext=(3, 0), textcoords="offset points", va="center", fontsize=7
        )
    ax.set_xscale("log")
    # A log axis has no zero: bars start at a power of ten below the shortest bar.
    ax.set_xlim(10 ** np.floor(np.log10(rates.min() / 2)), 4 * rates.max())
    ax.set_yticks(y, [literal(label) for label in labels], fontsize=8)
    ax.invert_yaxis()
    ax.set(xlabel="sequences per second", title="Training throughput")
    ax.grid(axis="x", color=GRID, linewidth=0.7)
    ax.set_axisbelow(True)
    ax.legend(loc="best", fontsize=8)


def length_histogram(ax: Axes, counts: Mapping[int, int]) -> None:
    """Number of sequences of each length, on a log axis, which shows rare lengths."""
    lengths = np.arange(min(counts), max(counts) + 1)
    ax.bar(lengths, [counts.get(int(n), 0) for n in lengths], width=0.9, color=BLUE)
    ax.set_yscale("log")
    ax.set_ylim(bottom=0.5)
    ax.set(xlabel="length with adapters", ylabel="rows", title="Lengths")
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))


def composition_lines(ax: Axes, shares: Mapping[str, Sequence[float]]) -> None:
    """Share of each base at each position; adapters show as positions with only one base."""
    for base, share in shares.items():
        ax.plot(
            np.arange(1, len(share) + 1), share,
            color=BASE_COLOURS[base], linewidth=1.2, label=base,
        )  # fmt: skip
    ax.set(xlabel="position", ylabel="share of rows", title="Bases", ylim=(0, 1.02))
    ax.legend(loc="lower right", bbox_to_anchor=(1, 1), ncols=5, fontsize=8, handlelength=1)


def family_sizes(ax: Axes, sizes: Mapping[int, int], rule: str) -> None:
    """Number of families of each size, both on log axes."""
    ax.plot(
        list(sizes), list(sizes.values()), color=BLUE, marker="o", markersize=3, linestyle="none"
    )
    ax.set_xscale("log")
    ax.set_yscale("log")
    ax.set(xlim=(0.8, 1.5 * max(sizes)), ylim=(0.6, 2 * max(sizes.values())))
    ax.set(xlabel="rows in a family", ylabel="families", title=f"Families (by {rule})")


def interval_bars(
    ax: Axes,
    labels: Sequence[str],
    values: npt.ArrayLike,
    intervals: npt.ArrayLike,
    best: npt.ArrayLike,
    title: str,
) -> None:
    """A metric of several models as horizontal bars with intervals, with the first bar on top.

    If the differences are small compared with the values, the axis starts a little below the
    shortest bar instead of at 0, and its label states the start.

    Args:
        ax: Axes to draw on.
        labels: One label for each bar.
        values: ``(N,)``; no bar is drawn for NaN.
        intervals: ``(N, 2)``, low and high ends.
        best: ``(N,)``; True for bars in the colour of the best models.
        title: Label of the axis.
    """
    y = np.arange(len(labels))
    values, intervals, best = np.asarray(values), np.asarray(intervals), np.asarray(best)
    defined = np.isfinite(values)
    ends = intervals[np.isfinite(intervals)]
    low, high = (float(ends.min()), float(ends.max())) if ends.size else (0.0, 1.0)
    span = high - low or abs(high) or 1.0
    start = 0.0 if low <= 2 * span else float(np.floor((low - span / 4) * 50) / 50)
    for selected, color in ((best & defined, BEST_MODELS), (~best & defined, OTHER_MODELS)):
        ax.barh(
            y[selected], values[selected] - start, left=start, height=0.7, color=color, zorder=2
        )
    errors = np.abs(intervals[defined].T - values[defined])
    ax.errorbar(
        values[defined], y[defined], xerr=errors, fmt="none", ecolor=INK, elinewidth=1,
        capsize=2, zorder=3,
    )  # fmt: skip
    left, end = min(start, low), max(start, high)
    for row, value in zip(y[defined].tolist(), values[defined].tolist(), strict=True):
        ax.text(end + 0.02 * (end - left), row, f"{value:.4f}", va="center", fontsize=7)
    ax.set_xlim(left, end + 0.2 * (end - left))
    ax.set_yticks(y, [literal(label) for label in labels], fontsize=8)
    ax.invert_yaxis()
    ax.set_xlabel(f"{title} (axis from {start:g})" if start else title)
    ax.xaxis.set_major_locator(MaxNLocator(5))
    ax.grid(axis="x", color=GRID, linewidth=0.7)
    ax.set_axisbelow(True)
