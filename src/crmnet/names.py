"""Suggestions for mistyped names.

Takes an unknown name and all valid names, and returns a suggestion. Error messages about unknown
networks, settings, media and data sets end with it.
"""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


def did_you_mean(
    name: str, known: Iterable[str], *, max_suggestions: int = 1, cutoff: float = 0.6
) -> str:
    """Suggestion such as ``did you mean 'heads'?``; an empty text if no known name is similar.

    Args:
        name: The unknown name.
        known: All valid names.
        max_suggestions: Maximum number of suggestions, the most similar first.
        cutoff: Smallest similarity, from 0 to 1, of a suggestion (see :mod:`difflib`).
    """
    close = get_close_matches(name, list(known), max_suggestions, cutoff)
    return f"did you mean {' or '.join(map(repr, close))}?" if close else ""
