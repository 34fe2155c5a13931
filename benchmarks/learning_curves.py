"""Learning curves of one's own rows: how many rows of a new medium give which accuracy.

    python benchmarks/learning_curves.py ROWS OUT --medium dream --pretrained TAUGHT
        [--sizes 200,500,1000,3000,10000] [--seeds 3] [--device cpu]

ROWS is a data set of all measured rows in all media. One medium is treated as one's own. A quarter
of its families (by homology, over all media) is the test set, and none of their rows, in any
medium, is used otherwise. Compared are

- ridge: ridge regression on 6-mer counts;
- auto: ``crmnet train auto`` on the own rows alone;
- measured: ``crmnet train finetune`` from a base that was trained on the other media;
- new: the same from a base that started from TAUGHT, a run that learned from the labels of a
  published network on promoters that are not related to ROWS;
- new, strict: as new, but without the inserts of the own medium among the other media's rows.

Results are appended to OUT/curves.tsv as they are made; a run that is there is not repeated, so an
interrupted script continues. A size beyond the own rows that there are means all of them.
``learning_curves_report.py`` makes a table and a figure of the results.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl
from learning_curves_report import LABELS, markdown, means

from crmnet.arrays import Floats
from crmnet.data.dataset import Dataset
from crmnet.data.hashes import Hashes, insert_hashes, mix
from crmnet.data.splits import families
from crmnet.data.subset import copy_rows
from crmnet.evaluation.baselines import fit_baseline
from crmnet.prediction.predictor import Predictor
from crmnet.statistics.metrics import Scored, bootstrap

Rows = npt.NDArray[np.int64]
TEST_SHARE = 0.25
TEST_ROWS = 2_000
METHODS = tuple(LABELS)
BASES = METHODS[2:]


def crmnet(*arguments: str | Path) -> None:
    """Run a crmnet command."""
    subprocess.run([sys.executable, "-m", "crmnet", *map(str, arguments)], check=True)


class Experiment:
    """Rows of one medium, its test families, and the bases that have not seen them."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.out: Path = options.out
        self.options = options
        self.data = Dataset.open(options.rows)
        self.family: Hashes = np.asarray(families(self.data, "homology"))
        own = np.asarray(self.data.medium) == self.data.media.index(options.medium)
        of_test = mix(self.family ^ np.uint64(77)) < np.uint64(TEST_SHARE * 2**64)
        rng = np.random.default_rng(0)
        self.test: Rows = np.sort(rng.permutation(np.nonzero(own & of_test)[0])[:TEST_ROWS])
        self.pool: Rows = np.nonzero(own & ~of_test)[0]
        self.others: Rows = np.nonzero(~own & ~of_test)[0]

    def base(self, method: str) -> Path:
        """The run from which a method fine-tunes."""
        run = self.out / f"base-{method.replace(', ', '-')}"
        rows = self.others
        if method == "new, strict":
            inserts = np.asarray(insert_hashes(self.data.tokens[:]))
            rows = rows[~np.isin(inserts[rows], inserts[self.pool])]
        source = self.dataset(run.with_name(run.name + "-rows"), rows)
        start = [] if method == "measured" else ["--from", self.options.pretrained]
        schedule = ["epochs=6", "warmup_epochs=1.5"]
        if start:
            schedule = ["epochs=4", "warmup_epochs=0.5", "learning_rate=0.001"]
        crmnet(
            "train", "yeast", "--data", source, "-o", run, "--resume", *start,
            "--set", f"device={self.options.device}", *with_set(schedule),
        )  # fmt: skip
        return run

    def dataset(self, path: Path, rows: Rows) -> Path:
        """Some rows as a data set with families."""
        if not path.exists():
            copy_rows(self.data, np.sort(rows), path, family=self.family)
        return path

    def predict(self, method: str, size: int, seed: int) -> Floats:
        """Predictions of the test rows by a model from ``size`` own rows."""
        rows = np.random.default_rng(seed).permutation(self.pool)[:size]
        tokens = np.asarray(self.data.tokens[self.test])
        if method == "ridge":
            labels = np.asarray(self.data.labels)[rows]
            fitted = fit_baseline("6-mers", self.data.tokens[rows], labels, self.family[rows])
            return fitted.predict(tokens)
        own = self.dataset(self.out / f"own-{size}-{seed}", rows)
        run = self.out / "run"
        shutil.rmtree(run, ignore_errors=True)
        start = ["auto"] if method == "auto" else ["finetune", "--from", self.base(method)]
        crmnet(
            "train", *start, "--data", own, "-o", run,
            *with_set([f"seed={seed}", f"device={self.options.device}"]),
        )  # fmt: skip
        predictor = Predictor.load(run, device=self.options.device)
        output = predictor.media.index(self.options.medium)
        return predictor.predict_tokens(tokens)[:, output].astype(np.float64)


def with_set(settings: list[str]) -> list[str]:
    """``--set`` before each setting."""
    return [word for setting in settings for word in ("--set", setting)]


def measure(experiment: Experiment, method: str, size: int, seed: int) -> dict[str, object]:
    """One row of the table: r and R² with their intervals, and the time it took."""
    if method in BASES:
        experiment.base(method)  # its time does not count
    started = time.perf_counter()
    predicted = experiment.predict(method, size, seed)
    seconds = time.perf_counter() - started
    measured = np.asarray(experiment.data.labels)[experiment.test].astype(np.float64)
    scored = Scored("test", measured, predicted, experiment.family[experiment.test])
    estimates = bootstrap(scored, resamples=1000)
    row: dict[str, object] = {"method": method, "rows": size, "seed": seed, "seconds": seconds}
    for name in ("pearson", "r2"):
        found = estimates[name]
        row |= {name: found.value, f"{name}_low": found.low, f"{name}_high": found.high}
    return row


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("rows", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--medium", required=True)
    parser.add_argument("--pretrained", required=True, help="run trained on a teacher's labels")
    parser.add_argument("--sizes", default="200,500,1000,3000,10000")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--methods", default=";".join(METHODS), help="separated by ;")
    parser.add_argument("--device", default="auto")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    experiment, table = Experiment(options), options.out / "curves.tsv"
    available = len(experiment.pool)
    print(f"{len(experiment.test):,} test rows, {available:,} rows to learn from")
    sizes = dict.fromkeys(min(int(size), available) for size in options.sizes.split(","))
    for seed in range(options.seeds):
        for size in sizes:
            for method in options.methods.split(";"):
                done = pl.read_csv(table, separator="\t") if table.exists() else None
                if done is not None and (method, size, seed) in set(
                    done.select("method", "rows", "seed").iter_rows()
                ):
                    continue
                row = pl.DataFrame([measure(experiment, method, size, seed)])
                with table.open("a") as file:
                    file.write(row.write_csv(separator="\t", include_header=done is None))
                print(method, size, seed, f"R² {row['r2'][0]:.3f}", flush=True)
        print(f"{options.medium}, {len(experiment.test):,} test rows\n\n{markdown(means(table))}")


if __name__ == "__main__":
    main()
