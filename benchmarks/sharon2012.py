"""Designed promoters of another laboratory (Sharon et al. 2012): predicted against measured ranks.

    python benchmarks/sharon2012.py MODEL --data Sharon_2012_nbt_S2_mod.txt.gz --rows DATASET

The public data set sharon2012-designed has 6,500 designed promoters of 150 bases in about 80 design
sets, with another reporter, measured twice. Between primers and barcode they have about 103
variable bases. The prediction of a promoter is the mean over WINDOWS windows of 80 bases along
them, or that of the window nearest to the gene. The scale differs from that of crmnet, so the score
is Spearman's ρ with the mean of the logarithms of both replicates:

- over all promoters, with a 95 % interval bootstrapped by design set;
- within each design set of at least LEAST promoters: the median over the sets, with an interval
  bootstrapped over the sets, and a table with an interval bootstrapped over the promoters of a set.

Beside the model stand the share of G + C, and a ridge regression on counts of 5-mers (both strands)
that is trained on DATASET, the training rows of the model, and reads the same windows.

Predictions are stored in --scratch, in parts; a run that was interrupted continues with them.
"""

from __future__ import annotations

import argparse
import gzip
import re
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from measuring import add_output, add_scratch, write_result

from crmnet.data.dataset import Dataset
from crmnet.evaluation.baselines import kmer_counts
from crmnet.files import write_atomically
from crmnet.prediction.predictor import Predictor
from crmnet.reports.wording import markdown_row, with_interval
from crmnet.sequence import INSERT, encode
from crmnet.statistics.metrics import Scored, estimate, resample, score

WINDOWS = 4
LEAST = 30
"""Promoters of the smallest design set that is scored alone."""
K, PENALTY = 5, 30.0
"""Of the ridge regression."""
PART = 2000
"""Promoters that are predicted and stored together."""
CHUNK = 4096
"""Training rows whose k-mers are counted at a time."""

Floats = npt.NDArray[np.float64]


class Designed(NamedTuple):
    """Promoters with two measurements."""

    variable: list[str]
    """The bases between barcode and primer."""
    design_set: npt.NDArray[np.str_]
    measured: Floats
    """Mean of the logarithms of both replicates."""
    total: int
    """Promoters of the file."""


def read_designed(path: Path) -> Designed:
    """Promoters of the file for which both replicates have a positive value."""
    with gzip.open(path, "rt", newline="") as file:
        lines = file.read().replace("\r\n", "\n").replace("\r", "\n").split("\n")
    header, *rows = (line.split("\t") for line in lines if line)
    column = {name: number for number, name in enumerate(header)}
    variable, sets, measured = [], [], []
    for row in rows:
        replicates = [_number(row[column[f"ExpressionReplicate{n}"]]) for n in (1, 2)]
        if all(value > 0 for value in replicates):
            description, oligo = row[column["Description"]], row[column["OligoSequence"]]
            variable.append(variable_part(description, oligo))
            sets.append(re.search(r"SetName=([^#]*)#", description)[1])
            measured.append(float(np.log(replicates).mean()))
    return Designed(variable, np.array(sets), np.array(measured), len(rows))


def _number(text: str) -> float:
    """A number; NaN for anything else."""
    try:
        return float(text)
    except ValueError:
        return float("nan")


def variable_part(description: str, oligo: str) -> str:
    """Bases between barcode and primer; the description counts positions from the far end."""
    barcode = int(re.search(r"#Barcode\|[^#]*Start=(\d+)", description)[1])
    primer = int(re.search(r"#Primer3\|[^#]*End=(\d+)", description)[1])
    return oligo[len(oligo) - barcode + 1 : len(oligo) - primer]


def windows(text: str) -> list[str]:
    """Evenly spaced windows of 80 bases; the last one is nearest to the gene."""
    starts = np.linspace(0, len(text) - INSERT, WINDOWS).round().astype(int)
    return [text[start : start + INSERT] for start in starts.tolist()]


def in_windows(texts: list[str], function: Callable[[list[str]], Floats]) -> Floats:
    """``(N, WINDOWS, …)``: a function of sequences, for the windows of each text."""
    flat = [window for text in texts for window in windows(text)]
    found = function(flat)
    return found.reshape(len(texts), WINDOWS, *found.shape[1:])


def predicted(predictor: Predictor, texts: list[str], folder: Path) -> Floats:
    """``(N, WINDOWS, M)``, stored in ``folder`` part by part."""
    parts = []
    for first in range(0, len(texts), PART):
        store = folder / f"sharon2012_{predictor.identity[:12]}_{first}.npy"
        if not store.exists():
            part = in_windows(
                texts[first : first + PART],
                lambda flat: predictor.predict_tokens(predictor.prepare(flat)),
            )
            write_atomically(store, lambda path, part=part: np.save(path.open("wb"), part))
        parts.append(np.load(store))
    return np.concatenate(parts).astype(float)


def ridge(rows: Dataset, medium: str) -> Callable[[list[str]], Floats]:
    """Ridge regression on counts of 5-mers, trained on the rows of a medium."""
    selected = np.nonzero(np.asarray(rows.medium) == rows.media.index(medium))[0]
    squares, products = np.zeros((4**K, 4**K)), np.zeros(4**K)
    total, labels = np.zeros(4**K), np.asarray(rows.labels)[selected].astype(float)
    for first in range(0, len(selected), CHUNK):
        part = selected[first : first + CHUNK]
        x, y = kmer_counts(np.asarray(rows.tokens[part]), K), labels[first : first + CHUNK]
        squares, products, total = squares + x.T @ x, products + x.T @ y, total + x.sum(axis=0)
    mean = total / len(selected)
    squares -= len(selected) * np.outer(mean, mean)
    products -= len(selected) * mean * labels.mean()
    weights = np.linalg.solve(squares + PENALTY * np.eye(4**K), products)

    def predict(texts: list[str]) -> Floats:
        tokens = encode(texts)[0]
        parts = [kmer_counts(tokens[n : n + CHUNK], K) for n in range(0, len(tokens), CHUNK)]
        return np.concatenate([(part - mean) @ weights for part in parts]) + labels.mean()

    return predict


def gc_share(texts: list[str]) -> Floats:
    return np.array([(text.count("G") + text.count("C")) / len(text) for text in texts])


def scores(designed: Designed, values: Floats, resamples: int) -> dict[str, object]:
    """ρ over all promoters and within each large design set, with intervals."""
    overall = _spearman(designed.measured, values, designed.design_set, resamples)
    within = {}
    for name in sorted(set(designed.design_set.tolist())):
        rows = designed.design_set == name
        if rows.sum() >= LEAST:
            one = np.arange(rows.sum())
            found = _spearman(designed.measured[rows], values[rows], one, resamples)
            within[name] = {"n": int(rows.sum()), **found}
    rho = np.array([found["value"] for found in within.values()])
    rng = np.random.default_rng(0)
    drawn = np.median(rho[rng.integers(len(rho), size=(resamples, len(rho)))], axis=1)
    return {"overall": overall, "median_within": vars(estimate(float(np.median(rho)), drawn)),
            "within": within}  # fmt: skip


def _spearman(
    measured: Floats, values: Floats, family: npt.NDArray[np.generic], resamples: int
) -> dict[str, float]:
    scored = Scored("sharon2012", measured, values, family)
    value = score(measured, values)["spearman"]
    return vars(estimate(value, resample(scored, resamples)["spearman"]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", help="run folder, packed file or bundled model")
    parser.add_argument("--data", type=Path, required=True, help="Sharon_2012_nbt_S2_mod.txt.gz")
    parser.add_argument("--rows", type=Path, help="training rows of the model: adds the ridge")
    parser.add_argument("--medium", action="append", help="one of the model's; default: all")
    parser.add_argument("--resamples", type=int, default=1000, help="of the bootstrap")
    add_scratch(parser)
    add_output(parser)
    options = parser.parse_args()
    options.scratch.mkdir(parents=True, exist_ok=True)
    designed, predictor = read_designed(options.data), Predictor.load(options.model)
    expression = predicted(predictor, designed.variable, options.scratch)
    series = {"G + C": gc_share(designed.variable)}
    for medium in options.medium or predictor.media:
        column = expression[:, :, predictor.medium_index(medium)]
        series[f"{predictor.name}, {medium}"] = column.mean(axis=1)
        series[f"{predictor.name}, {medium}, window nearest to the gene"] = column[:, -1]
        if options.rows is not None:
            of_windows = in_windows(designed.variable, ridge(Dataset.open(options.rows), medium))
            series[f"5-mer ridge, {medium}"] = of_windows.mean(axis=1)
    results = {name: scores(designed, values, options.resamples) for name, values in series.items()}
    print_tables(designed, results)
    command = (
        f"python benchmarks/sharon2012.py {predictor.name} --data Sharon_2012_nbt_S2_mod.txt.gz "
        "--rows DATASET"
    )
    write_result(options.output, f"sharon2012_{predictor.name}", command,
                 n=len(designed.variable), results=results)  # fmt: skip


def print_tables(designed: Designed, results: dict[str, dict]) -> None:
    """The scores of all predictors, then those within each design set."""
    large = len(next(iter(results.values()))["within"])
    print(f"{len(designed.variable):,} of {designed.total:,} promoters have both replicates; "
          f"{len(set(designed.design_set.tolist()))} design sets, {large} of at least {LEAST} "
          "promoters\n")  # fmt: skip
    print(markdown_row(["predictor", "ρ, all promoters", "median ρ within design sets",
                        "sets with ρ > 0"]))  # fmt: skip
    print(markdown_row(["---"] * 4))
    for name, found in results.items():
        positive = sum(s["value"] > 0 for s in found["within"].values())
        print(markdown_row([name, with_interval(found["overall"], 2),
                            with_interval(found["median_within"], 2),
                            f"{positive} of {large}"]))  # fmt: skip
    print()
    print(markdown_row(["design set", "promoters", *results]))
    print(markdown_row(["---"] * (2 + len(results))))
    for name, first in next(iter(results.values()))["within"].items():
        cells = [with_interval(found["within"][name], 2) for found in results.values()]
        print(markdown_row([name, str(first["n"]), *cells]))


if __name__ == "__main__":
    main()
