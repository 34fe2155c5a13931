"""Numbers in text files: one strict rule for every command that reads values.

:mod:`crmnet.data.validate` and :mod:`crmnet.data.sequences` convert the fields of
:mod:`crmnet.data.reading` with it. Python's ``float`` also reads ``1_0`` as 10, and NumPy drops NUL
bytes. This module treats both as damaged fields.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

import numpy as np

from crmnet.arrays import Floats

MISSING = frozenset({b"", b"na", b"n/a", b"#n/a", b"#na", b"<na>", b"nan", b"none", b"null", b"."})
"""Texts, in lower case, that R, pandas and Excel write for a missing value."""

_NUMBER = re.compile(rb"[-+]?((\d+\.?\d*|\.\d+)(e[-+]?\d+)?|inf|infinity)", re.IGNORECASE)
_PLAIN = b"0123456789+-.eE\n"


def is_missing(text: bytes) -> bool:
    """Whether a field holds no value: empty, or a text of :data:`MISSING`."""
    return len(text) <= 6 and text.strip().lower() in MISSING


def is_number(text: bytes) -> bool:
    """Whether a field holds a number; a missing value is not one."""
    return _NUMBER.fullmatch(text) is not None


def parse_number(text: bytes) -> float:
    """A decimal number, with or without an exponent, or an infinity; NaN if it is missing.

    Raises:
        ValueError: If the text is anything else.
    """
    if is_missing(text):
        return math.nan
    if not is_number(text):
        raise ValueError(f"{text.decode(errors='replace')!r} is not a number")
    return float(text)


def parse_numbers(texts: Sequence[bytes]) -> Floats:
    """:func:`parse_number` of each text; NaN too for a text that is not a number."""
    if not b"\n".join(texts).translate(None, _PLAIN):
        try:  # a text of these characters that NumPy reads is a number
            return np.array(texts, dtype="S").astype(np.float64)
        except ValueError:
            pass
    return np.array([_number_or_nan(text) for text in texts], dtype=np.float64)


def _number_or_nan(text: bytes) -> float:
    try:
        return parse_number(text)
    except ValueError:
        return math.nan
