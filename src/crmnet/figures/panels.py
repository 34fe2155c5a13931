"""Panels about data, training and accuracy. Each draws onto the axes it is given.

:mod:`crmnet.reports.dataset_page` arranges them on pages and saves them.
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
from crmnet.figures.style import BLUE, CYCLE, DENSITY, GREY, INK, ORANGE


def density_scatter(
    ax: Axes, measured: npt.ArrayLike, predicted: npt.ArrayLike, unit: str = ""
) -> None:
    """Measured against predicted expression, points coloured by how many lie around them.

    The paper's Figure 2. Both axes have the same scale; the dashed line is perfect prediction.
    """
    measured, predicted = np.asarray(measured), np.asarray(predicted)
    low = float(min(measured.min(), predicted.min()))
    high = float(max(measured.max(), predicted.max()))
    margin = 0.04 * (high - low or 1.0)
    span = (low - margin, high + margin)
    density = _density_at(measured, predicted, span)
    order = np.argsort(density)  # the crowded points are drawn last
    ax.plot(span, span, color=GREY, linewidth=0.8, linestyle=(0, (4, 3)), zorder=1)
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
    suffix = f" ({unit})" if unit else ""
    ax.set_xlabel(f"measured expression{suffix}")
    ax.set_ylabel(f"predicted expression{suffix}")


def _density_at(x: AnyFloats, y: AnyFloats, span: tuple[float, float], bins: int = 96) -> AnyFloats:
    """Smoothed number of points around each point."""
    counts, edges, _ = np.histogram2d(x, y, bins=bins, range=[span, span])
    smooth = gaussian_filter(counts, sigma=1.5)
    column = np.clip(np.digitize(x, edges) - 1, 0, bins - 1)
    row = np.clip(np.digitize(y, edges) - 1, 0, bins - 1)
    return np.sqrt(smooth[column, row])


def annotate_metrics(ax: Axes, lines: Sequence[str]) -> None:
    """Write lines of numbers into the upper left corner, out of the cloud's way."""
    ax.text(
        0.03, 0.97, "\n".join(lines), transform=ax.transAxes, va="top", ha="left",
        fontsize=8, linespacing=1.5,
    )  # fmt: skip


def learning_curve(
    loss_ax: Axes, r_ax: Axes, history: Mapping[str, AnyFloats], best_epoch: int | None
) -> None:
    """Loss (training and validation) on one axis, validation correlation and R² on the other.

    The dashed line is the epoch whose weights are kept.
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
        ax.xaxis.set_major_locator(MaxNLocator(integer=True))
        if best_epoch is not None:
            ax.axvline(
                best_epoch,
                color=GREY,
                linewidth=0.8,
                linestyle=(0, (4, 3)),
                label="epoch kept",
                zorder=1,
            )
        ax.legend(loc="best", fontsize=8)
        ax.grid(axis="y", color="#e6eaee", linewidth=0.7)
        ax.set_axisbelow(True)


def label_histogram(
    ax: Axes, histograms: Mapping[str, tuple[AnyFloats, AnyFloats]], unit: str = ""
) -> None:
    """Distribution of expression per medium, as outlines.

    Args:
        ax: Axes to draw on.
        histograms: Medium → left edges of equal bins, and counts.
        unit: Written behind the axis label.
    """
    for (medium, (edges, counts)), color in zip(
        histograms.items(), itertools.cycle(CYCLE), strict=False
    ):
        share = counts / counts.sum()
        width = edges[1] - edges[0] if len(edges) > 1 else 1.0
        steps = np.append(edges, edges[-1] + width)
        ax.stairs(share, steps, color=color, fill=True, alpha=0.25)
        ax.stairs(share, steps, color=color, linewidth=1.3, label=medium)
    ax.set(ylabel="share of rows", title="Expression")
    ax.set_xlabel(f"expression ({unit})" if unit else "expression")
    # Above the axes, which the bars may fill.
    ax.legend(loc="lower right", bbox_to_anchor=(1, 1), ncols=3, fontsize=8)


def throughput_bars(
    ax: Axes, labels: Sequence[str], rates: npt.ArrayLike, here: npt.ArrayLike
) -> None:
    """Sequences per second as horizontal bars on a log axis, the first one on top.

    Args:
        ax: Axes to draw on.
        labels: What each bar is.
        rates: Sequences per second, above 0.
        here: Whether a bar was measured on this machine, or else stands in the paper.
    """
    rates, here = np.asarray(rates), np.asarray(here)
    places = np.arange(len(labels))
    for chosen, color, name in ((here, BLUE, "this machine"), (~here, GREY, "paper, Table 1")):
        if chosen.any():
            ax.barh(places[chosen], rates[chosen], height=0.7, color=color, label=name)
    for place, rate in zip(places.tolist(), rates.tolist(), strict=True):
        text = f"{rate:,.0f}" if rate >= 10 else f"{rate:.2g}"
        ax.annotate(
            text, (rate, place), xytext=(3, 0), textcoords="offset points", va="center", fontsize=7
        )
    ax.set_xscale("log")
    # Bars on a log axis have no natural start: the decade below the shortest one.
    ax.set_xlim(10 ** np.floor(np.log10(rates.min() / 2)), 4 * rates.max())
    ax.set_yticks(places, labels, fontsize=8)
    ax.invert_yaxis()
    ax.set(xlabel="sequences per second", title="Training throughput")
    ax.grid(axis="x", color="#e6eaee", linewidth=0.7)
    ax.set_axisbelow(True)
    ax.legend(loc="best", fontsize=8)


def length_histogram(ax: Axes, counts: Mapping[int, int]) -> None:
    """Number of sequences of each length, on a log axis, for the rare ones are looked for."""
    lengths = np.arange(min(counts), max(counts) + 1)
    ax.bar(lengths, [counts.get(int(n), 0) for n in lengths], width=0.9, color=BLUE)
    ax.set_yscale("log")
    ax.set_ylim(bottom=0.5)
    ax.set(xlabel="length with adapters", ylabel="rows", title="Lengths")
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))


def composition_lines(ax: Axes, shares: Mapping[str, Sequence[float]]) -> None:
    """Share of each letter at each position; adapters stand out as positions of one base."""
    for letter, color in zip(shares, (*CYCLE[:4], GREY), strict=False):
        ax.plot(
            np.arange(1, len(shares[letter]) + 1), shares[letter],
            color=color, linewidth=1.2, label=letter,
        )  # fmt: skip
    ax.set(xlabel="position", ylabel="share of rows", title="Bases", ylim=(0, 1.02))
    ax.legend(loc="lower right", bbox_to_anchor=(1, 1), ncols=5, fontsize=8, handlelength=1)


def family_sizes(ax: Axes, sizes: Mapping[int, int], kinship: str) -> None:
    """Number of families of each size, both on log axes."""
    ax.plot(
        list(sizes), list(sizes.values()), color=BLUE, marker="o", markersize=3, linestyle="none"
    )
    ax.set_xscale("log")
    ax.set_yscale("log")
    ax.set(xlim=(0.8, 1.5 * max(sizes)), ylim=(0.6, 2 * max(sizes.values())))
    ax.set(xlabel="rows in a family", ylabel="families", title=f"Families (by {kinship})")


def interval_bars(
    ax: Axes,
    labels: Sequence[str],
    values: npt.ArrayLike,
    intervals: npt.ArrayLike,
    leading: npt.ArrayLike,
    title: str,
) -> None:
    """A metric of several models as horizontal bars with intervals, the first one on top.

    The axis starts a little below the shortest bar where bars from 0 would all look alike, and
    then says so.

    Args:
        ax: Axes to draw on.
        labels: What each bar is.
        values: ``(N,)``; NaN leaves the place empty.
        intervals: ``(N, 2)``, low and high ends.
        leading: Which ones stand out.
        title: What the bars show, for the axis.
    """
    values, intervals, leading = np.asarray(values), np.asarray(intervals), np.asarray(leading)
    places = np.arange(len(labels))
    defined = np.isfinite(values)
    low, high = float(np.nanmin(intervals)), float(np.nanmax(intervals))
    span = high - low or abs(high) or 1.0
    start = 0.0 if low <= 2 * span else float(np.floor((low - span / 4) * 50) / 50)
    for chosen, color in ((leading & defined, BLUE), (~leading & defined, GREY)):
        ax.barh(
            places[chosen], values[chosen] - start, left=start, height=0.7, color=color, zorder=2
        )
    errors = np.abs(intervals[defined].T - values[defined])
    ax.errorbar(
        values[defined], places[defined], xerr=errors, fmt="none", ecolor=INK, elinewidth=1,
        capsize=2, zorder=3,
    )  # fmt: skip
    left, end = min(start, low), max(start, high)
    for place, value in zip(places[defined].tolist(), values[defined].tolist(), strict=True):
        ax.text(end + 0.02 * (end - left), place, f"{value:.4f}", va="center", fontsize=7)
    ax.set_xlim(left, end + 0.2 * (end - left))
    ax.set_yticks(places, labels, fontsize=8)
    ax.invert_yaxis()
    ax.set_xlabel(f"{title} (axis from {start:g})" if start else title)
    ax.xaxis.set_major_locator(MaxNLocator(5))
    ax.grid(axis="x", color="#e6eaee", linewidth=0.7)
    ax.set_axisbelow(True)
