"""Edits of sequences: planted sites, substitutions, insertions, deletions, crosses.

The functions take tokens and return edited copies; they need no model.
:mod:`crmnet.interpretation.marginalise` plants sites in background sequences,
:mod:`crmnet.data.unmeasured` derives new promoters by random edits, and :mod:`crmnet.design.mutate`
applies given variants.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from crmnet.arrays import Integers
from crmnet.sequence import N_TOKEN, Tokens, as_tokens, reverse_complement
from crmnet.sequence.tokens import gather


def single_substitutions(
    tokens: npt.ArrayLike, inside: npt.ArrayLike
) -> tuple[Integers, Integers, Integers]:
    """All single substitutions by one of the three other bases, in this order: row, position, base.

    An N has none: its base is not known, so no substitution of it is.

    Args:
        tokens: ``(B, L)``.
        inside: ``(B, L)``, True at the positions that may change.

    Returns:
        ``(K,)`` numbers of the rows, positions from 0, and new bases.
    """
    tokens = as_tokens(tokens)
    may_change = np.asarray(inside) & (tokens < N_TOKEN)
    row, position, base = np.nonzero(may_change[:, :, None] & (np.arange(4) != tokens[:, :, None]))
    return row, position, base


def plant_site(tokens: npt.ArrayLike, site: npt.ArrayLike, start: int, strand: str = "+") -> Tokens:
    """Plant a site: copies ``(B, L)`` of the sequences with the site written over their bases.

    Args:
        tokens: ``(B, L)``.
        site: ``(W,)``; N keeps the existing base.
        start: Position of the left end of the site, from 0.
        strand: ``+``, or ``-`` for the reverse complement of the site.

    Raises:
        ValueError: If the site does not fit, or ``strand`` is neither ``+`` nor ``-``.
    """
    tokens, site_tokens = as_tokens(tokens), np.asarray(site, dtype=np.uint8)
    if strand not in ("+", "-"):
        raise ValueError(f"strand must be + or -; got {strand!r}")
    if start < 0 or start + len(site_tokens) > tokens.shape[1]:
        raise ValueError(
            f"a site of {len(site_tokens)} bases at {start} does not fit into "
            f"{tokens.shape[1]} bases"
        )
    if strand == "-":
        site_tokens = reverse_complement(site_tokens[None])[0]
    edited = tokens.copy()
    positions = start + np.nonzero(site_tokens != N_TOKEN)[0]
    edited[:, positions] = site_tokens[site_tokens != N_TOKEN]
    return edited


def substitute(tokens: npt.ArrayLike, rate: npt.ArrayLike, rng: np.random.Generator) -> Tokens:
    """Copies ``(B, L)`` with random substitutions by one of the three other bases.

    Args:
        tokens: ``(B, L)``; N stays N.
        rate: ``(B,)``, probability of a substitution at each base of a row.
        rng: Source of random numbers.
    """
    tokens, rate = as_tokens(tokens), np.asarray(rate)
    substituted = (rng.random(tokens.shape) < rate[:, None]) & (tokens != N_TOKEN)
    shift = rng.integers(1, N_TOKEN, size=tokens.shape, dtype=np.uint8)
    return np.where(substituted, (tokens + shift) % np.uint8(N_TOKEN), tokens)


def cross(left: npt.ArrayLike, right: npt.ArrayLike, cut: npt.ArrayLike) -> Tokens:
    """Crosses ``(B, L)`` of pairs of sequences.

    Args:
        left: ``(B, L)``, source of the positions before ``cut``.
        right: ``(B, L)``, source of the other positions.
        cut: ``(B,)``, first position from ``right`` in each row.
    """
    left, right, cut = as_tokens(left), as_tokens(right), np.asarray(cut)
    return np.where(np.arange(left.shape[1]) < cut[:, None], left, right)


def delete(tokens: npt.ArrayLike, start: npt.ArrayLike, width: npt.ArrayLike) -> Tokens:
    """Copies ``(B, L)`` without ``width`` bases from ``start``; N fills the freed right end.

    Args:
        tokens: ``(B, L)``.
        start: ``(B,)``, position of the first deleted base, from 0.
        width: ``(B,)``, number of deleted bases.
    """
    tokens, start, width = as_tokens(tokens), np.asarray(start), np.asarray(width)
    length = tokens.shape[1]
    position = np.arange(length)
    source = position + np.where(position >= start[:, None], width[:, None], 0)
    kept = np.take_along_axis(tokens, np.minimum(source, length - 1), axis=1)
    return np.where(source < length, kept, np.uint8(N_TOKEN))


def splice(
    tokens: npt.ArrayLike,
    start: npt.ArrayLike,
    stop: npt.ArrayLike,
    new: npt.ArrayLike,
    new_lengths: npt.ArrayLike,
) -> Tokens:
    """Copies ``(B, L)`` with a stretch of each row replaced by other bases, of any number.

    The bases after the stretch move. N fills the freed right end; a base that moves beyond the
    right end is lost.

    Args:
        tokens: ``(B, L)``.
        start: ``(B,)``, first replaced base, from 0.
        stop: ``(B,)``, one past the last replaced base; equal to ``start`` for an insertion.
        new: ``(B, W)``, the new bases of each row, at its left end.
        new_lengths: ``(B,)``, number of new bases of each row; 0 for a deletion.
    """
    tokens, new = as_tokens(tokens), as_tokens(new)
    start, stop, new_lengths = (np.asarray(a)[:, None] for a in (start, stop, new_lengths))
    position = np.arange(tokens.shape[1])
    source = np.where(position < start, position, position - new_lengths + (stop - start))
    moved = gather(tokens, np.broadcast_to(source, tokens.shape))
    if not new.shape[1]:
        return moved
    offset = position - start
    is_new = (offset >= 0) & (offset < new_lengths)
    return np.where(is_new, gather(new, np.where(is_new, offset, 0)), moved)
