"""How true explanations are, on simulated promoters whose sites and effects are known.

    python benchmarks/explanations.py RUN DATASET [-n 60] [-o explanations.md]

RUN was trained on simulated data, DATASET is another simulated set (with its ``truth/``). For each
method of attribution: average precision of finding the bases in true sites that change expression,
correlation of the attributions over a site with its true effect, how many times higher sites score
than other bases, and the same factor after the network's weights were shuffled. A site is one of
``truth/sites.tsv`` whose effect in the medium is at least 0.3 bins either way.
"""

from __future__ import annotations

import argparse
import csv
import time
from pathlib import Path

import numpy as np

from crmnet.attribute import INSERT, METHODS, AttributeOptions, attribute, randomised
from crmnet.data.dataset import Dataset
from crmnet.predict import Predictor

LEAST = 0.3
"""Bins: weaker sites are neither wanted nor counted against a method."""


def true_sites(dataset: Path, rows: int, medium: str) -> list[tuple[int, int, int, float]]:
    """Row, start and end on the insert, and effect of the sites of the first promoters."""
    found = []
    with (dataset / "truth" / "sites.tsv").open(newline="") as file:
        for site in csv.DictReader(file, delimiter="\t"):
            row = int(site["id"][1:])
            if row < rows:
                start = max(int(site["start"]) - INSERT.start, 0)
                end = min(int(site["end"]) - INSERT.start, 80)
                found.append((row, start, end, float(site[f"effect_{medium}"])))
    return found


def average_precision(score: np.ndarray, true: np.ndarray) -> float:
    """Mean precision at each true item, best score first."""
    hit = true[np.argsort(-score, kind="stable")]
    return float((np.cumsum(hit) / np.arange(1, len(hit) + 1))[hit].mean())


def beyond_composition(along: np.ndarray, tokens: np.ndarray) -> np.ndarray:
    """Attributions less their letter's mean: a letter's usual value is composition, not a site."""
    centred = along.astype(float).copy()
    for letter in range(4):
        here = tokens[:, INSERT] == letter
        centred[here] -= along[here].mean()
    return centred


def judge(along: np.ndarray, sites: list[tuple[int, int, int, float]]) -> dict[str, float]:
    """The scores of attributions ``(B, 80)`` against true sites."""
    strong, weak = np.zeros(along.shape, bool), np.zeros(along.shape, bool)
    for row, start, end, effect in sites:
        (strong if abs(effect) >= LEAST else weak)[row, start:end] = True
    counted = strong | ~weak
    size = np.abs(along)
    sums = [along[row, start:end].sum() for row, start, end, effect in sites]
    return {
        "precision": average_precision(size[counted], strong[counted]),
        "chance": float(strong[counted].mean()),
        "effect r": float(np.corrcoef(sums, [effect for *_, effect in sites])[0, 1]),
        "factor": float(size[strong].mean() / max(size[~strong & ~weak].mean(), 1e-9)),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", type=Path)
    parser.add_argument("dataset", type=Path)
    parser.add_argument("-n", type=int, default=60, help="promoters")
    parser.add_argument("--medium", default="complex")
    parser.add_argument("-o", "--output", type=Path)
    options = parser.parse_args()
    predictor = Predictor.load(options.run, device="cpu")
    nothing = randomised(predictor)
    tokens = np.array(Dataset.open(options.dataset).tokens[: options.n])
    sites = true_sites(options.dataset, options.n, options.medium)
    lines = [
        f"{options.n} promoters, {sum(abs(s[3]) >= LEAST for s in sites)} sites of at least "
        f"{LEAST} bins among {len(sites)}.",
        "",
        "| method | average precision (chance) | r with true effects | sites : other bases "
        "| weights shuffled | beyond composition: precision, r, factor "
        "| completeness gap (largest) | s a promoter |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for method in METHODS:
        how = AttributeOptions(method)
        started = time.perf_counter()
        found = attribute(predictor, tokens, medium=options.medium, options=how)
        seconds = (time.perf_counter() - started) / options.n
        along = found.values.sum(axis=1)[:, INSERT]
        good = judge(along, sites)
        other = attribute(nothing, tokens, medium=options.medium, options=how)
        bad = judge(other.values.sum(axis=1)[:, INSERT], sites)
        free = judge(beyond_composition(along, tokens), sites)
        gap = "–" if found.delta is None else f"{np.abs(found.delta).max():.2g}"
        lines.append(
            f"| {method} | {good['precision']:.3f} ({good['chance']:.3f}) | "
            f"{good['effect r']:.3f} | {good['factor']:.2f} | {bad['factor']:.2f} | "
            f"{free['precision']:.3f}, {free['effect r']:.3f}, {free['factor']:.2f} | {gap} | "
            f"{seconds:.2f} |"
        )
        print(lines[-1], flush=True)
    text = "\n".join(lines) + "\n"
    if options.output:
        options.output.write_text(text)
    print(text)


if __name__ == "__main__":
    main()
