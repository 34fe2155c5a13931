"""What several test files share: published data, if present, and settings of a tiny network."""

from pathlib import Path

import pytest

SHARED = Path(__file__).parents[2] / "shared"
"""Published data beside the checkout; they are not part of the project."""

needs_shared = pytest.mark.skipif(
    not (SHARED / "data" / "evolution").is_dir(),
    reason=f"the published data are not in {SHARED / 'data' / 'evolution'}",
)

TINY = [
    "encoder=[8,8]", "decoder=[8]", "tail=[4]", "dense=[16]", "dense_dropout=[0.1]",
    "transformer_blocks=1", "heads=1", "key_dim=8", "feed_forward=8",
    "batch_size=64", "validation_fraction=0.2", "device=cpu", "learning_rate=0.002",
    "final_learning_rate=0.00001", "warmup_epochs=1", "optimizer=adam", "weight_decay=0.0",
    "schedule=cosine", "precision=fp32",
]  # fmt: skip


def settings(*more):
    """Settings of a network small enough for seconds."""
    from crmnet.runs.settings import resolve

    return resolve("demo", [*TINY, *more])


# The published width is slow on a small machine; every contract but the parameter count holds for
# the same wiring at a smaller width.
TINY_WIDTHS = {
    "encoder": (8, 12, 16, 16),
    "heads": 2,
    "key_dim": 8,
    "feed_forward": 8,
    "decoder": (12, 12, 8),
    "tail": (8, 8, 4),
}
NARROW = {
    "crmnet": {**TINY_WIDTHS, "transformer_blocks": 8, "dense": (8, 8, 4, 4)},
    "vaishnav-transformer": {"strand_filters": 32, "channels": 16},
    "vaishnav-conv": {"filters": 16, "dense": 32},
    "deepsea": {"filters": (16, 24, 32)},
    "danq": {"filters": 32, "units": 16, "dense": 64},
    "legnet": {"widths": (32, 16, 16)},
    "dream-cnn": {"filters": 16, "widths": (16, 16)},
    "dream-rnn": {"filters": 16, "units": 16},
    "dream-attn": {"channels": 32, "blocks": 2},
    "basenji": {"stem": (32, 32)},
    "satori": {"filters": 32, "units": 16},
    "enformer": {"tower": (16, 32)},
}
"""Widths for tests that build a network many times or train it; others are small as they are."""

_SMALL = {**TINY_WIDTHS, "transformer_blocks": 2, "dense": (8,), "dense_dropout": (0.1,)}
WIDTHS = {**NARROW, "crmnet": _SMALL, "crmnet-small": _SMALL}
"""Like :data:`NARROW`, and small enough for CRMnet to be trained."""
