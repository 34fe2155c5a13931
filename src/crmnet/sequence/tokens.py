"""Letters ⇄ tokens → one-hot: which letters are accepted, lengths, padding."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from crmnet.sequence.assay import LENGTH

if TYPE_CHECKING:
    import torch

Tokens = npt.NDArray[np.uint8]
Lengths = npt.NDArray[np.int64]
Texts = Iterable[str] | Iterable[bytes]
"""Sequences as functions take them: a list, an array, or a column of pandas or polars."""

LETTERS = "ACGTN"
N_TOKEN = 4
INVALID = 255


def _letter_table() -> Tokens:
    table = np.full(256, INVALID, dtype=np.uint8)
    for token, letter in enumerate(LETTERS):
        table[ord(letter)] = table[ord(letter.lower())] = token
    return table


_TOKEN_OF_BYTE = _letter_table()
_IUPAC = b"RYSWKMBDHV"
"""Letters that stand for two or three bases."""
_IUPAC_AS_N = bytes.maketrans(_IUPAC + _IUPAC.lower(), b"N" * (2 * len(_IUPAC)))
_LETTER_OF_TOKEN = np.frombuffer(LETTERS.encode(), dtype=np.uint8)


def as_list(sequences: Texts) -> list[Any]:
    """The sequences of a list, an array or a column, by position; a pandas index has no effect.

    Raises:
        ValueError: If this is one text, or a table with several columns.
    """
    if isinstance(sequences, str | bytes):
        raise ValueError("expected a list of sequences, got one text; write [sequence]")
    if isinstance(sequences, Mapping) or hasattr(sequences, "columns"):
        raise ValueError("expected one column of sequences, got a table; write table['sequence']")
    return list(sequences)


def as_tokens(tokens: npt.ArrayLike) -> Tokens:
    """Tokens ``(N, L)`` as uint8, from an array, a tensor, a table or nested lists.

    INVALID is kept: readers of files reject the rows that hold it later.

    Raises:
        ValueError: If the shape differs, or a number is not one of 0 to 4.
    """
    array = np.asarray(tokens)
    if array.ndim != 2:
        raise ValueError(f"tokens must be (N, L), one row for each sequence; got {array.shape}")
    if array.dtype != np.uint8:
        wrong = not np.isin(array, range(len(LETTERS))).all()
    else:  # the largest number is found without another array of this size
        wrong = array.max(initial=0) > N_TOKEN and bool(
            ((array > N_TOKEN) & (array != INVALID)).any()
        )
    if wrong:
        raise ValueError("tokens must be A 0, C 1, G 2, T 3 or N 4; got other numbers")
    return array.astype(np.uint8, copy=False)


def letters_to_tokens(sequences: Texts) -> tuple[Tokens, Lengths]:
    """Convert letters to tokens without checking them.

    Returns:
        Tokens ``(N, W)``, W being the longest sequence, padded with N, and the lengths ``(N,)``. A
        letter outside ACGTN becomes :data:`INVALID`.
    """
    texts = as_list(sequences)
    try:
        rows = [s if isinstance(s, bytes) else s.encode() for s in texts]
    except AttributeError:
        number = next(n for n, s in enumerate(texts) if not isinstance(s, str | bytes))
        value = texts[number]
        shown = f"an array of shape {value.shape}" if getattr(value, "shape", ()) else repr(value)
        raise ValueError(
            f"sequence number {number + 1} is {shown}, not text; replace or remove it"
        ) from None
    lengths = np.fromiter(map(len, rows), dtype=np.int64, count=len(rows))
    width = int(lengths.max(initial=0))
    if width == 0:
        return np.zeros((len(rows), 0), dtype=np.uint8), lengths
    flat = np.frombuffer(b"".join(row.ljust(width, b"N") for row in rows), dtype=np.uint8)
    return _TOKEN_OF_BYTE[flat].reshape(len(rows), width), lengths


def iupac_as_n(text: bytes) -> bytes:
    """The same text with N for every IUPAC letter that stands for several bases."""
    return text.translate(_IUPAC_AS_N)


def encode(sequences: Texts, ids: Iterable[str] | None = None) -> tuple[Tokens, Lengths]:
    """Convert DNA sequences to tokens.

    Returns:
        Tokens ``(N, W)``, W being the longest sequence, and lengths ``(N,)``.

    Raises:
        ValueError: If a sequence is empty or not DNA. The message names the sequence (its id, or
            its number from 1), the letter and its position from 1.
    """
    texts = as_list(sequences)
    tokens, lengths = letters_to_tokens(texts)
    bad_rows, bad_columns = np.nonzero(tokens == INVALID)
    if bad_rows.size:
        row, column = int(bad_rows[0]), int(bad_columns[0])
        text = texts[row]
        text = text if isinstance(text, str) else text.decode(errors="replace")
        raise ValueError(f"{_name(row, ids)}: {describe_bad_letter(text, column)}")
    if (lengths == 0).any():
        raise ValueError(f"{_name(int(np.argmin(lengths)), ids)} is empty; replace or remove it")
    return tokens, lengths


def _name(row: int, ids: Iterable[str] | None) -> str:
    return f"sequence {list(ids)[row]!r}" if ids is not None else f"sequence number {row + 1}"


def describe_bad_letter(text: str, column: int) -> str:
    """Message about letter ``column`` (from 0) of ``text``, with the remedy."""
    letter = text[column]  # everything before it is ASCII, so byte and letter positions agree
    remedy = {
        "U": "this is RNA: write T for U",
        "-": "remove alignment gaps",
        ".": "remove alignment gaps",
        **dict.fromkeys(
            _IUPAC.decode(),
            "an IUPAC letter for several bases; only A, C, G, T and N are allowed, so write N "
            "(predict, explain and motifs do this with --iupac n)",
        ),
    }.get(letter.upper(), "only A, C, G, T and N are allowed; write N for an unknown base")
    return f"letter {letter!r} at position {column + 1} of {len(text)}; {remedy}"


def decode(tokens: npt.ArrayLike, lengths: npt.ArrayLike | None = None) -> list[str]:
    """Convert tokens ``(N, L)`` to strings; without ``lengths``, N at the end is padding."""
    tokens = as_tokens(tokens)
    ends = sequence_lengths(tokens) if lengths is None else np.asarray(lengths)
    rows = zip(_LETTER_OF_TOKEN[tokens], ends.tolist(), strict=True)
    return [letters[:end].tobytes().decode("ascii") for letters, end in rows]


_NEAR_THE_END = 8
"""Positions at the end that are checked one by one; most constructs end there."""


def sequence_lengths(tokens: npt.ArrayLike) -> Lengths:
    """Positions up to the last base that is not N, per row: ``(N,)``."""
    tokens = as_tokens(tokens)
    width = tokens.shape[1]
    lengths = np.full(len(tokens), width, dtype=np.int64)
    rows = np.arange(len(tokens))
    for column in range(width - 1, max(width - 1 - _NEAR_THE_END, -1), -1):
        rows = rows[tokens[rows, column] == N_TOKEN]
        lengths[rows] = column
    if len(rows) and width > _NEAR_THE_END:  # shorter rows: check all positions
        known = tokens[rows] != N_TOKEN
        last = width - np.argmax(known[:, ::-1], axis=1)
        lengths[rows] = np.where(known.any(axis=1), last, 0)
    return lengths


def fit_length(tokens: npt.ArrayLike, lengths: npt.ArrayLike, length: int = LENGTH) -> Tokens:
    """Cut or pad with N at the end to ``(N, length)``, as in the paper (section 2.2).

    Positions after a row's length are overwritten with N.
    """
    tokens, lengths = as_tokens(tokens), np.asarray(lengths)
    fitted = np.full((len(tokens), length), N_TOKEN, dtype=np.uint8)
    width = min(length, tokens.shape[1])
    inside = np.arange(width) < lengths[:, None]
    fitted[:, :width][inside] = tokens[:, :width][inside]
    return fitted


def text_tokens(text: str) -> Tokens:
    """Tokens ``(L,)`` of one text, without a check of its letters."""
    return _TOKEN_OF_BYTE[np.frombuffer(text.encode(), dtype=np.uint8)]


def gather(tokens: Tokens, columns: npt.NDArray[np.int64]) -> Tokens:
    """Select ``columns`` (N, K) of each row; N for columns outside the array."""
    inside = (columns >= 0) & (columns < tokens.shape[1])
    selected = np.take_along_axis(tokens, np.where(inside, columns, 0), axis=1)
    return np.where(inside, selected, np.uint8(N_TOKEN))


def one_hot(tokens: torch.Tensor) -> torch.Tensor:
    """Tokens ``(B, L)`` → one-hot ``(B, 4, L)`` float32, on the device of the tokens.

    N, and every other token above 3, becomes all zeros.
    """
    import torch

    bases = torch.arange(4, device=tokens.device, dtype=tokens.dtype)
    return (tokens.unsqueeze(1) == bases.view(4, 1)).float()
