"""The starts of a design: random promoters, or given ones, with the positions that may change."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import cast

import numpy as np
import numpy.typing as npt

from crmnet import sequence
from crmnet.arrays import Booleans, Floats
from crmnet.design.constraints import Flanks
from crmnet.design.objective import Objective
from crmnet.design.problem import PROTECTION, Starts
from crmnet.interpretation.inserts import Inserts, find_inserts
from crmnet.sequence import INSERT, N_TOKEN, Lengths, Texts, Tokens

CHAINS_PER_DESIGN = 1.5


@dataclass(frozen=True)
class StartOptions:
    """How many designs and searches, and what random starts are like."""

    designs: int = 20
    chains: int | None = None
    """Number of searches; None means CHAINS_PER_DESIGN for each design."""
    length: int = INSERT
    """Bases of a random start."""
    seed: int = 0

    def __post_init__(self) -> None:
        if self.designs < 1:
            raise ValueError(f"the number of designs must be at least 1; got {self.designs}")
        if self.chains is not None and self.chains < self.designs:
            raise ValueError(
                f"each design needs a search: chains must be at least {self.designs}, the number "
                f"of designs; got {self.chains}"
            )
        if self.length < 1:
            raise ValueError(f"the length of a start must be at least 1; got {self.length}")

    @property
    def searches(self) -> int:
        """Number of chains."""
        return self.chains or int(np.ceil(CHAINS_PER_DESIGN * self.designs))


@dataclass(frozen=True)
class Given:
    """Promoters to start from."""

    inserts: Tokens
    """``(S, W)``, padded with N."""
    lengths: Lengths
    ids: list[str]
    first: Lengths
    """``(S,)`` number, from 1, of the first base of the insert on the sequence as given; of a data
    set it is 1."""


def given_inserts(
    starts: Texts | npt.ArrayLike,
    ids: list[str] | None = None,
    given: Lengths | None = None,
    *,
    whole: bool = False,
) -> Given:
    """The inserts of promoters, as text or as tokens ``(S, L)``; recognised adapters are removed.

    Args:
        starts: Inserts or constructs as text, or tokens of constructs.
        ids: Names; None means numbers from 1.
        given: ``(S, 2)`` of tokens, from :func:`crmnet.sequence.given_spans`.
        whole: Take the sequences as they are, with adapters if they have any.

    Raises:
        ValueError: If there is none, or one is not DNA or too long.
    """
    is_text = np.ndim(cast(npt.ArrayLike, starts)) < 2
    texts = sequence.as_list(cast(Texts, starts)) if is_text else []
    if not is_text:
        tokens = sequence.as_tokens(cast(npt.ArrayLike, starts))
    elif whole:
        tokens, _ = sequence.encode(texts, ids)
    else:
        tokens, _ = sequence.constructs(texts, ids)
        given = sequence.given_spans(texts)
    if not len(tokens):
        raise ValueError("there is no promoter to start from; give at least one, or none at all")
    found = find_inserts(tokens, given)
    if whole:
        sizes = np.array([len(text) for text in texts]) if is_text else None
        stop = sequence.sequence_lengths(tokens) if sizes is None else sizes
        found = Inserts(np.zeros_like(stop), stop, np.zeros_like(stop))
    if not found.lengths.min():
        raise ValueError("a promoter to start from has no insert; remove it")
    names = ids or [str(number) for number in range(1, len(tokens) + 1)]
    return Given(found.cut_tokens(tokens), found.lengths, names, found.start - found.origin + 1)


def make_starts(
    known: Given | None,
    options: StartOptions,
    objective: Objective,
    protected: tuple[int, ...],
    flanks: Flanks,
) -> Starts:
    """One start for each chain, and its target.

    Of more given promoters than chains, some are chosen at random; fewer are used several times,
    with one target after another. An N is replaced by a random base and stays free.

    Raises:
        ValueError: If a protected position is not in a start, or is N there.
    """
    rng = np.random.default_rng([options.seed, 3])
    chains = options.searches
    if known is None:
        tokens = rng.integers(4, size=(chains, options.length), dtype=np.uint8)
        lengths, given = np.full(chains, options.length), np.full_like(tokens, N_TOKEN)
        first = np.ones(chains, dtype=np.int64)
        ids = [f"random {number}" for number in range(1, chains + 1)]
    else:
        rows = _spread(len(known.ids), chains, rng)
        given, lengths, first = known.inserts[rows], known.lengths[rows], known.first[rows]
        ids = [known.ids[row] for row in rows.tolist()]
        inside = np.arange(given.shape[1]) < lengths[:, None]
        random = rng.integers(4, size=given.shape, dtype=np.uint8)
        tokens = np.where(inside & (given == N_TOKEN), random, given)
    editable = _editable(given, lengths, protected, first, random=known is None, ids=ids)
    target = _targets(objective, chains, chains if known is None else len(known.ids))
    return Starts(tokens, lengths, given, editable, target, ids, first)


def _spread(available: int, chains: int, rng: np.random.Generator) -> npt.NDArray[np.int64]:
    """Numbers of the given promoters for the chains: each as often as another, or once."""
    if available >= chains:
        return np.sort(rng.permutation(available)[:chains])
    return np.arange(chains) % available


def _targets(objective: Objective, chains: int, starts: int) -> Floats:
    """Target of each chain, in turn; NaN without targets.

    Chain c has start c mod ``starts``. Where start and target would meet again, the targets move on
    by one, so that every start gets every target before it gets one again.
    """
    if not objective.targets:
        return np.full(chains, np.nan)
    number, targets = np.arange(chains), np.array(objective.targets)
    return targets[(number + number // math.lcm(starts, len(targets))) % len(targets)]


def _editable(
    given: Tokens,
    lengths: Lengths,
    protected: tuple[int, ...],
    first: Lengths,
    *,
    random: bool,
    ids: list[str],
) -> Booleans:
    """``(C, W)``: positions of the insert that may change; errors count from ``first``."""
    editable: Booleans = np.arange(given.shape[1]) < lengths[:, None]
    if not protected:
        return editable
    positions = np.array(protected)
    outside = (positions < 0) | (positions >= lengths.min())
    if outside.any():
        row = int(np.argmin(lengths))
        begins = f" and begins at position {first[row]}" if first[row] > 1 else ""
        raise ValueError(
            f"{PROTECTION}: position {int(positions[outside][0] + first[row])} is not in the "
            f"insert of {ids[row]}, which has {int(lengths[row])} bases{begins}"
        )
    unknown = (given[:, positions] == N_TOKEN) & (not random)
    if unknown.any():
        row, column = (int(number) for number in np.argwhere(unknown)[0])
        raise ValueError(
            f"{PROTECTION}: base {int(positions[column] + first[row])} of {ids[row]} is N; only a "
            "known base can be protected"
        )
    editable[:, positions] = False
    return editable


def parse_positions(texts: list[str], first: int = 1) -> tuple[int, ...]:
    """Positions from 0 of texts such as ``1-10,75``, which count from ``first``.

    Raises:
        ValueError: If a text is not a list of positions and ranges.
    """
    positions: set[int] = set()
    for text in texts:
        for part in text.split(","):
            match = re.fullmatch(r"\s*(\d{1,4})(?:\s*-\s*(\d{1,4}))?\s*", part)
            low = int(match[1]) if match else 0
            high = int(match[2] or low) if match else -1
            if not 1 <= low <= high:
                raise ValueError(
                    f"{PROTECTION} takes positions and ranges from 1, such as 1-10,75; got {text!r}"
                )
            positions.update(range(low - first, high - first + 1))
    return tuple(sorted(positions))
