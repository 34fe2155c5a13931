"""A simulated yeast cell with known truth: which factors bind a promoter, and their effects.

:class:`Cell` takes constructs as tokens and returns their expression in each medium;
:func:`find_true_sites` returns their sites and the effect of each site.
:mod:`crmnet.simulation.assay` measures promoters in this cell.

The model is thermodynamic. A factor binds a site with matrix score S (natural log-odds) with weight
w = K·exp(λ(S − S_max)). K is the factor's concentration in units of the dissociation constant of
the consensus site. λ is below 1, because matrices overstate the energy lost by a weak site (Roider
et al. 2007 fit 0.7).

*Openers* bind for a fraction w/(1 + w) of the time, independently of chromatin. Together with
poly-A/T tracts they raise the accessibility a = σ(a₀ + Σ openings), which models nucleosome
depletion. Other factors bind for a fraction a·w/(1 + a·w) of the time. The effects of occupied
sites are multiplied by a factor for distance and one for strand, and added up. Open chromatin and
the insert's G + C content add a little. A logistic curve maps the sum to the bins 0–17.
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
"""Media of the simulated assay; an argument ``medium`` is an index into them."""
INSERT = 80
"""Length of an insert, in bases."""
SITE_OCCUPANCY = 0.2
"""A position is listed as a site if it is bound at least this fraction of the time in open DNA."""
MIN_TRACT = 6
"""Shortest run of A or of T that counts as a tract."""
TRACT_NAME = "poly-dA:dT"
"""Name of tracts in the table of sites."""


@dataclass(frozen=True)
class Factor:
    """A transcription factor of the simulated cell: a real matrix with invented parameters."""

    name: str
    effect: tuple[float, float]
    """Effect on the logit of a site that is always bound, at its best position, in each medium."""
    concentration: tuple[float, float] = (0.8, 0.8)
    """K in each medium: concentration in units of the dissociation constant."""
    opening: float = 0.0
    """Effect on the logit of accessibility; a factor with a value above 0 is an opener."""
    distance: float = 80.0
    """Distance, in bases, from a site's centre to the insert's 3' end with the largest effect."""
    reach: float = 200.0
    """Standard deviation, in bases, of the Gaussian decay of the effect around that distance."""
    reverse: float = 1.0
    """Effect of a site on the reverse strand, as a fraction of that on the forward strand."""


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
"""λ: fraction of the matrix score that counts as binding energy."""
BASE_LOGIT = (-1.2, -3.2)
"""Intercept of the logit of expression, in each medium."""
GC_LOGIT = 20.0
"""Effect on the logit of expression per unit of the insert's G + C fraction above one half. With
this value and λ, composition and weak sites explain much of a random promoter's expression, as in
the real library. Composition alone explains more in this cell than in the real library
(docs/experiments)."""
BASE_ACCESS = -0.6
"""a₀: logit of accessibility without openers and tracts."""
ACCESS_LOGIT = 1.5
"""Direct effect of accessibility on the logit of expression, in addition to the bound factors."""
TRACT_OPENING = 0.25
"""Effect on the logit of accessibility of each base of a tract after the fifth; the sum is limited
by TRACT_LIMIT."""
TRACT_LIMIT = 1.5


class Binding(NamedTuple):
    """Binding energies and composition of promoters, without concentrations."""

    weight: Floats32
    """``(B, F, P)`` exp(λ(S − S_max)) summed over both strands, at each start of a site."""
    forward: Floats32
    """``(B, F, P)`` the forward strand's fraction of ``weight``."""
    tract: Floats32
    """``(B, P)`` 1 at the start of each window of MIN_TRACT times A or MIN_TRACT times T."""
    gc: Floats32
    """``(B,)`` fraction of G and C in the insert minus one half; N counts as one half."""


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

    def binding(self, tokens: npt.ArrayLike) -> Binding:
        """Binding weights, tracts and G + C content of constructs ``(B, L)``."""
        tokens = sequence.as_tokens(tokens)
        scores = scan_scores(tokens, self.matrices)
        odds = np.exp(ENERGY_SCALE * (scores - self.best[:, None, None]))
        odds[self._covers_n(tokens)] = 0  # no factor binds to unknown bases
        weight = odds.sum(axis=2)
        forward = np.divide(odds[:, :, 0], weight, out=np.zeros_like(weight), where=weight > 0)
        tract = np.zeros(tokens.shape, dtype=np.float32)
        windows = np.lib.stride_tricks.sliding_window_view(tokens, MIN_TRACT, axis=1)
        for base in "AT":
            tract[:, : windows.shape[1]] += (windows == sequence.LETTERS.index(base)).all(axis=2)
        insert = tokens[:, len(sequence.ADAPTER_5) : len(sequence.ADAPTER_5) + INSERT]
        is_gc, is_at = (
            np.isin(insert, [sequence.LETTERS.index(base) for base in pair]).sum(axis=1)
            for pair in ("GC", "AT")
        )
        return Binding(weight, forward, tract, ((is_gc - is_at) / (2 * INSERT)).astype(np.float32))

    def _covers_n(self, tokens: sequence.Tokens) -> npt.NDArray[np.bool_]:
        """``(B, F, 2, P)``: True where a site of the factor would cover an N."""
        n_before = np.cumsum(np.pad(tokens == sequence.N_TOKEN, ((0, 0), (1, 0))), axis=1)
        n_before = np.pad(n_before, ((0, 0), (0, int(self.widths.max()))), mode="edge")
        starts = np.arange(tokens.shape[1])
        covered = [n_before[:, starts + w] > n_before[:, starts] for w in self.widths]
        return np.repeat(np.stack(covered, axis=1)[:, :, None], 2, axis=2)

    def accessibility(self, binding: Binding, medium: int) -> Floats32:
        """Fraction of the time that each promoter is free of nucleosomes, ``(B,)``."""
        openers = np.nonzero(self.opening)[0]
        weight = binding.weight[:, openers] * self._concentration(medium)[openers, None]
        opened = (weight / (1 + weight)).sum(axis=2) @ self.opening[openers]
        tract = np.minimum(TRACT_OPENING * binding.tract.sum(axis=1), TRACT_LIMIT)
        return _logistic(BASE_ACCESS + opened + tract)

    def occupancy(self, binding: Binding, medium: int) -> Floats32:
        """Fraction of the time that each position is bound, ``(B, F, P)``."""
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

    def parameters(self) -> dict[str, Any]:
        """All parameters, for JSON."""
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
            "tract": MIN_TRACT,
            "top_bin": sequence.TOP_BIN,
            "tract_opening": TRACT_OPENING,
            "tract_limit": TRACT_LIMIT,
            "site_occupancy": SITE_OCCUPANCY,
        }

    def _concentration(self, medium: int) -> Floats32:
        """Concentration of each factor, ``(F,)``."""
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
    """σ(x) = 1 / (1 + exp(−x))."""
    return 1 / (1 + np.exp(-x))


class TrueSites(NamedTuple):
    """True binding sites and tracts of a block of promoters, one entry each."""

    row: npt.NDArray[np.int64]
    """Number of the promoter in its block."""
    name: list[str]
    """Factor, or :data:`TRACT_NAME`."""
    start: npt.NDArray[np.int64]
    """First base, from 0, on the construct."""
    end: npt.NDArray[np.int64]
    """One past the last base."""
    strand: list[str]
    """``+`` or ``-``; ``.`` for tracts."""
    occupancy: Floats32
    """Highest occupancy over the media; 1 for tracts."""
    effect: Floats32
    """``(K, n_media)``: true expression minus the expression without this site, in bins."""


def find_true_sites(cell: Cell, binding: Binding) -> TrueSites:
    """True sites and tracts of promoters, with their effects, sorted by row and start.

    :data:`SITE_OCCUPANCY` defines which positions are sites.

    The effect is that of a knock-out: the site's weight (or the tract's windows) is set to 0 and
    expression is computed again. It therefore includes changes of accessibility and saturation.
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
    tract_ends = tract_start + tract_windows + MIN_TRACT - 1
    ends = np.concatenate([start + cell.widths[factor], tract_ends])
    # A site whose centre lies in an adapter is not part of the promoter.
    middle = (starts + ends) / 2 - len(sequence.ADAPTER_5)
    inside = (middle >= 0) & (middle < INSERT)
    reported = np.nonzero(inside)[0]
    effects = np.zeros((len(rows), len(MEDIA)), dtype=np.float32)
    occupancy = np.zeros(len(rows), dtype=np.float32)
    for chunk in np.array_split(reported, max(1, len(reported) // 2048 + 1)):
        intact = Binding(*(part[rows[chunk]] for part in binding))
        knocked_out = intact._replace(weight=intact.weight.copy(), tract=intact.tract.copy())
        entry = np.arange(len(chunk))
        bound = chunk < n_bound
        knocked_out.weight[entry[bound], factor[chunk[bound]], start[chunk[bound]]] = 0
        positions = np.arange(binding.tract.shape[1])
        first_window, last_window = starts[chunk][:, None], ends[chunk][:, None] - MIN_TRACT
        tract = (positions >= first_window) & (positions <= last_window)
        knocked_out.tract[tract & ~bound[:, None]] = 0
        for medium in range(len(MEDIA)):
            effects[chunk, medium] = cell.expression(intact, medium) - cell.expression(
                knocked_out, medium
            )
            bound_share = cell.occupancy(intact, medium)[
                entry[bound], factor[chunk[bound]], start[chunk[bound]]
            ]
            occupancy[chunk[bound]] = np.maximum(occupancy[chunk[bound]], bound_share)
        occupancy[chunk[~bound]] = 1
    names = [cell.factors[f].name for f in factor] + [TRACT_NAME] * len(tract_row)
    forward = binding.forward[row, factor, start] >= 0.5
    strands = ["+" if f else "-" for f in forward] + ["."] * len(tract_row)
    order = reported[np.lexsort((starts[reported], rows[reported]))]
    return TrueSites(
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
