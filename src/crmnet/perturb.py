"""Edits of sequences: planted sites, random substitutions, crosses of two sequences.

Takes tokens and gives edited copies, without a model. Used to marginalise over backgrounds
(:mod:`crmnet.interpretation.marginalise`) and to make promoters for distillation
(:mod:`crmnet.prediction.distil`).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from crmnet.sequence import N_TOKEN, Tokens, as_tokens, reverse_complement


def put(tokens: npt.ArrayLike, site: npt.ArrayLike, start: int, strand: str = "+") -> Tokens:
    """Copies of the sequences with a site written over their bases.

    Args:
        tokens: ``(B, L)``.
        site: ``(W,)``; N keeps the existing base.
        start: Position of the site's left end, from 0.
        strand: ``-`` writes the site's reverse complement.

    Raises:
        ValueError: If the site does not fit, or ``strand`` is neither ``+`` nor ``-``.
    """
    tokens, letters = as_tokens(tokens), np.asarray(site, dtype=np.uint8)
    if strand not in ("+", "-"):
        raise ValueError(f"strand must be + or -; got {strand!r}")
    if start < 0 or start + len(letters) > tokens.shape[1]:
        raise ValueError(
            f"a site of {len(letters)} bases at {start} does not fit into {tokens.shape[1]} bases"
        )
    if strand == "-":
        letters = reverse_complement(letters[None])[0]
    edited = tokens.copy()
    places = start + np.nonzero(letters != N_TOKEN)[0]
    edited[:, places] = letters[letters != N_TOKEN]
    return edited


def substitute(tokens: npt.ArrayLike, rate: npt.ArrayLike, rng: np.random.Generator) -> Tokens:
    """Copies with random bases replaced by one of the three other bases.

    Args:
        tokens: ``(B, L)``; N stays N.
        rate: ``(B,)`` probability of a substitution at each base of the row.
        rng: Source of random numbers.
    """
    tokens, rate = as_tokens(tokens), np.asarray(rate)
    hit = (rng.random(tokens.shape) < rate[:, None]) & (tokens != N_TOKEN)
    step = rng.integers(1, N_TOKEN, size=tokens.shape, dtype=np.uint8)
    return np.where(hit, (tokens + step) % np.uint8(N_TOKEN), tokens)


def cross(left: npt.ArrayLike, right: npt.ArrayLike, cut: npt.ArrayLike) -> Tokens:
    """Crosses ``(B, L)``: each row of ``left`` up to its ``cut``, then the row of ``right``."""
    left, right, cut = as_tokens(left), as_tokens(right), np.asarray(cut)
    return np.where(np.arange(left.shape[1]) < cut[:, None], left, right)
