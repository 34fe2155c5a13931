"""Predict expression from composition by ridge regression (crmnet.evaluation.baselines).

    python benchmarks/kmer_baseline.py DATASET --medium complex [--test OTHER]

The regression is trained on four fifths of the families and r is that of the other fifth; with
``--test`` it is trained on all families and r is that of OTHER. The result shows how difficult an
assay is. It served to compare the simulated assay with a real one (docs/experiments).
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import numpy.typing as npt

from crmnet.data.dataset import Dataset
from crmnet.data.splits import families, hold_out
from crmnet.evaluation.baselines import FEATURES, fit_baseline


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
    family = families(data)
    if options.test:
        test, train_rows = Dataset.open(options.test), np.arange(len(data))
        test_rows = np.arange(len(test))
    else:
        test = data
        train_rows, test_rows = hold_out(data, 0.2, 0, family=family)
    train_rows = rows_of(data, train_rows, options.medium)
    test_rows = rows_of(test, test_rows, options.medium)
    print(f"{len(train_rows):,} training rows, r on {len(test_rows):,} test rows")
    for name in FEATURES:
        fitted = fit_baseline(
            name, data.tokens[train_rows], data.labels[train_rows], family[train_rows]
        )
        predicted = fitted.predict(test.tokens[test_rows])
        print(f"{name}: {np.corrcoef(predicted, test.labels[test_rows])[0, 1]:.3f}")


if __name__ == "__main__":
    main()
