"""What the paper reports: its items, and its numbers beside which ours stand.

Ding, Dixit, Parker & Wen 2023, Frontiers in Big Data 6:1113402. Table 1 is in
:data:`crmnet.benchmark.rows.PAPER_ROWS`.
"""

from __future__ import annotations

from typing import NamedTuple

CITATION = "Ding, Dixit, Parker & Wen 2023, Frontiers in Big Data 6:1113402"
ITEMS = (
    "Supplementary Table 1",
    "Supplementary Figure 3",
    "Pre-training (section 2.4)",
    "Fine-tuning in complex medium (section 2.4)",
    "Fine-tuning in defined medium (section 2.4)",
    "Figure 2",
    "Supplementary Figure 1",
    "Figure 3",
    "Supplementary Tables 2 and 3",
    "Figure 4",
    "Table 1",
    "Figure 5",
    "Supplementary Figure 2",
    "Published weights",
)
"""Every result of the paper, in the order of the report."""


class PaperValue(NamedTuple):
    """A number of the paper and the number of rows it refers to."""

    value: float
    n: int | None = None


MEDIA = ("complex", "defined")
TEST_SETS = ("random-complex", "native-complex", "random-defined", "native-defined")
"""The paper's test sets: kind of promoters and medium."""
CRMNET, TRANSFORMER, CONV = "CRMnet", "Vaishnav transformer", "Vaishnav conv"
ROWS = {
    "train": 51_339_035,
    "train-complex": 30_722_376,
    "train-defined": 20_616_659,
    "random-complex": 2_954,
    "native-complex": 61_150,
    "random-defined": 5_284,
    "native-defined": 3_782,
}
"""Rows of the paper's data sets, by the names that they have here."""
USUAL_LENGTHS = 0.96
"""The paper: more than this share of the constructs has 110 ± 2 bases."""
_R = {
    (CRMNET, "random-complex"): 0.987,
    (CRMNET, "native-complex"): 0.971,
    (CRMNET, "random-defined"): 0.973,
    (CRMNET, "native-defined"): 0.955,
    (TRANSFORMER, "random-complex"): 0.979,
    (TRANSFORMER, "native-complex"): 0.963,
    (CONV, "random-complex"): 0.980,
    (CONV, "native-complex"): 0.960,
}
_MSE = {(CRMNET, "random-complex"): 1.01, (CRMNET, "native-complex"): 3.200}
PARAMETERS = 34_170_289
MEMORY_GB = {"fp32": 270.14, "fp16": 142.17}
"""Memory of training without and with mixed precision, over all devices."""
BLANK_ROWS = (
    (8_192, "TPU v3", 8, "fp32"),
    (16_384, "A100 80G", 8, "fp32"),
    (16_384, "TPU v3", 8, "fp32"),
    (16_384, "TPU v3", 8, "bf16"),
)
"""Local batch, hardware, devices and precision of the rows of Table 1 that the paper leaves
blank: out of memory."""
BEST_RATE = 76_300
"""Largest number of sequences per second in Table 1, derived from its step times."""


def paper_value(metric: str, model: str, test_set: str) -> PaperValue | None:
    """The paper's value of ``pearson`` or ``mse``; None if it prints none."""
    value = {"pearson": _R, "mse": _MSE}.get(metric, {}).get((model, test_set))
    return None if value is None else PaperValue(value, ROWS[test_set])
