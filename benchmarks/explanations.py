"""How true explanations are, on simulated promoters whose sites and effects are known.

    python benchmarks/explanations.py RUN DATASET [-n 60] [-o explanations.md]

RUN was trained on simulated data, DATASET is another simulated set (with its ``truth/``). For each
method of attribution, with composition and without: average precision of finding the bases in true
sites that change expression (of single bases, and of means over stretches), correlation of the
attributions over a site with its true effect, and how many times higher sites score than other
bases; intervals are bootstrapped over promoters. The same for the network with its weights
shuffled, which should know nothing, and for the simulated cell, which knows all. A site is one of
``truth/sites.tsv`` whose effect in the medium is at least 0.3 bins either way.
"""

from __future__ import annotations

import argparse
import csv
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from crmnet.data.dataset import Dataset
from crmnet.interpretation.attribute import INSERT, METHODS, AttributeOptions, attribute, randomised
from crmnet.prediction.predictor import Predictor
from crmnet.sequence import N_TOKEN
from crmnet.simulation.cell import MEDIA, Cell

LEAST = 0.3
"""Bins: weaker sites are neither wanted nor counted against a method."""
SPAN = 7
"""Bases in a stretch."""
RESAMPLES = 200


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


def smooth(along: np.ndarray) -> np.ndarray:
    """Means of SPAN neighbouring bases: a site is a stretch, some of whose bases say nothing."""
    return np.stack([np.convolve(row, np.ones(SPAN) / SPAN, "same") for row in along])


def judge(along: np.ndarray, sites: list[tuple[int, int, int, float]]) -> dict[str, float]:
    """The scores of attributions ``(B, 80)`` against true sites."""
    strong, weak = np.zeros(along.shape, bool), np.zeros(along.shape, bool)
    for row, start, end, effect in sites:
        (strong if abs(effect) >= LEAST else weak)[row, start:end] = True
    counted = strong | ~weak
    size, stretch = np.abs(along), np.abs(smooth(along))
    sums = [along[row, start:end].sum() for row, start, end, effect in sites]
    return {
        "bases": average_precision(size[counted], strong[counted]),
        "stretches": average_precision(stretch[counted], strong[counted]),
        "effect r": float(np.corrcoef(sums, [effect for *_, effect in sites])[0, 1]),
        "factor": float(size[strong].mean() / max(size[~strong & ~weak].mean(), 1e-9)),
        "chance": float(strong[counted].mean()),
    }


def with_interval(along: np.ndarray, sites: list[tuple[int, int, int, float]]) -> dict[str, str]:
    """The scores with 95 % intervals, bootstrapped over promoters."""
    mine: list[list[tuple[int, int, int, float]]] = [[] for _ in along]
    for site in sites:
        mine[site[0]].append(site)
    rng = np.random.default_rng(0)
    drawn = []
    for _ in range(RESAMPLES):
        rows = rng.integers(len(along), size=len(along))
        drawn.append(judge(along[rows], [(new, *site[1:]) for new, row in enumerate(rows)
                                         for site in mine[row]]))  # fmt: skip
    scores = {}
    for name, value in judge(along, sites).items():
        low, high = np.quantile([d[name] for d in drawn], [0.025, 0.975])
        scores[name] = f"{value:.2f} [{low:.2f}, {high:.2f}]"
    return scores


def simulated_cell(medium: str) -> Predictor:
    """The cell that made the data, as a network without weights: what attributions can reach."""

    class Truth(nn.Module):
        cell, number = Cell(), MEDIA.index(medium)

        def forward(self, x_BCL: Tensor) -> Tensor:
            letters = torch.where(x_BCL.sum(dim=1) > 0, x_BCL.argmax(dim=1), N_TOKEN)
            true = self.cell.expression(self.cell.binding(letters.byte().numpy()), self.number)
            return torch.from_numpy(true)[:, None]

    return Predictor(Truth(), [medium], torch.device("cpu"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", type=Path)
    parser.add_argument("dataset", type=Path)
    parser.add_argument("-n", type=int, default=60, help="promoters")
    parser.add_argument("--medium", default="complex")
    parser.add_argument("--methods", nargs="+", default=METHODS)
    parser.add_argument("-o", "--output", type=Path)
    options = parser.parse_args()
    predictor = Predictor.load(options.run, device="cpu")
    tokens = np.array(Dataset.open(options.dataset).tokens[: options.n])
    sites = true_sites(options.dataset, options.n, options.medium)
    lines = [
        f"{options.n} promoters, {sum(abs(s[3]) >= LEAST for s in sites)} sites of at least "
        f"{LEAST} bins among {len(sites)}.",
        "",
        "| explained | method | composition | average precision, bases | the same, stretches "
        "| r with true effects | sites : other bases | completeness gap (largest) |",
        "|---|---|---|---|---|---|---|---|",
    ]
    models = {
        "the cell itself": (simulated_cell(options.medium), ("ism",), (False, True)),
        "trained": (predictor, options.methods, (False, True)),
        "weights shuffled": (randomised(predictor), options.methods, (True,)),
    }
    for name, (model, methods, forms) in models.items():
        for method in methods:
            for beyond in (False,) if method == "masked" else forms:
                how = AttributeOptions(method, beyond_composition=beyond)
                found = attribute(model, tokens, medium=options.medium, options=how)
                score = with_interval(found.values.sum(axis=1)[:, INSERT], sites)
                gap = "–" if found.delta is None else f"{np.abs(found.delta).max():.2g}"
                lines.append(
                    f"| {name} | {method} | {'removed' if beyond else 'kept'} | "
                    f"{score['bases']} | {score['stretches']} | {score['effect r']} | "
                    f"{score['factor']} | {gap} |"
                )
                print(lines[-1], flush=True)
    lines[0] += f" Chance precision {score['chance']}."
    text = "\n".join(lines) + "\n"
    if options.output:
        options.output.write_text(text)
    print(text)


if __name__ == "__main__":
    main()
