"""A simulated yeast cell whose truth is known: what binds a promoter, and how strongly it speaks.

Takes constructs as tokens and gives their expression in each medium, their sites and what each of
them does. :mod:`crmnet.simulation.assay` measures promoters in this cell as an experiment would.

The model is thermodynamic. A factor binds a site whose matrix scores S (natural-log odds) with
weight w = K·exp(λ(S − S_max)), K being its concentration in units of the consensus site's
dissociation constant and λ < 1 because matrices overstate how much a weak site loses (Roider et
al. 2007 fit 0.7). *Openers* bind w/(1 + w) of the time whatever the chromatin; together with
poly-A/T tracts they raise the accessibility a = σ(a₀ + Σ openings), which stands for nucleosome
depletion. The others bind a·w/(1 + a·w). Occupied sites add up, each with a factor of distance and
strand; open chromatin and the insert's G + C add a little of their own; and the sum goes through a
logistic curve onto the bins 0–17.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from crmnet import sequence
from crmnet.arrays import Floats32
from crmnet.motifs.jaspar import RELEASE, yeast_motifs_named
from crmnet.motifs.pwm import scan_scores

MEDIA = ("complex", "defined")
INSERT = 80
SITE_OCCUPANCY = 0.2
"""A place that is bound at least this share of the time, in open DNA, is listed as a site."""
TRACT = 6
"""Shortest run of A or of T that counts as a tract."""
TRACT_NAME = "poly-dA:dT"


@dataclass(frozen=True)
class Factor:
    """A transcription factor of the simulated cell. The numbers are invented, the matrices real."""

    name: str
    effect: tuple[float, float]
    """Added to the logit by a site that is always bound, at its best place, in each medium."""
    concentration: tuple[float, float] = (0.8, 0.8)
    opening: float = 0.0
    """Added to the logit of accessibility; above 0 the factor is an opener."""
    distance: float = 80.0
    """Best distance of a site's middle from the insert's 3' end, in bases."""
    reach: float = 200.0
    """Standard deviation of the fall of the effect around the best distance."""
    reverse: float = 1.0
    """Effect on the reverse strand relative to the forward strand."""


FACTORS = (
    Factor("REB1", (1.2, 1.0), opening=2.2),
    Factor("ABF1", (1.3, 1.2), opening=2.0),
    Factor("RAP1", (2.3, 1.6), opening=1.5, reverse=0.6),
    Factor("TBF1", (0.5, 0.5), opening=1.6),
    Factor("NHP10", (-1.2, -0.9), distance=30, reach=40),
    Factor("AZF1", (1.3, 0.8), reverse=0.5),
    Factor("MCM1", (2.3, 2.1)),
    Factor("GCN4", (1.3, 3.9), concentration=(0.25, 1.6)),
    Factor("CBF1", (1.6, 2.3)),
    Factor("HSF1", (1.8, 1.6), distance=60, reach=30),
    Factor("YAP1", (1.6, 1.8)),
    Factor("STE12", (1.3, 1.0), concentration=(0.4, 0.4)),
    Factor("SWI4", (1.4, 1.3)),
    Factor("RPN4", (2.0, 2.1)),
    Factor("SPT15", (2.1, 2.1), distance=30, reach=25, reverse=0.5),
    Factor("GCR1", (2.5, 1.4), reverse=0.7),
    Factor("LEU3", (0.4, 2.6), concentration=(0.25, 1.2)),
    Factor("UME6", (-2.9, -2.6)),
    Factor("ROX1", (-2.1, -1.6)),
    Factor("RFX1", (-2.3, -2.3)),
)
ENERGY_SCALE = 0.35
"""λ: share of the matrix's score that counts as binding energy."""
BASE_LOGIT = (-1.2, -3.2)
GC_LOGIT = 20.0
"""Added to the logit of expression per unit of the insert's G + C share above one half. With it
and λ, composition and weak sites tell much of a random promoter's expression, as in the real
library; composition alone tells more here than there (docs/log.md)."""
BASE_ACCESS = -0.6
ACCESS_LOGIT = 1.5
"""Added to the logit of expression by open chromatin, over and above what is bound there."""
TRACT_OPENING = 0.25
"""Per base of a tract beyond its first five, up to TRACT_LIMIT in all."""
TRACT_LIMIT = 1.5


class Binding(NamedTuple):
    """What a set of promoters offers to bind, before any factor does."""

    weight: Floats32
    """``(B, F, P)`` exp(λ(S − S_max)) summed over strands, at each start of a site."""
    forward: Floats32
    """``(B, F, P)`` share of the forward strand in ``weight``."""
    tract: Floats32
    """``(B, P)`` 1 where a window of TRACT equal A or T begins."""
    gc: Floats32
    """``(B,)`` share of G and C in the insert, less one half; N counts as half of each."""


class Cell:
    """The simulated yeast cell: tokens → binding → expression in each medium."""

    def __init__(self, factors: tuple[Factor, ...] = FACTORS) -> None:
        self.factors = factors
        self.motifs = yeast_motifs_named([factor.name for factor in factors])
        self.matrices = [motif.log_odds() for motif in self.motifs]
        self.best = np.array([m.max(axis=0).sum() for m in self.matrices], dtype=np.float32)
        self.widths = np.array([motif.width for motif in self.motifs])
        self.opening = np.array([factor.opening for factor in factors], dtype=np.float32)
        self.reverse = np.array([factor.reverse for factor in factors], dtype=np.float32)

    def binding(self, tokens: sequence.Tokens) -> Binding:
        """Weights of all factors at all places of constructs ``(B, L)``."""
        odds = np.exp(
            ENERGY_SCALE * (scan_scores(tokens, self.matrices) - self.best[:, None, None])
        )
        odds[self._touch_n(tokens)] = 0  # nothing binds where there is no known base
        weight = odds.sum(axis=2)
        forward = np.divide(odds[:, :, 0], weight, out=np.zeros_like(weight), where=weight > 0)
        tract = np.zeros(tokens.shape, dtype=np.float32)
        windows = np.lib.stride_tricks.sliding_window_view(tokens, TRACT, axis=1)
        for base in "AT":
            tract[:, : windows.shape[1]] += (windows == sequence.LETTERS.index(base)).all(axis=2)
        insert = tokens[:, len(sequence.ADAPTER_5) : len(sequence.ADAPTER_5) + INSERT]
        is_gc, is_at = (
            np.isin(insert, [sequence.LETTERS.index(base) for base in pair]).sum(axis=1)
            for pair in ("GC", "AT")
        )
        return Binding(weight, forward, tract, ((is_gc - is_at) / (2 * INSERT)).astype(np.float32))

    def _touch_n(self, tokens: sequence.Tokens) -> npt.NDArray[np.bool_]:
        """``(B, F, 2, P)``: places where a factor would cover an N."""
        before = np.cumsum(np.pad(tokens == sequence.N_TOKEN, ((0, 0), (1, 0))), axis=1)
        before = np.pad(before, ((0, 0), (0, int(self.widths.max()))), mode="edge")
        starts = np.arange(tokens.shape[1])
        covered = [before[:, starts + w] > before[:, starts] for w in self.widths]
        return np.repeat(np.stack(covered, axis=1)[:, :, None], 2, axis=2)

    def accessibility(self, binding: Binding, medium: int) -> Floats32:
        """Share of the time that each promoter is free of nucleosomes, ``(B,)``."""
        openers = np.nonzero(self.opening)[0]
        weight = binding.weight[:, openers] * self._concentration(medium)[openers, None]
        opened = (weight / (1 + weight)).sum(axis=2) @ self.opening[openers]
        tract = np.minimum(TRACT_OPENING * binding.tract.sum(axis=1), TRACT_LIMIT)
        return _logistic(BASE_ACCESS + opened + tract)

    def occupancy(self, binding: Binding, medium: int) -> Floats32:
        """Share of the time that each place is bound, ``(B, F, P)``."""
        weight = binding.weight * self._concentration(medium)[:, None]
        access = self.accessibility(binding, medium)[:, None, None]
        weight = weight * np.where((self.opening > 0)[:, None], 1.0, access)
        return weight / (1 + weight)

    def expression(self, binding: Binding, medium: int) -> Floats32:
        """True mean bin of each promoter, ``(B,)`` in [0, 17]."""
        occupancy = self.occupancy(binding, medium)
        strand = binding.forward + (1 - binding.forward) * self.reverse[:, None]
        effect = self._effects(medium, occupancy.shape[2])
        logit = np.einsum("bfp,bfp,fp->b", occupancy, strand, effect)
        logit += ACCESS_LOGIT * (self.accessibility(binding, medium) - 0.5)
        logit += GC_LOGIT * binding.gc
        return sequence.TOP_BIN * _logistic(BASE_LOGIT[medium] + logit)

    def described(self) -> dict[str, Any]:
        """Every parameter, for JSON."""
        return {
            "media": list(MEDIA),
            "matrices": RELEASE,
            "factors": [
                {**asdict(factor), "matrix": motif.id, "consensus": motif.consensus}
                for factor, motif in zip(self.factors, self.motifs, strict=True)
            ],
            "energy_scale": ENERGY_SCALE,
            "base_logit": list(BASE_LOGIT),
            "gc_logit": GC_LOGIT,
            "base_access": BASE_ACCESS,
            "access_logit": ACCESS_LOGIT,
            "tract": TRACT,
            "top_bin": sequence.TOP_BIN,
            "tract_opening": TRACT_OPENING,
            "tract_limit": TRACT_LIMIT,
            "site_occupancy": SITE_OCCUPANCY,
        }

    def _concentration(self, medium: int) -> Floats32:
        return np.array([f.concentration[medium] for f in self.factors], dtype=np.float32)

    def _effects(self, medium: int, positions: int) -> Floats32:
        """``(F, P)``: effect of a bound site that starts at each position."""
        end = len(sequence.ADAPTER_5) + INSERT
        middle = np.arange(positions)[None, :] + self.widths[:, None] / 2
        best = np.array([factor.distance for factor in self.factors])[:, None]
        reach = np.array([factor.reach for factor in self.factors])[:, None]
        size = np.array([factor.effect[medium] for factor in self.factors])[:, None]
        return (size * np.exp(-0.5 * ((end - middle - best) / reach) ** 2)).astype(np.float32)


def _logistic(x: Any) -> Any:
    return 1 / (1 + np.exp(-x))


class Sites(NamedTuple):
    """True binding sites and tracts of a block of promoters, one entry each."""

    row: npt.NDArray[np.int64]
    name: list[str]
    start: npt.NDArray[np.int64]
    """First base, from 0, on the construct."""
    end: npt.NDArray[np.int64]
    """One past the last base."""
    strand: list[str]
    occupancy: Floats32
    """Highest over the media."""
    effect: Floats32
    """``(K, n_media)``: true expression less what it would be without this site."""


def find_sites(cell: Cell, binding: Binding) -> Sites:
    """The places that are bound often enough to be called sites, and what each one does.

    The effect is a knock-out: the site's weight (or the tract's windows) is set to zero and the
    promoter's expression computed again, so openings and saturation are accounted for.
    """
    open_weight = (
        binding.weight
        * np.max([cell._concentration(m) for m in range(len(MEDIA))], axis=0)[:, None]
    )
    row, factor, start = np.nonzero(open_weight / (1 + open_weight) >= SITE_OCCUPANCY)
    tract_row, tract_start, tract_windows = _runs(binding.tract)
    n_bound = len(row)
    rows = np.concatenate([row, tract_row])
    starts = np.concatenate([start, tract_start])
    ends = np.concatenate([start + cell.widths[factor], tract_start + tract_windows + TRACT - 1])
    # A site that an adapter makes, and the insert only touches, says nothing about a promoter.
    middle = (starts + ends) / 2 - len(sequence.ADAPTER_5)
    inside = (middle >= 0) & (middle < INSERT)
    kept = np.nonzero(inside)[0]
    effects = np.zeros((len(rows), len(MEDIA)), dtype=np.float32)
    occupancy = np.zeros(len(rows), dtype=np.float32)
    for chunk in np.array_split(kept, max(1, len(kept) // 2048 + 1)):
        whole = Binding(*(part[rows[chunk]] for part in binding))
        without = whole._replace(weight=whole.weight.copy(), tract=whole.tract.copy())
        here = np.arange(len(chunk))
        bound = chunk < n_bound
        without.weight[here[bound], factor[chunk[bound]], start[chunk[bound]]] = 0
        places = np.arange(binding.tract.shape[1])
        tract = (places >= starts[chunk][:, None]) & (places <= ends[chunk][:, None] - TRACT)
        without.tract[tract & ~bound[:, None]] = 0
        for medium in range(len(MEDIA)):
            effects[chunk, medium] = cell.expression(whole, medium) - cell.expression(
                without, medium
            )
            bound_share = cell.occupancy(whole, medium)[
                here[bound], factor[chunk[bound]], start[chunk[bound]]
            ]
            occupancy[chunk[bound]] = np.maximum(occupancy[chunk[bound]], bound_share)
        occupancy[chunk[~bound]] = 1
    names = [cell.factors[f].name for f in factor] + [TRACT_NAME] * len(tract_row)
    forward = binding.forward[row, factor, start] >= 0.5
    strands = ["+" if f else "-" for f in forward] + ["."] * len(tract_row)
    order = kept[np.lexsort((starts[kept], rows[kept]))]
    return Sites(
        rows[order],
        [names[i] for i in order],
        starts[order],
        ends[order],
        [strands[i] for i in order],
        occupancy[order],
        effects[order],
    )


def _runs(
    windows: Floats32,
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Row, start and length of each run of ones in ``(B, P)``."""
    edges = np.diff(np.pad(windows, ((0, 0), (1, 1))), axis=1)
    rows, starts = np.nonzero(edges == 1)
    _, ends = np.nonzero(edges == -1)
    return rows, starts, ends - starts
