"""Expression conservation coefficients: does selection keep the expression of a gene?

Takes the haplotypes of each gene's promoter in a population, and a model. :func:`conservation`
compares how much predicted expression varies between the individuals with how much it would vary
if as many mutations were random (Vaishnav et al. 2022):

    ECC = log2(sd of random mutants / sd of the haplotypes) − median over genes of
          log2(sd of random mutants / sd of a second set of random mutants)

ECC > 0 means that expression varies less than by random mutations: stabilising selection. ECC < 0
means that it varies more. Each standard deviation is weighted by the number of individuals. A
haplotype with d differences from the consensus has random mutants with d random substitutions of
the consensus.

Haplotypes of another length than the consensus are left out and counted: substitutions cannot
simulate insertions and deletions. An N is read as the base of the consensus, which makes no
difference.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from crmnet import sequence
from crmnet.arrays import Floats, Integers
from crmnet.design.neighbours import predict_named
from crmnet.design.plain_model import Model, as_predictor
from crmnet.interpretation.attribute import output_weights
from crmnet.prediction.predictor import Predictor
from crmnet.sequence import N_TOKEN, Tokens

if TYPE_CHECKING:
    import polars

SIMULATIONS = 10
"""Default number of sets of random mutants. Vaishnav et al. (2022) use one."""
GENES_AT_ONCE = 64
"""Genes whose sequences are in memory as constructs at a time."""


class Haplotypes(NamedTuple):
    """Variants of the promoter of one gene in a population."""

    gene: str
    sequences: Sequence[str]
    """Inserts or constructs."""
    isolates: Sequence[float]
    """How many individuals have each of them."""


class Aligned(NamedTuple):
    """Haplotypes of one gene that have the length of its consensus."""

    gene: str
    tokens: Tokens
    """``(H, W)``; N is replaced by the base of the consensus."""
    isolates: Floats
    """``(H,)``."""
    consensus: Tokens
    """``(W,)``, the base that most individuals have; N where it is known of none."""
    left_out: int
    """Haplotypes of another length."""

    @property
    def differences(self) -> Integers:
        """``(H,)``, number of substitutions from the consensus to each haplotype."""
        return (self.tokens != self.consensus).sum(axis=1)


@dataclass(frozen=True)
class Conservation:
    """Expression conservation of G genes."""

    genes: Sequence[str]
    haplotypes: Integers
    """``(G,)``, number that were used."""
    left_out: Integers
    """``(G,)``, haplotypes of another length than the consensus."""
    isolates: Floats
    """``(G,)``, individuals with a haplotype that was used."""
    mutations: Floats
    """``(G,)``, mean number of substitutions from the consensus, over the individuals."""
    expression: Floats
    """``(G,)``, of the consensus."""
    sd: Floats
    """``(G,)``, standard deviation of expression over the individuals."""
    sd_random: Floats
    """``(G, S)``, the same for each set of random mutants."""
    null: Floats
    """``(S,)``, median over genes of log2 of the ratio of one set of random mutants to another."""

    @property
    def ratios(self) -> Floats:
        """``(G, S)``: log2(sd_random / sd) − null; NaN if expression does not vary."""
        return log_ratio(self.sd_random, self.sd[:, None]) - self.null

    @property
    def ecc(self) -> Floats:
        """``(G,)``, the coefficient: mean over the sets of random mutants."""
        return self.ratios.mean(axis=1)

    @property
    def range(self) -> Floats:
        """``(G, 2)``, smallest and largest value over the sets of random mutants."""
        return np.stack([self.ratios.min(axis=1), self.ratios.max(axis=1)], axis=1)

    def columns(self) -> dict[str, Any]:
        """Columns of the table: one row for each gene."""
        low, high = self.range.T
        return {
            "gene": self.genes,
            "haplotypes": self.haplotypes,
            "left_out": self.left_out,
            "isolates": self.isolates,
            "mutations": self.mutations,
            "expression": self.expression,
            "sd": self.sd,
            "sd_random": self.sd_random.mean(axis=1),
            "ecc": self.ecc,
            "ecc_min": low,
            "ecc_max": high,
        }

    def to_table(self) -> polars.DataFrame:
        """:meth:`columns` as a table."""
        import polars

        return polars.DataFrame(self.columns())


def log_ratio(above: npt.ArrayLike, below: npt.ArrayLike) -> Floats:
    """log2 of a ratio of standard deviations; NaN if one of them is 0."""
    above, below = np.broadcast_arrays(np.asarray(above, float), np.asarray(below, float))
    defined = (above > 0) & (below > 0)
    ratio = np.divide(above, below, out=np.ones(above.shape), where=defined)
    return np.where(defined, np.log2(ratio), np.nan)


def align(haplotypes: Haplotypes) -> Aligned:
    """Haplotypes of the most frequent length, with their consensus.

    Raises:
        ValueError: If a sequence is not DNA, there are no haplotypes, or a number of individuals is
            not above 0.
    """
    gene, texts, isolates = haplotypes
    weights = np.asarray(isolates, dtype=float)
    if not len(texts) or len(weights) != len(texts):
        raise ValueError(f"{gene}: {len(texts)} haplotypes and {len(weights)} numbers of isolates")
    if not (np.isfinite(weights) & (weights > 0)).all():
        raise ValueError(f"{gene}: numbers of isolates must be above 0; got {min(isolates)}")
    tokens, lengths = sequence.encode(
        texts, [f"{gene}, haplotype {n + 1}" for n in range(len(texts))]
    )
    counts = np.bincount(lengths, weights)
    length = int(counts.argmax())
    is_used = lengths == length
    tokens, weights = tokens[is_used, :length], weights[is_used]
    votes = np.stack([((tokens == base) * weights[:, None]).sum(axis=0) for base in range(4)])
    consensus = np.where(votes.any(axis=0), votes.argmax(axis=0), N_TOKEN).astype(np.uint8)
    known = np.where(tokens == N_TOKEN, consensus, tokens)
    return Aligned(gene, known, weights, consensus, int((~is_used).sum()))


def random_mutants(aligned: Aligned, rng: np.random.Generator) -> Tokens:
    """``(H, W)``: for each haplotype the consensus with as many random substitutions.

    Positions are different from one another, and an N does not mutate.
    """
    positions = np.nonzero(aligned.consensus < N_TOKEN)[0]
    mutants = np.repeat(aligned.consensus[None], len(aligned.tokens), axis=0)
    # The first d of the positions in random order, for each row.
    order = positions[rng.random((len(mutants), len(positions))).argsort(axis=1)]
    chosen = np.arange(len(positions)) < aligned.differences[:, None]
    rows, columns = np.nonzero(chosen)
    places = order[rows, columns]
    shift = rng.integers(1, 4, size=len(places), dtype=np.uint8)
    mutants[rows, places] = (mutants[rows, places] + shift) % 4
    return mutants


def weighted_sd(values: npt.ArrayLike, weights: npt.ArrayLike) -> float:
    """Standard deviation of values that occur ``weights`` times each."""
    values, weights = np.asarray(values, dtype=float), np.asarray(weights, dtype=float)
    if np.ptp(values) == 0:  # rounding of the mean would leave a tiny deviation
        return 0.0
    mean = np.average(values, weights=weights)
    return float(np.sqrt(np.average((values - mean) ** 2, weights=weights)))


def conservation(
    model: Model,
    haplotypes: Sequence[Haplotypes],
    *,
    medium: str | None = None,
    simulations: int = SIMULATIONS,
    seed: int = 0,
    progress: Callable[[int], None] | None = None,
) -> Conservation:
    """Expression conservation coefficients of genes.

    Args:
        model: A predictor, or any module ``(B, 4, L)`` → ``(B, M)``; a module needs haplotypes of
            one length.
        haplotypes: One entry for each gene.
        medium: One of the model's media; None if it has one output.
        simulations: Sets of random mutants; the null needs one more.
        seed: Seed of the random mutants. Each gene has its own random numbers.
        progress: Called with the number of genes that are done.

    Raises:
        ValueError: If there are no genes, a sequence cannot be read, or the medium is unknown or
            missing.
    """
    if simulations < 1:
        raise ValueError(f"simulations must be at least 1; got {simulations}")
    if not haplotypes:
        raise ValueError("there are no haplotypes; give at least one gene")
    predictor = _predictor(model, haplotypes)
    flanks: sequence.Flanks = "auto" if isinstance(model, Predictor) else "none"
    if isinstance(model, Predictor):
        haplotypes = [_without_adapters(gene) for gene in haplotypes]
    weights = np.array(output_weights(predictor, medium), dtype=np.float32)
    rows: list[dict[str, Any]] = []
    for first in range(0, len(haplotypes), GENES_AT_ONCE):
        genes = [align(gene) for gene in haplotypes[first : first + GENES_AT_ONCE]]
        sets = [_with_mutants(gene, simulations, seed) for gene in genes]
        predicted = _predict_each(predictor, [gene.gene for gene in genes], sets, flanks) @ weights
        rows += _measure(genes, predicted)
        if progress is not None:
            progress(len(rows))
    columns = {name: np.array([row[name] for row in rows]) for name in rows[0]}
    spread = columns.pop("all_sd")
    null = [_median(log_ratio(spread[:, 1 + s], spread[:, 2 + s])) for s in range(simulations)]
    return Conservation(
        [gene.gene for gene in haplotypes], sd=spread[:, 0], sd_random=spread[:, 1:-1],
        null=np.array(null), **columns,
    )  # fmt: skip


def _median(values: Floats) -> float:
    """Median of the values that are defined; 0 if none is."""
    defined = values[np.isfinite(values)]
    return float(np.median(defined)) if len(defined) else 0.0


def _predictor(model: Model, haplotypes: Sequence[Haplotypes]) -> Predictor:
    if isinstance(model, Predictor):
        return model
    lengths = {len(text) for gene in haplotypes for text in gene.sequences}
    if len(lengths) != 1:
        raise ValueError(
            f"a module takes haplotypes of one length; got {min(lengths)} to {max(lengths)} bases; "
            "pass a Predictor"
        )
    return as_predictor(model, lengths.pop())


def _without_adapters(haplotypes: Haplotypes) -> Haplotypes:
    """The inserts of haplotypes that are constructs: adapters do not mutate."""
    tokens, lengths = sequence.letters_to_tokens(haplotypes.sequences)
    has_5, has_3 = sequence.find_adapters(tokens, stop=lengths)
    starts = np.where(has_5, len(sequence.ADAPTER_5), 0)
    stops = lengths - np.where(has_3, len(sequence.ADAPTER_3), 0)
    cut = [
        text[start:stop]
        for text, start, stop in zip(haplotypes.sequences, starts, stops, strict=True)
    ]
    return haplotypes._replace(sequences=cut)


def _with_mutants(gene: Aligned, simulations: int, seed: int) -> Tokens:
    """The consensus, the haplotypes, and one more set of random mutants than simulations."""
    rng = np.random.default_rng([seed, *gene.gene.encode()])
    mutants = [random_mutants(gene, rng) for _ in range(simulations + 1)]
    return np.concatenate([gene.consensus[None], gene.tokens, *mutants])


def _measure(
    genes: Sequence[Aligned], predicted: npt.NDArray[np.float32]
) -> Iterator[dict[str, Any]]:
    """Columns of each gene from the predictions of :func:`_with_mutants` of all genes.

    ``all_sd`` contains the standard deviations of the haplotypes and of each set of mutants.
    """
    sets = len(predicted) - len(genes)
    per_haplotype = sets // sum(len(gene.tokens) for gene in genes)
    ends = np.cumsum([1 + per_haplotype * len(gene.tokens) for gene in genes])
    for gene, values in zip(genes, np.split(predicted, ends[:-1]), strict=True):
        by_set = values[1:].reshape(per_haplotype, len(gene.tokens))
        yield {
            "haplotypes": len(gene.tokens),
            "left_out": gene.left_out,
            "isolates": gene.isolates.sum(),
            "mutations": np.average(gene.differences, weights=gene.isolates),
            "expression": values[0],
            "all_sd": [weighted_sd(row, gene.isolates) for row in by_set],
        }


def _predict_each(
    predictor: Predictor, names: Sequence[str], sets: Sequence[Tokens], flanks: sequence.Flanks
) -> npt.NDArray[np.float32]:
    """Predictions ``(K, M)`` of the sequences of all sets; each distinct sequence once."""
    row = np.repeat(np.arange(len(sets)), [len(tokens) for tokens in sets])
    texts = [
        text
        for tokens in sets
        for text in sequence.decode(tokens, np.full(len(tokens), tokens.shape[1]))
    ]
    distinct, index, inverse = np.unique(texts, return_index=True, return_inverse=True)
    labels = [names[n] for n in row[index].tolist()]
    tokens, _ = sequence.constructs(
        distinct.tolist(), labels, flanks=flanks, length=predictor.length
    )
    return predict_named(predictor, tokens, names, row[index])[inverse.reshape(-1)]
