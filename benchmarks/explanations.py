"""Accuracy of attributions on simulated promoters with known sites and effects.

    python benchmarks/explanations.py RUN DATASET [-n 60] [-o explanations.md]

RUN was trained on simulated data. DATASET is another simulated set, with its ``truth/``. A true
site is a site of ``truth/sites.tsv`` whose effect in the medium is at least 0.3 bins, up or down.
Each attribution method is scored with composition and without it:

- average precision for finding the bases of true sites, for single bases and for means over
  stretches of bases;
- correlation between the summed attributions of a site and its true effect;
- ratio of the mean attribution of bases in true sites to that of other bases.

Intervals are bootstrapped over promoters. The same scores are computed for the network with
shuffled weights, which holds no information, and for the simulated cell, which is exact.
"""

from __future__ import annotations

import argparse
import csv
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from crmnet.data.dataset import Dataset
from crmnet.interpretation.attribute import METHODS, AttributeOptions, attribute, randomised
from crmnet.interpretation.inserts import Inserts, find_inserts
from crmnet.prediction.predictor import Predictor
from crmnet.sequence import N_TOKEN
from crmnet.simulation.cell import MEDIA, Cell

LEAST = 0.3
"""Least effect of a true site, in bins. Bases of weaker sites are not scored."""
SPAN = 7
"""Bases in a stretch."""
RESAMPLES = 200


def true_sites(dataset: Path, inserts: Inserts, medium: str) -> list[tuple[int, int, int, float]]:
    """Row, start and end on the insert, and effect of each site in the first promoters."""
    found = []
    with (dataset / "truth" / "sites.tsv").open(newline="") as file:
        for site in csv.DictReader(file, delimiter="\t"):
            row = int(site["id"][1:])
            if row < len(inserts.start):
                first = int(inserts.start[row])
                start = max(int(site["start"]) - first, 0)
                end = min(int(site["end"]) - first, int(inserts.lengths[row]))
                found.append((row, start, end, float(site[f"effect_{medium}"])))
    return found


def average_precision(score: np.ndarray, true: np.ndarray) -> float:
    """Mean of the precision at each true item, items sorted by falling score."""
    hit = true[np.argsort(-score, kind="stable")]
    return float((np.cumsum(hit) / np.arange(1, len(hit) + 1))[hit].mean())


def smooth(along: np.ndarray) -> np.ndarray:
    """Means over SPAN neighbouring bases, because single bases of a site can have no effect."""
    return np.stack([np.convolve(row, np.ones(SPAN) / SPAN, "same") for row in along])


def scores_of(along: np.ndarray, sites: list[tuple[int, int, int, float]]) -> dict[str, float]:
    """Scores of attributions ``(B, 80)`` against true sites."""
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
    """Scores with 95 % intervals, bootstrapped over promoters."""
    sites_of_row: list[list[tuple[int, int, int, float]]] = [[] for _ in along]
    for site in sites:
        sites_of_row[site[0]].append(site)
    rng = np.random.default_rng(0)
    resampled = []
    for _ in range(RESAMPLES):
        rows = rng.integers(len(along), size=len(along))
        resampled.append(scores_of(along[rows], [(new, *site[1:]) for new, row in enumerate(rows)
                                                 for site in sites_of_row[row]]))  # fmt: skip
    scores = {}
    for name, value in scores_of(along, sites).items():
        low, high = np.quantile([r[name] for r in resampled], [0.025, 0.975])
        scores[name] = f"{value:.2f} [{low:.2f}, {high:.2f}]"
    return scores


def simulated_cell(medium: str) -> Predictor:
    """The cell that made the data, as a network without weights: the best possible result."""

    class Truth(nn.Module):
        cell, number = Cell(), MEDIA.index(medium)

        def forward(self, x_BCL: Tensor) -> Tensor:
            letters = torch.where(x_BCL.sum(dim=1) > 0, x_BCL.argmax(dim=1), N_TOKEN)
            true = self.cell.expression(self.cell.binding(letters.byte().numpy()), self.number)
            return torch.from_numpy(true)[:, None]

    return Predictor(Truth(), [medium], torch.device("cpu"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", type=Path, help="run folder of the network to explain")
    parser.add_argument("dataset", type=Path, help="simulated data set to explain")
    parser.add_argument("-n", type=int, default=60, help="number of promoters")
    parser.add_argument("--medium", default="complex")
    parser.add_argument("--methods", nargs="+", default=METHODS, help="attribution methods")
    parser.add_argument("-o", "--output", type=Path, help="Markdown file to write")
    options = parser.parse_args()
    predictor = Predictor.load(options.run, device="cpu")
    tokens = np.array(Dataset.open(options.dataset).tokens[: options.n])
    sites = true_sites(options.dataset, find_inserts(tokens), options.medium)
    lines = [
        f"{options.n} promoters, {sum(abs(s[3]) >= LEAST for s in sites)} of {len(sites)} sites "
        f"with an effect of at least {LEAST} bins.",
        "",
        "| model | method | composition | average precision, bases | average precision, stretches "
        "| r with true effects | sites : other bases | largest completeness gap |",
        "|---|---|---|---|---|---|---|---|",
    ]
    models = {
        "simulated cell": (simulated_cell(options.medium), ("ism",), (False, True)),
        "trained network": (predictor, options.methods, (False, True)),
        "shuffled weights": (randomised(predictor), options.methods, (True,)),
    }
    for name, (model, methods, forms) in models.items():
        for method in methods:
            for beyond in (False,) if method == "masked" else forms:
                how = AttributeOptions(method, beyond_composition=beyond)
                found = attribute(model, tokens, medium=options.medium, options=how)
                score = with_interval(found.inserts.cut(found.values.sum(axis=1)), sites)
                gap = "–" if found.delta is None else f"{np.abs(found.delta).max():.2g}"
                lines.append(
                    f"| {name} | {method} | {'removed' if beyond else 'kept'} | "
                    f"{score['bases']} | {score['stretches']} | {score['effect r']} | "
                    f"{score['factor']} | {gap} |"
                )
                print(lines[-1], flush=True)
    lines[0] += f" Average precision by chance: {score['chance']}."
    text = "\n".join(lines) + "\n"
    if options.output:
        options.output.write_text(text)
    print(text)


if __name__ == "__main__":
    main()
