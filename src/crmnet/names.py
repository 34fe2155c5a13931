"""Names that people mistype: what they may have meant.

Every refusal of an unknown name (of a network, a setting, a data set) asks here.
"""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


def did_you_mean(name: str, known: Iterable[str], *, most: int = 1, cutoff: float = 0.6) -> str:
    """``did you mean 'heads'?``, or nothing where no known name is like ``name``.

    Args:
        name: What was typed.
        known: What could have been.
        most: Suggestions at most, the likeliest first.
        cutoff: Likeness from 0 to 1 below which nothing is suggested (see :mod:`difflib`).
    """
    close = get_close_matches(name, list(known), most, cutoff)
    return f"did you mean {' or '.join(map(repr, close))}?" if close else ""
