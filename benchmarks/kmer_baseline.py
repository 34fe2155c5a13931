"""Predict expression from k-mer counts by ridge regression.

    python benchmarks/kmer_baseline.py DATASET --medium complex [--test OTHER]

Features are the counts of all k-mers on both strands of the insert, k = 1 … 5; the ridge penalty is
30. The regression is trained on four fifths of the families and r is that of the other fifth; with
``--test`` it is trained on all families and r is that of OTHER. The result shows how difficult an
assay is. It served to compare the simulated assay with a real one (docs/experiments).
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import numpy.typing as npt

from crmnet.data.dataset import Dataset
from crmnet.data.splits import hold_out
from crmnet.sequence import LETTERS, inserts

PENALTY = 30.0

Floats = npt.NDArray[np.float64]


def counts(tokens: npt.NDArray[np.uint8], k: int) -> Floats:
    """Counts of each k-mer on both strands, ``(N, 4**k)``; k-mers with N are not counted."""
    insert = inserts(tokens)[0].astype(np.int64)
    found = np.zeros((len(insert), 4**k + 1))
    for strand in (insert, np.where(insert < 4, 3 - insert, insert)[:, ::-1]):
        windows = np.lib.stride_tricks.sliding_window_view(strand, k, axis=1)
        words = windows @ (4 ** np.arange(k))
        words = np.where((windows == LETTERS.index("N")).any(axis=2), 4**k, words)
        np.add.at(found, (np.arange(len(insert))[:, None], words), 1)
    return found[:, :-1]


def r_of_ridge(train: tuple[Floats, Floats], test: tuple[Floats, Floats]) -> float:
    """Pearson's r on the test rows; each argument is (counts, labels)."""
    (x, y), (x_test, y_test) = train, test
    mean = x.mean(axis=0)
    weights = np.linalg.solve(
        (x - mean).T @ (x - mean) + PENALTY * np.eye(x.shape[1]), (x - mean).T @ (y - y.mean())
    )
    return float(np.corrcoef((x_test - mean) @ weights, y_test)[0, 1])


def rows_of(data: Dataset, rows: npt.NDArray[np.int64], medium: str) -> npt.NDArray[np.int64]:
    """Those of ``rows`` that were measured in a medium."""
    return rows[np.asarray(data.medium)[rows] == data.media.index(medium)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("dataset", type=Path, help="data set to train on")
    parser.add_argument("--medium", required=True)
    parser.add_argument("--test", type=Path, help="data set to test on; default: held-out families")
    options = parser.parse_args()
    data = Dataset.open(options.dataset)
    if options.test:
        test, train_rows = Dataset.open(options.test), np.arange(len(data))
        test_rows = np.arange(len(test))
    else:
        test = data
        train_rows, test_rows = hold_out(data, 0.2, 0)
    train_rows = rows_of(data, train_rows, options.medium)
    test_rows = rows_of(test, test_rows, options.medium)
    print(f"{len(train_rows):,} training rows, r on {len(test_rows):,} test rows")
    for k in range(1, 6):
        pairs = [
            (counts(d.tokens[rows], k), np.asarray(d.labels)[rows].astype(np.float64))
            for d, rows in ((data, train_rows), (test, test_rows))
        ]
        print(f"k = {k}: {r_of_ridge(*pairs):.3f}")


if __name__ == "__main__":
    main()
