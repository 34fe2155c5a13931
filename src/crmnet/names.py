"""Suggestions for mistyped names.

Every error about an unknown name (of a network, a setting, a data set) takes its suggestion from
here.
"""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


def did_you_mean(name: str, known: Iterable[str], *, most: int = 1, cutoff: float = 0.6) -> str:
    """``did you mean 'heads'?``, or an empty text if no known name is similar.

    Args:
        name: The name as it was typed.
        known: All valid names.
        most: Maximum number of suggestions, the most similar first.
        cutoff: Smallest similarity, from 0 to 1, of a suggestion (see :mod:`difflib`).
    """
    close = get_close_matches(name, list(known), most, cutoff)
    return f"did you mean {' or '.join(map(repr, close))}?" if close else ""
