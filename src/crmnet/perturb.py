"""Edited sequences: sites put into them. Tokens in, tokens out; no model."""

from __future__ import annotations

import numpy as np

from crmnet.sequence import N_TOKEN, Tokens, reverse_complement


def put(tokens: Tokens, site: Tokens, start: int, strand: str = "+") -> Tokens:
    """Copies of the sequences with a site written over what was there.

    Args:
        tokens: ``(B, L)``.
        site: ``(W,)``; N leaves the base that is there.
        start: Where the site's left end comes to lie, from 0.
        strand: ``-`` writes the site's reverse complement.

    Raises:
        ValueError: If the site does not fit in, or the strand is neither ``+`` nor ``-``.
    """
    if strand not in ("+", "-"):
        raise ValueError(f"strand must be + or -; got {strand!r}")
    if start < 0 or start + len(site) > tokens.shape[1]:
        raise ValueError(
            f"a site of {len(site)} bases at {start} does not fit into {tokens.shape[1]} bases"
        )
    if strand == "-":
        site = reverse_complement(site[None])[0]
    edited = tokens.copy()
    places = start + np.nonzero(site != N_TOKEN)[0]
    edited[:, places] = site[site != N_TOKEN]
    return edited
