"""Effects of variants: pairs of reference and variant → differences with their uncertainty.

:class:`Scorer` predicts pairs of constructs and compares them: difference of the predictions, its
interval, its percentile among random variants, sites gained and lost, and flags.
:mod:`crmnet.design.mutate` makes the pairs from sequences, :mod:`crmnet.design.vcf_effects` from a
genome.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from crmnet import sequence
from crmnet.arrays import Floats32, Integers
from crmnet.design.oracle import Constructs, Oracle
from crmnet.motifs.changes import SiteChanges
from crmnet.motifs.pwm import Motif
from crmnet.prediction.random_effects import AT_RUN, RandomVariants
from crmnet.prediction.views import Views
from crmnet.sequence import Tokens
from crmnet.statistics.uncertainty import by_medium, percentile_of, reasons_unlike

FLAGS = {
    "distal_cut": "The insertion does not fit into the network's input; the insert lost as many "
    "bases at its 5' end.",
    "contig_end": "The contig ends before the window does, so the variant is shorter than the "
    "reference.",
    "beyond_window": "The variant reaches beyond the promoter or window; only the part inside "
    "counts.",
    "symbolic": "The alternative is a symbolic allele such as <DEL>, which has no sequence.",
    "spanning_deletion": "The alternative is *: another record deletes this base.",
    "no_alternative": "The record has no alternative (a dot).",
    "breakend": "The alternative is a breakend of a rearrangement.",
}
"""Flag → one sentence. Flags of :data:`crmnet.statistics.uncertainty.FLAGS` can follow: alone if
they concern reference and variant, with ``reference:`` or ``variant:`` if they concern one."""


@dataclass(frozen=True)
class MutateOptions:
    """What is reported for each variant."""

    sites: bool = True
    """Name the sites that are gained and lost."""
    motifs: tuple[Motif, ...] | None = None
    """Motifs of these sites; None means JASPAR's yeast factors."""
    random: RandomVariants = AT_RUN
    """Random variants for the percentiles of a model whose card has none."""


class Pairs(NamedTuple):
    """References and variants as constructs. Several pairs may belong to one variant."""

    reference: Tokens
    """``(R, L)``."""
    reference_lengths: Integers
    variant: Tokens
    """``(P, L)``."""
    variant_lengths: Integers
    row: Integers
    """``(P,)``, the reference of each variant."""
    marks: tuple[Integers, Integers]
    """Changed places of the pairs' references and variants, ``(P, K, 2)`` each, as
    :meth:`crmnet.design.variants.Edits.marks` gives them."""
    flags: list[str] | None = None
    """A word of :data:`FLAGS` for each pair, or an empty text; None means no flags."""
    variant_of: Integers | None = None
    """``(P,)``, rising from 0: the variant to which a pair belongs; None means one pair each."""
    hides_adapters: bool = False
    """Whether sites may not reach into the adapters, which a genome does not have."""


class Effects(NamedTuple):
    """Effects of N variants on M media; NaN where a number is not known."""

    reference: Floats32
    """``(N, M)``, predicted expression of the reference."""
    variant: Floats32
    """``(N, M)``, predicted expression of the variant."""
    delta: Floats32
    """``(N, M)``, variant minus reference."""
    low: Floats32
    """``(N, M)``, lower end of the interval of the difference."""
    high: Floats32
    percentile: Floats32
    """``(N, M)``, percentile 0–100 of \\|Δ\\| among random single substitutions."""
    gained: list[str]
    """Names of motifs with a site at the change only in the variant, joined by ``;``."""
    lost: list[str]
    """Names of motifs with a site at the change only in the reference."""
    flags: list[str]
    """Reasons why a prediction is less certain, joined by ``;``."""


NUMBERS = Effects._fields[:6]
"""Names of the fields that hold numbers."""


class Scorer:
    """Scores pairs of constructs; one scorer serves all blocks of a job.

    Args:
        oracle: The model.
        options: What is reported.
        like: Constructs from which a module takes the length of random sequences.
    """

    def __init__(
        self, oracle: Oracle, options: MutateOptions, like: Constructs | None = None
    ) -> None:
        self.oracle, self.options, self.like = oracle, options, like

    @cached_property
    def quantiles(self) -> dict[str, list[float]]:
        """Medium → quantiles of the absolute effects of random substitutions."""
        return self.oracle.random_quantiles(self.like, self.options.random)

    @cached_property
    def site_changes(self) -> SiteChanges | None:
        """Finds sites; None if they are not reported."""
        if not self.options.sites:
            return None
        motifs: Sequence[Motif] | None = self.options.motifs
        if motifs is None:
            from crmnet.motifs.jaspar import yeast_motifs

            motifs = yeast_motifs()
        return SiteChanges(motifs)

    def reference_views(self, pairs: Pairs) -> Views:
        """Predictions of the references, which several calls of :meth:`score` can share."""
        return self.oracle.views(pairs.reference, pairs.reference_lengths)

    def score(self, pairs: Pairs, references: Views | None = None) -> Effects:
        """The effects of the variants.

        Args:
            pairs: References and variants.
            references: Predictions of all references; None predicts them.
        """
        if references is None:
            references = self.reference_views(pairs)
        variants = self.oracle.views(pairs.variant, pairs.variant_lengths)
        flags = self._unlike(pairs, references, variants)
        gained, lost = self._sites(pairs)
        means = _by_variant(pairs, references.take(pairs.row)), _by_variant(pairs, variants)
        difference = means[1].minus(means[0])
        delta, unlike = difference.mean(), _joined(pairs, flags)
        low, high = self._interval(delta, difference.spread(), unlike)
        if pairs.flags is not None:
            own = _joined(pairs, pairs.flags)
            unlike = [";".join(filter(None, texts)) for texts in zip(own, unlike, strict=True)]
        return self._reported(
            Effects(
                means[0].mean(), means[1].mean(), delta, low, high, self._percentile(delta),
                _joined(pairs, gained), _joined(pairs, lost), unlike,
            )
        )  # fmt: skip

    def _reported(self, effects: Effects) -> Effects:
        """The effects on the media that are reported."""
        numbers: dict[str, Any] = {
            name: self.oracle.report(getattr(effects, name)) for name in NUMBERS
        }
        return effects._replace(**numbers)

    def _interval(
        self, delta: Floats32, spread: Floats32, unlike: list[str]
    ) -> tuple[Floats32, Floats32]:
        """Ends of the intervals of the differences; NaN where unknown, or unlike training data."""
        half = np.full(delta.shape, np.nan)
        known = self.oracle.differences
        for m, medium in enumerate(self.oracle.media):
            if known is not None and medium in known.intervals:
                half[:, m] = known.intervals[medium].half_width(spread[:, m])
        half[np.array([bool(text) for text in unlike], dtype=bool)] = np.nan
        return (delta - half).astype(np.float32), (delta + half).astype(np.float32)

    def _percentile(self, delta: Floats32) -> Floats32:
        columns = [
            percentile_of(np.abs(delta[:, m]), self.quantiles[medium])
            for m, medium in enumerate(self.oracle.media)
        ]
        return np.stack(columns, axis=1).astype(np.float32)

    def _sites(self, pairs: Pairs) -> tuple[list[str], list[str]]:
        """Names of sites gained and lost by each pair."""
        changes, many = self.site_changes, len(pairs.row)
        if changes is None:
            return [""] * many, [""] * many
        reference, variant = pairs.reference, pairs.variant
        if pairs.hides_adapters:
            reference = _without_adapters(reference, pairs.reference_lengths)
            variant = _without_adapters(variant, pairs.variant_lengths)
        reference = reference[pairs.row]
        gained = lost = np.zeros((many, len(changes.names)), dtype=bool)
        for place in range(pairs.marks[0].shape[1]):
            # Each place separately: a site that is lost here does not hide one gained elsewhere.
            at = slice(place, place + 1)
            before = changes.found(reference, pairs.marks[0][:, at])
            after = changes.found(variant, pairs.marks[1][:, at])
            gained, lost = gained | (after & ~before), lost | (before & ~after)
        return changes.text(gained), changes.text(lost)

    def _unlike(self, pairs: Pairs, references: Views, variants: Views) -> list[str]:
        """Why each pair is unlike the training data."""
        limits = self.oracle.limits
        if limits is None:
            return [""] * len(pairs.row)
        before, after = (
            reasons_unlike(
                limits, tokens,
                by_medium(self.oracle.media, views.spread()),
                by_medium(self.oracle.media, views.mean()),
            )
            for tokens, views in ((pairs.reference, references), (pairs.variant, variants))
        )  # fmt: skip
        rows = zip(pairs.row.tolist(), after, strict=True)
        return [_unlike_text(before[row], own) for row, own in rows]


def _without_adapters(tokens: Tokens, lengths: Integers) -> Tokens:
    """Constructs with N in place of their adapters."""
    position = np.arange(tokens.shape[1])
    stop = lengths[:, None] - len(sequence.ADAPTER_3)
    is_insert = (position >= len(sequence.ADAPTER_5)) & (position < stop)
    return np.where(is_insert, tokens, np.uint8(sequence.N_TOKEN))


def _unlike_text(reference: list[str], variant: list[str]) -> str:
    if reference == variant:
        return ";".join(variant)
    both = [reason for reason in variant if reason in reference]
    one = [
        f"{name}:{reason}"
        for name, own in (("reference", reference), ("variant", variant))
        for reason in own
        if reason not in both
    ]
    return ";".join([*both, *one])


def _by_variant(pairs: Pairs, views: Views) -> Views:
    """Mean of the pairs of each variant, view by view."""
    if pairs.variant_of is None:
        return views
    first, counts = _groups(pairs.variant_of)
    sums = np.add.reduceat(views.values, first, axis=1, dtype=np.float64)
    return views._replace(values=(sums / counts[:, None]).astype(np.float32))


def _groups(variant_of: Integers) -> tuple[Integers, Integers]:
    """First pair of each variant, and the number of its pairs."""
    _, first, counts = np.unique(variant_of, return_index=True, return_counts=True)
    return first, counts


def _joined(pairs: Pairs, texts: list[str]) -> list[str]:
    """The texts of each variant's pairs, each part once, in the order of their first use."""
    if pairs.variant_of is None:
        return texts
    first, counts = _groups(pairs.variant_of)
    joined = []
    for start, count in zip(first.tolist(), counts.tolist(), strict=True):
        parts = [part for text in texts[start : start + count] for part in text.split(";") if part]
        joined.append(";".join(dict.fromkeys(parts)))
    return joined
