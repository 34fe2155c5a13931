"""Names in messages: suggestions for mistyped names, escapes for control characters.

:func:`did_you_mean` takes an unknown name and all valid names, and returns a suggestion. Error
messages about unknown networks, settings, media and data sets end with it.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from difflib import get_close_matches

_CONTROL = {"Cc", "Cs", "Zl", "Zp"}
_DIRECTION = {
    "\u200e",
    "\u200f",
    *map(chr, range(0x202A, 0x202F)),
    *map(chr, range(0x2066, 0x206A)),
}
"""Characters that change the order in which a terminal shows the others."""


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


def is_control(character: str) -> bool:
    """Whether a character would act on a terminal instead of being shown."""
    return unicodedata.category(character) in _CONTROL or character in _DIRECTION


def printable(text: str) -> str:
    """The text with its control characters written as Python escapes."""
    return "".join(
        character.encode("unicode_escape").decode() if is_control(character) else character
        for character in text
    )
