"""Sites of known factors on designs, with names that the oracle's attributions support.

The sites are those that ``crmnet explain`` would draw (:mod:`crmnet.interpretation.logos`): they
resemble a yeast motif of JASPAR, and the attributions stand out at their bases.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from crmnet.design.designs import Designs
from crmnet.figures.logo import Site
from crmnet.interpretation.attribute import Attribution, attribute
from crmnet.interpretation.explain import SITES
from crmnet.interpretation.logos import (
    INTO_ADAPTER,
    MIN_AGREEMENT,
    LogoPanel,
    agreement,
    insert_sites,
    share_exceeded,
    site_bases,
    site_name,
    sites_to_draw,
    supported_sites,
)
from crmnet.motifs.jaspar import yeast_motifs


class Annotated(NamedTuple):
    """Attributions of designs and their sites."""

    attribution: Attribution
    sites: list[list[Site]]
    """Of each design; positions count from 0 on the insert."""

    def panels(self, titles: list[str]) -> list[LogoPanel]:
        """A logo of each design."""
        values = self.attribution.inserts.cut(self.attribution.values)
        lengths = self.attribution.inserts.lengths.tolist()
        return [
            LogoPanel(title, values[row, :, : lengths[row]], self.sites[row])
            for row, title in enumerate(titles)
        ]


def annotate(designs: Designs) -> Annotated:
    """Attribute the oracle's predictions of the designs, and find the sites they support."""
    objective, predictor = designs.objective, designs.panel.oracle.predictor
    tokens = designs.constructs
    found = attribute(predictor, tokens, medium=objective.medium, minus=objective.minus)
    motifs = yeast_motifs()
    hits = insert_sites(tokens, found.inserts, motifs, SITES)
    values = found.values if found.hypothetical is None else found.hypothetical
    fit = agreement(values, tokens, motifs, hits, found.hypothetical is None)
    inside = found.inserts.inside(tokens.shape[1])
    beyond = share_exceeded(found.values.sum(axis=1), hits, inside)
    drawn = sites_to_draw(hits, supported_sites(hits, beyond), fit.explained)
    bases = site_bases(tokens, hits)
    sites: list[list[Site]] = [[] for _ in range(len(tokens))]
    for number in sorted(drawn, key=lambda i: (hits.row[i], hits.start[i])):
        row = int(hits.row[number])
        first, stop = int(found.inserts.start[row]), int(found.inserts.stop[row])
        start, end = int(hits.start[number]), int(hits.end[number])
        name = site_name(
            motifs[hits.motif[number]].name,
            bases[number],
            bool(np.abs(fit.cosine[number]) >= MIN_AGREEMENT),
        )
        mark = INTO_ADAPTER if start < first or end > stop else ""
        sites[row].append(
            Site(name + mark, max(start, first) - first, min(end, stop) - first,
                 str(hits.strand[number]))
        )  # fmt: skip
    return Annotated(found, sites)
