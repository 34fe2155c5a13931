"""Titles of metrics, and numbers with their intervals, as text.

The report modules of :mod:`crmnet.evaluation`, :mod:`crmnet.studies` and :mod:`crmnet.benchmark`
use them in tables and figures.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from crmnet.statistics.metrics import WITHIN, none_if_undefined

METRIC_TITLES = {
    "pearson": "Pearson r",
    "spearman": "Spearman ρ",
    "r2": "R²",
    "mse": "MSE",
    "mae": "MAE",
    "mse_affine": "MSE fitted",
    WITHIN: "r within families",
}


def with_interval(estimate: Mapping[str, float | None], digits: int = 4) -> str:
    """``0.9776 [0.9753, 0.9800]``; undefined values give ``not defined`` or ``[no interval]``."""
    value, low, high = (
        x if x is not None and math.isfinite(x) else None
        for x in (estimate["value"], estimate["low"], estimate["high"])
    )
    if value is None:
        return "not defined"
    if low is None or high is None:
        return f"{value:z.{digits}f} [no interval]"
    return f"{value:z.{digits}f} [{low:z.{digits}f}, {high:z.{digits}f}]"


def percent(share: float) -> str:
    """A share as text with two digits: 0.004213 is ``0.42 %``, and 0.999 is ``100 %``."""
    value = 100 * share
    return f"{value:.0f} %" if value >= 9.95 else f"{value:.2g} %"


def json_values(values: Mapping[str, float]) -> dict[str, float | None]:
    return {key: none_if_undefined(value) for key, value in values.items()}


def markdown_row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"
