"""Count the planted factors that motif discovery finds, and its false motifs.

    python benchmarks/discovery.py DATASET [-n 2000] [--medium complex]
    python benchmarks/discovery.py DATASET --run RUN [--promoters 1000] [--method ism]
    python benchmarks/discovery.py DATASET --attributions FILE

DATASET comes from ``crmnet data simulate``. A factor counts as found if the best match of a motif
has its name; factors whose matrices match each other with p < 1e-4 share a name. A factor should be
found if at least 2 % of the promoters at the high or at the low end have a site of it. For missed
factors, the shares at both ends are printed. A motif of one base is a tract, which is planted too,
and does not count as false. With a run, or with the attributions.npz of ``crmnet explain``, the
motifs come from attributions of the first promoters of DATASET.
"""

from __future__ import annotations

import argparse
import csv
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np

from crmnet.data.dataset import Dataset
from crmnet.interpretation.attribute import AttributeOptions, attribute
from crmnet.interpretation.discovery import aligned_inserts, read_attributions
from crmnet.interpretation.inserts import find_inserts
from crmnet.motifs.contrast import extremes, rank_within_strata
from crmnet.motifs.discover import (
    DiscoveredMotif,
    DiscoverOptions,
    differential_motifs,
    ranked_motifs,
)
from crmnet.motifs.jaspar import yeast_motifs
from crmnet.motifs.match import match
from crmnet.motifs.programs import AttributedConstructs
from crmnet.motifs.seqlets import attributed_motifs
from crmnet.prediction.predictor import Predictor
from crmnet.simulation.cell import FACTORS

PRESENT = 0.02
"""A factor should be found if at least this share of promoters at one end has a site of it."""


def site_shares(
    folder: Path, top: np.ndarray, bottom: np.ndarray
) -> dict[str, tuple[float, float]]:
    """For each factor, the shares of promoters with a site at the high and at the low end."""
    ends = ({f"p{row}" for row in top}, {f"p{row}" for row in bottom})
    having: dict[str, tuple[set[str], set[str]]] = {f.name: (set(), set()) for f in FACTORS}
    with (folder / "truth" / "sites.tsv").open(newline="") as file:
        for site in csv.DictReader(file, delimiter="\t"):
            for end, ids in enumerate(ends):
                if site["id"] in ids and site["factor"] in having:
                    having[site["factor"]][end].add(site["id"])
    return {
        name: (len(high) / len(top), len(low) / len(bottom)) for name, (high, low) in having.items()
    }


def summary(found: list[DiscoveredMotif], shares: dict[str, tuple[float, float]]) -> str:
    """One line: numbers of motifs, false motifs and factors found, and the missed factors."""
    database = list(yeast_motifs())
    planted = [m for m in database if m.name in {f.name for f in FACTORS}]
    alike = match(database, planted).p < 1e-4
    recovered: set[str] = set()
    false = []
    for f, place in zip(found, match([f.motif for f in found], database).best(), strict=True):
        names = {m.name for m, same in zip(planted, alike[place], strict=True) if same}
        recovered |= names
        if not names and len(set(f.motif.consensus) & set("ACGT")) > 1:
            false.append(f"{f.motif.consensus} ({database[place].name}, {f.enriched}, q {f.q:.1g})")
    present = {name for name, pair in shares.items() if max(pair) >= PRESENT}
    missed = [f"{name} ({shares[name][0]:.1%} / {shares[name][1]:.1%})"
              for name in sorted(present - recovered)]  # fmt: skip
    return (
        f"{len(found)} motifs, {len(false)} false: {', '.join(false) or 'none'}; "
        f"{len(recovered & present)} of {len(present)} factors found; missed: {', '.join(missed)}"
    )


def of_attributions(options: argparse.Namespace) -> list[DiscoveredMotif]:
    """Motifs from a network's attributions, which are read from a file or computed."""
    if options.attributions:
        attributed = read_attributions(options.attributions)
    else:
        predictor = Predictor.load(options.run, device="cpu")
        tokens = np.array(Dataset.open(options.dataset).tokens[: options.promoters])
        how = AttributeOptions(options.method)
        found = attribute(predictor, tokens, medium=options.medium, options=how)
        attributed = AttributedConstructs(tokens, found.values.sum(axis=1), None)
    aligned, where = aligned_inserts(attributed)
    return attributed_motifs(aligned.tokens[:, where], aligned.values[:, where])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("dataset", type=Path, help="simulated data set")
    parser.add_argument("-n", type=int, default=2000, help="promoters at each end")
    parser.add_argument("--medium", default="complex")
    parser.add_argument("--only", choices=["differential", "ranked"], help="run only this search")
    parser.add_argument("--run", type=Path, help="use motifs from attributions of this network")
    parser.add_argument("--attributions", type=Path, help="use motifs from these attributions")
    parser.add_argument(
        "--promoters", type=int, default=1000, help="promoters to attribute (--run)"
    )
    parser.add_argument("--method", default="ism", help="attribution method (--run)")
    options = parser.parse_args()
    data = Dataset.open(options.dataset)
    rows = np.nonzero(np.asarray(data.medium) == data.media.index(options.medium))[0]
    tokens = np.array(data.tokens[rows])
    inserts = find_inserts(tokens).cut_tokens(tokens)
    expression = np.array(data.labels[rows], dtype=float)
    family = np.array(data.family[rows])
    top, bottom = extremes(rank_within_strata(expression, inserts), family, options.n)
    shares = site_shares(options.dataset, rows[top], rows[bottom])
    searches: dict[str, Callable[[], list[DiscoveredMotif]]] = {
        name: partial(search, inserts, expression, family, DiscoverOptions(n=options.n))
        for name, search in (("differential", differential_motifs), ("ranked", ranked_motifs))
    }
    if options.run or options.attributions:
        searches = {"attributions": partial(of_attributions, options)}
    elif options.only:
        searches = {options.only: searches[options.only]}
    for name, search in searches.items():
        started = time.process_time()
        found = search()
        seconds = time.process_time() - started
        print(f"{name}: {summary(found, shares)}; {seconds:.0f} CPU seconds", flush=True)


if __name__ == "__main__":
    main()
