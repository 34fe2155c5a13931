"""Settings of the recipe ``auto`` that follow from the number of training rows.

``crmnet train auto`` calls :func:`choose` before it resolves the recipe. The values were chosen on
rows of the media ``defined`` and ``dream``; docs/train.md says how.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

STEPS = 3_000
"""Steps of the optimiser that a training should have, at least, within :data:`EPOCHS`."""
EPOCHS = (6, 40)
"""Fewest and most passes over the rows."""
HELD_OUT_ROWS = 300
"""Rows by which epochs are compared and the scale is fitted."""
HELD_OUT_SHARES = (0.05, 0.2)
"""Smallest and largest share of families that is held out."""


class Choice(NamedTuple):
    """A setting that was chosen, and why."""

    key: str
    value: str
    reason: str

    @property
    def override(self) -> str:
        """As for ``--set``."""
        return f"{self.key}={self.value}"


def choose(rows: int, given: Mapping[str, Any] = {}) -> list[Choice]:
    """Settings for a data set with this number of rows.

    Args:
        rows: Number of rows.
        given: Settings that the user chose, such as ``train.epochs``, with their values. They are
            not among the choices, which follow from them.
    """
    batch = given.get("train.batch_size", 32 if rows < 2_000 else 64 if rows < 8_000 else 128)
    share = min(max(HELD_OUT_ROWS / max(rows, 1), HELD_OUT_SHARES[0]), HELD_OUT_SHARES[1])
    share = given.get("train.validation_fraction", share)
    steps = max(rows * (1 - share) / batch, 1)
    epochs = min(max(math.ceil(STEPS / steps), EPOCHS[0]), EPOCHS[1])
    epochs = given.get("train.epochs", epochs)
    wide = rows >= 2_000
    width = "the width of yeast's members" if wide else "narrower for fewer than 2,000 rows"
    choices = [
        Choice("train.batch_size", str(batch), "smaller batches make more steps of few rows"),
        Choice("train.epochs", str(epochs), f"about {epochs * steps:,.0f} steps in all"),
        Choice("train.warmup_epochs", f"{0.25 * epochs:g}", "a quarter of the epochs"),
        Choice(
            "train.validation_fraction", f"{share:.3g}",
            f"about {rows * share:,.0f} rows to compare epochs and to fit the scale",
        ),
        Choice("model.encoder", "[96,128]" if wide else "[64,96]", width),
        Choice("model.recurrent", "128" if wide else "64", width),
    ]  # fmt: skip
    return [choice for choice in choices if choice.key not in given]
