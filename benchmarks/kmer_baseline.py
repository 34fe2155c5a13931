"""How much of expression do counts of short words tell? A ridge regression on k-mer counts.

    python benchmarks/kmer_baseline.py DATASET --medium complex [--test OTHER]

Counts of the k-mers of both strands of the insert, k = 1 … 5, ridge penalty 30; trained on four
fifths of the families (or on all, with ``--test``), r on the rest. It says how hard an assay is;
the simulated one was set beside a real one by it (docs/experiments).
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import numpy.typing as npt

from crmnet.data.dataset import Dataset
from crmnet.data.splits import hold_out
from crmnet.sequence import ADAPTER_5, LETTERS

INSERT = slice(len(ADAPTER_5), len(ADAPTER_5) + 80)
PENALTY = 30.0

Floats = npt.NDArray[np.float64]


def counts(tokens: npt.NDArray[np.uint8], k: int) -> Floats:
    """``(N, 4**k)`` numbers of each k-mer, both strands; words with N are left out."""
    insert = tokens[:, INSERT].astype(np.int64)
    found = np.zeros((len(insert), 4**k + 1))
    for strand in (insert, np.where(insert < 4, 3 - insert, insert)[:, ::-1]):
        windows = np.lib.stride_tricks.sliding_window_view(strand, k, axis=1)
        words = windows @ (4 ** np.arange(k))
        words = np.where((windows == LETTERS.index("N")).any(axis=2), 4**k, words)
        np.add.at(found, (np.arange(len(insert))[:, None], words), 1)
    return found[:, :-1]


def r_of_ridge(train: tuple[Floats, Floats], test: tuple[Floats, Floats]) -> float:
    (x, y), (x_test, y_test) = train, test
    mean = x.mean(axis=0)
    weights = np.linalg.solve(
        (x - mean).T @ (x - mean) + PENALTY * np.eye(x.shape[1]), (x - mean).T @ (y - y.mean())
    )
    return float(np.corrcoef((x_test - mean) @ weights, y_test)[0, 1])


def rows_of(data: Dataset, rows: npt.NDArray[np.int64], medium: str) -> npt.NDArray[np.int64]:
    return rows[np.asarray(data.medium)[rows] == data.media.index(medium)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("dataset", type=Path)
    parser.add_argument("--medium", required=True)
    parser.add_argument("--test", type=Path)
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
    print(f"{len(train_rows):,} rows to train on, r on {len(test_rows):,}")
    for k in range(1, 6):
        pairs = [
            (counts(d.tokens[rows], k), np.asarray(d.labels)[rows].astype(np.float64))
            for d, rows in ((data, train_rows), (test, test_rows))
        ]
        print(f"k = {k}: {r_of_ridge(*pairs):.3f}")


if __name__ == "__main__":
    main()
