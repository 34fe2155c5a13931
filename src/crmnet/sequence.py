"""DNA as arrays: letters ⇄ tokens → one-hot, adapters, strands, shuffles.

Bottom layer: converts DNA strings to arrays; all other modules use these arrays.

Accepted wherever a sequence is read: A, C, G, T and N in upper or lower case, of any length. Files
may be FASTA, TSV, CSV or one sequence per line, plain, ``.gz`` or ``.zst`` (see
:mod:`crmnet.data.reading`). U, gaps and other letters are errors that name the position; IUPAC
letters for several bases are read as N on request. A construct that is longer than the network's
input is an error (:func:`constructs`), or one of its windows is read (:func:`windows`). Only
ingestion cuts such rows at the end, as the paper does (:func:`prepare`).

Arrays:
    tokens   ``(N, L)`` uint8, A 0, C 1, G 2, T 3, N 4; shorter sequences are padded with N
    one-hot  ``(B, 4, L)`` float, channels A C G T, all zeros where the base is N
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, get_args

import numpy as np
import numpy.typing as npt

from crmnet.choices import Flanks as Flanks  # part of this module's signatures
from crmnet.choices import Iupac as Iupac
from crmnet.choices import Window as Window

if TYPE_CHECKING:
    import torch

Tokens = npt.NDArray[np.uint8]
Lengths = npt.NDArray[np.int64]
Texts = Iterable[str] | Iterable[bytes]
"""Sequences as functions take them: a list, an array, or a column of pandas or polars."""

LETTERS = "ACGTN"
N_TOKEN = 4
INVALID = 255
LENGTH = 112
"""Length of the networks' input (paper, section 2.2); constructs are padded to it."""
INSERT = 80
"""Bases of the assay's inserts, and of the windows of longer sequences."""

BINS = 18
"""Sorting bins of the assay, 0 to 17."""
TOP_BIN = BINS - 1

ADAPTER_5 = "TGCATTTTTTTCACATC"
ADAPTER_3 = "GGTTACGGCTGTT"
ADAPTER_MISMATCHES = 2
"""An adapter with up to this many substitutions is recognised; 2.4 % of real rows have some."""


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
_COMPLEMENT = np.array([3, 2, 1, 0, 4], dtype=np.uint8)


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

    Raises:
        ValueError: If the shape differs, or a number is not one of 0 to 4.
    """
    array = np.asarray(tokens)
    if array.ndim != 2:
        raise ValueError(f"tokens must be (N, L), one row for each sequence; got {array.shape}")
    if array.dtype == np.uint8:
        return array
    if array.size and not np.isin(array, range(len(LETTERS))).all():
        raise ValueError("tokens must be A 0, C 1, G 2, T 3 or N 4; got other numbers")
    return array.astype(np.uint8)


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
        what = f"an array of shape {value.shape}" if getattr(value, "shape", ()) else repr(value)
        raise ValueError(
            f"sequence number {number + 1} is {what}, not text; replace or remove it"
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
    if lengths is None:
        lengths = sequence_lengths(tokens)
    letters = _LETTER_OF_TOKEN[tokens]
    return [
        row[:n].tobytes().decode("ascii") for row, n in zip(letters, ends.tolist(), strict=True)
    ]


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


@dataclass(frozen=True)
class Preparation:
    """Report of :func:`prepare`: numbers of sequences by what was done to them."""

    total: int = 0
    adapters_added: int = 0
    adapters_kept: int = 0
    one_adapter_only: int = 0
    padding_removed: int = 0
    cut: int = 0
    with_n: int = 0

    def __add__(self, other: Preparation) -> Preparation:
        counts, others = asdict(self), asdict(other)
        return Preparation(**{key: counts[key] + others[key] for key in counts})

    def messages(self, length: int = LENGTH) -> list[str]:
        """Sentences that describe what was done; lost bases are a warning."""
        lines = []
        if self.adapters_added:
            lines.append(f"added adapters to {self.adapters_added:,} of {self.total:,} sequences")
        if self.adapters_kept:
            lines.append(f"kept the adapters of {self.adapters_kept:,} of {self.total:,} sequences")
        if self.one_adapter_only:
            lines.append(
                f"{self.one_adapter_only:,} of these have only one adapter; the other is not added"
            )
        if self.padding_removed:
            lines.append(
                f"removed N padding outside the adapters from {self.padding_removed:,} sequences"
            )
        if self.with_n:
            lines.append(f"{self.with_n:,} sequences contain N (unknown bases)")
        if self.cut:
            lines.append(
                f"WARNING: {self.cut:,} sequences are longer than {length} bases and were "
                "cut at the end"
            )
        return lines


def prepare(
    tokens: npt.ArrayLike, lengths: npt.ArrayLike, flanks: Flanks = "auto", length: int = LENGTH
) -> tuple[Tokens, Preparation]:
    """Normalise inserts and constructs; used for training rows and for every other input.

    Args:
        tokens: ``(N, W)``, from :func:`encode`.
        lengths: ``(N,)``.
        flanks: ``auto`` adds both adapters to sequences without any adapter; other sequences only
            lose N padding outside their adapters. ``add`` always adds both adapters. ``none`` never
            changes a sequence.
        length: Length of the result.

    A construct that is longer than ``length`` is cut at its end, as in the paper, and counted.
    :func:`constructs` refuses it instead.

    Returns:
        Tokens ``(N, length)`` and the :class:`Preparation`, a report of what was done.
    """
    tokens, lengths, done = _complete(tokens, lengths, flanks)
    done = replace(done, cut=int((lengths > length).sum()))
    return fit_length(tokens, lengths, length), done


def too_long(
    tokens: npt.ArrayLike, lengths: npt.ArrayLike, flanks: Flanks = "auto", length: int = LENGTH
) -> npt.NDArray[np.bool_]:
    """Which rows :func:`prepare` would cut: their construct is longer than ``length``.

    Args:
        tokens: ``(N, W)``, from :func:`encode`.
        lengths: ``(N,)``.
        flanks: As for :func:`prepare`.
        length: Positions of the network's input.

    Returns:
        ``(N,)``.
    """
    _, sizes, _ = _complete(tokens, lengths, flanks)
    return sizes > length


def _complete(
    tokens: npt.ArrayLike, lengths: npt.ArrayLike, flanks: Flanks
) -> tuple[Tokens, Lengths, Preparation]:
    """Complete constructs of any length, their lengths, and what was done."""
    if flanks not in get_args(Flanks):
        raise ValueError(f"flanks must be one of {', '.join(get_args(Flanks))}; got {flanks!r}")
    tokens, lengths = as_tokens(tokens), np.asarray(lengths)
    kept = np.zeros(len(tokens), dtype=bool)
    partial = padded = 0
    if flanks == "auto":
        start, stop = _known_span(tokens, lengths)
        found_5, found_3 = find_adapters(tokens, start, stop)
        kept = found_5 | found_3
        partial = int((found_5 ^ found_3).sum())
        padded = int((kept & ((start > 0) | (stop < lengths))).sum())
        start, stop = np.where(kept, start, 0), np.where(kept, stop, lengths)
        tokens, lengths = _shift_left(tokens, start), stop - start
    add = ~kept if flanks != "none" else np.zeros(len(tokens), dtype=bool)
    with_n = int(
        ((tokens == N_TOKEN) & (np.arange(tokens.shape[1]) < lengths[:, None])).any(1).sum()
    )
    if add.any():
        tokens, lengths = _with_adapters(tokens, lengths, add)
    done = Preparation(
        total=len(tokens),
        adapters_added=int(add.sum()),
        adapters_kept=int(kept.sum()),
        one_adapter_only=partial,
        padding_removed=padded,
        with_n=with_n,
    )
    return tokens, lengths, done


class Stretch(NamedTuple):
    """Part of a sequence that a network reads; positions as slices of the given text."""

    start: int
    stop: int
    whole: bool
    """The complete sequence fits; otherwise adapters are added to the stretch."""


def insert_window(length: int = LENGTH, flanks: Flanks = "auto") -> int:
    """Bases of a window of a longer sequence: an insert, or with ``none`` the network's input."""
    adapters = 0 if flanks == "none" else len(ADAPTER_5) + len(ADAPTER_3)
    return max(1, length if flanks == "none" else min(INSERT, length - adapters))


def windows(
    text: str | bytes, where: Window | int, flanks: Flanks = "auto", length: int = LENGTH
) -> list[Stretch]:
    """The windows of a sequence that is longer than a network's input.

    A window has :data:`INSERT` bases and gets both adapters; with ``flanks="none"`` it has
    ``length`` bases and gets none. Adapters that the sequence has, and N padding outside them, are
    not part of a window. A sequence that fits is one window, complete.

    Args:
        text: The sequence.
        where: ``first`` or ``last`` for one window at that end; a number for windows that start
            at every so many bases, and one that ends at the last base.
        flanks: As for :func:`prepare`.
        length: Positions of the network's input.

    Raises:
        ValueError: If the step is below 1 or ``where`` is unknown.
    """
    if where not in get_args(Window) and (not isinstance(where, int) or where < 1):
        raise ValueError(f"a window is first, last or a step of at least 1 base; got {where!r}")
    letters = text.encode() if isinstance(text, str) else text
    start, stop, size = _insert_span(letters, flanks)
    if size <= length:
        return [Stretch(0, len(letters), True)]
    width = insert_window(length, flanks)
    last = max(start, stop - width)
    if isinstance(where, int):
        starts = [*range(start, last, where), last]
    else:
        starts = [start if where == "first" else last]
    return [Stretch(s, min(s + width, stop), False) for s in starts]


def _insert_span(text: bytes, flanks: Flanks) -> tuple[int, int, int]:
    """Start and stop of the insert in a text, and the length of its construct."""
    adapters = len(ADAPTER_5) + len(ADAPTER_3)
    if flanks != "auto":
        return 0, len(text), len(text) + adapters * (flanks == "add")
    stop = len(text.rstrip(b"Nn"))
    start = len(text) - len(text.lstrip(b"Nn"))
    if start < stop:
        head = letters_to_tokens([text[start : start + len(ADAPTER_5)]])[0]
        tail = letters_to_tokens([text[max(start, stop - len(ADAPTER_3)) : stop]])[0]
        has_5 = _mismatches_at(head, np.zeros(1, np.int64), ADAPTER_5)[0] <= ADAPTER_MISMATCHES
        has_3 = _mismatches_at(tail, np.zeros(1, np.int64), ADAPTER_3)[0] <= ADAPTER_MISMATCHES
        if has_5 or has_3:
            return start + len(ADAPTER_5) * has_5, stop - len(ADAPTER_3) * has_3, stop - start
    return 0, len(text), len(text) + adapters


def constructs(
    sequences: Texts,
    names: Sequence[str] | None = None,
    *,
    flanks: Flanks = "auto",
    length: int = LENGTH,
    cut: bool = False,
    remedy: str | None = None,
) -> tuple[Tokens, Preparation]:
    """Tokens ``(N, length)`` of sequences with their adapters; nothing is cut without a word.

    Args:
        sequences: Inserts or constructs.
        names: Of the sequences, for errors; None means their numbers from 1.
        flanks: As for :func:`prepare`.
        length: Positions of the network's input.
        cut: Cut and count a construct that is longer, as :func:`prepare`, instead of refusing it.
        remedy: What an error about a long sequence advises; None means to give a shorter one.

    Raises:
        ValueError: If a sequence is empty, not DNA or not text, or its construct is longer than
            ``length``. The message names the sequence.
    """
    texts = as_list(sequences)
    tokens = np.full((len(texts), length), N_TOKEN, dtype=np.uint8)
    done = Preparation()
    sizes = [len(text) if isinstance(text, str | bytes) else 0 for text in texts]
    for rows in _of_similar_size(sizes):
        some = [texts[row] for row in rows]
        whose = [f"number {row + 1}" if names is None else repr(names[row]) for row in rows]
        if not cut:
            _refuse_long(some, whose, flanks, length, remedy)
        own, lengths = _encode_rows(some, rows, names)
        tokens[rows], part = prepare(own, lengths, flanks, length)
        done += part
    return tokens, done


def window_constructs(
    sequences: Sequence[str | bytes],
    parts: Sequence[Sequence[Stretch]],
    names: Sequence[str] | None = None,
    *,
    flanks: Flanks = "auto",
    length: int = LENGTH,
) -> tuple[Tokens, Preparation]:
    """Tokens ``(N, length)`` of the windows of sequences, one row a window, in order.

    Args:
        sequences: The sequences.
        parts: Windows of each sequence, from :func:`windows`.
        names: Of the sequences, for errors; None means their numbers from 1.
        flanks: As for :func:`prepare`.
        length: Positions of the network's input.

    Raises:
        ValueError: As :func:`constructs`. A position in it counts from the start of the window.
    """
    flat = [(row, part) for row, own in enumerate(parts) for part in own]
    tokens = np.full((len(flat), length), N_TOKEN, dtype=np.uint8)
    done = Preparation()
    labels = [str(row + 1) for row in range(len(sequences))] if names is None else names
    for whole in (True, False):
        places = [place for place, (_, part) in enumerate(flat) if part.whole == whole]
        chosen = [flat[place] for place in places]
        if whole:
            texts: list[Any] = [sequences[row] for row, _ in chosen]
            whose = [labels[row] for row, _ in chosen]
        else:
            texts = [sequences[row][part.start : part.stop] for row, part in chosen]
            whose = [f"{labels[row]}, bases {p.start + 1}–{p.stop}" for row, p in chosen]
        if places:
            add: Flanks = flanks if whole or flanks == "none" else "add"
            tokens[places], own_done = constructs(texts, whose, flanks=add, length=length)
            done += own_done
    return tokens, done


_CELLS = 1 << 22
"""Tokens that are prepared at a time; a longer sequence is prepared alone."""


def _of_similar_size(sizes: Sequence[int]) -> Iterator[list[int]]:
    """Rows in groups whose padded array is small, so that a long row does not pad the others."""
    group: list[int] = []
    for row in np.argsort(sizes, kind="stable").tolist():
        if group and (len(group) + 1) * sizes[row] > _CELLS:
            yield sorted(group)
            group = []
        group.append(row)
    if group:
        yield sorted(group)


def _encode_rows(
    texts: list[Any], rows: list[int], names: Sequence[str] | None
) -> tuple[Tokens, Lengths]:
    """:func:`encode`, with the rows' numbers among all sequences in errors."""
    if names is not None:
        return encode(texts, [names[row] for row in rows])
    try:
        return encode(texts)
    except ValueError:
        for row, text in zip(rows, texts, strict=True):
            _encode_one(row, text)
        raise


def _encode_one(row: int, text: Any) -> None:
    try:
        encode([text])
    except ValueError as error:
        message = str(error).replace("sequence number 1 ", f"sequence number {row + 1} ")
        message = message.replace("sequence number 1:", f"sequence number {row + 1}:")
        raise ValueError(message) from None


def _refuse_long(
    texts: list[Any], whose: list[str], flanks: Flanks, length: int, remedy: str | None
) -> None:
    """Raise ValueError at the first text whose construct is longer than ``length``."""
    adapters = len(ADAPTER_5) + len(ADAPTER_3)
    for text, name in zip(texts, whose, strict=True):
        if not isinstance(text, str | bytes) or len(text) + adapters <= length:
            continue
        letters = text.encode() if isinstance(text, str) else text
        _, _, size = _insert_span(letters, flanks)
        if size > length:
            added = f", {size:,} with its adapters" if size > len(letters) else ""
            fitting = length - (adapters if added else 0)
            raise ValueError(
                f"sequence {name} has {len(letters):,} bases{added}; the network reads {length}; "
                + (remedy or f"give the part that counts, at most {fitting} bases")
            )


def given_spans(sequences: Texts, flanks: Flanks = "auto") -> Lengths:
    """Where each given sequence lies in the construct that :func:`prepare` makes of it.

    Args:
        sequences: Inserts or constructs; their letters are not checked.
        flanks: As for :func:`prepare`.

    Returns:
        ``(N, 2)``: where its first base lies, and one past its last base. The first is the length
        of the 5' adapter if adapters are added, and below 0 if padding before a construct is
        removed; the second is larger than the construct if this is cut.
    """
    texts = as_list(sequences)
    lengths = np.array([len(text) for text in texts], dtype=np.int64)
    first = np.full(len(texts), 0 if flanks == "none" else len(ADAPTER_5))
    if flanks == "auto":
        rows = [text if isinstance(text, bytes) else text.encode() for text in texts]
        known = [row.strip(b"Nn") for row in rows]
        # Both ends are enough to find the adapters, however long the sequence is.
        end = len(ADAPTER_5) + len(ADAPTER_3)
        ends = [row if len(row) <= 2 * end else row[:end] + row[-end:] for row in known]
        found_5, found_3 = find_adapters(letters_to_tokens(ends)[0])
        padding = np.array([len(row) - len(row.lstrip(b"Nn")) for row in rows])
        first = np.where(found_5 | found_3, -padding, first)
    return np.stack([first, first + lengths], axis=1)


def adapter_mismatches(
    tokens: npt.ArrayLike, start: npt.ArrayLike | None = None, stop: npt.ArrayLike | None = None
) -> tuple[Lengths, Lengths]:
    """Mismatches of each row ``(N, L)`` with the 5' adapter and with the 3' adapter, ``(N,)`` each.

    An N, or a position outside the array, counts as a mismatch.

    Args:
        tokens: Sequences.
        start: ``(N,)``, where the 5' adapter begins; None means position 0.
        stop: ``(N,)``, one past the end of the 3' adapter; None means one past the row's last base.
    """
    tokens = as_tokens(tokens)
    first = np.zeros(len(tokens), dtype=np.int64) if start is None else np.asarray(start)
    end = sequence_lengths(tokens) if stop is None else np.asarray(stop)
    return (
        _mismatches_at(tokens, first, ADAPTER_5),
        _mismatches_at(tokens, end - len(ADAPTER_3), ADAPTER_3),
    )


def find_adapters(
    tokens: npt.ArrayLike, start: npt.ArrayLike | None = None, stop: npt.ArrayLike | None = None
) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
    """Whether each row carries the 5' adapter, and whether it carries the 3' adapter.

    An adapter with up to :data:`ADAPTER_MISMATCHES` mismatches is recognised; arguments as for
    :func:`adapter_mismatches`.
    """
    mismatches_5, mismatches_3 = adapter_mismatches(tokens, start, stop)
    return mismatches_5 <= ADAPTER_MISMATCHES, mismatches_3 <= ADAPTER_MISMATCHES


def inserts(tokens: npt.ArrayLike) -> tuple[Tokens, Lengths]:
    """The insert of each row: its bases without recognised adapters.

    Returns:
        Tokens ``(N, L)``, padded with N, and the lengths of the inserts ``(N,)``.
    """
    tokens = as_tokens(tokens)
    lengths = sequence_lengths(tokens)
    found_5, found_3 = find_adapters(tokens, stop=lengths)
    start = np.where(found_5, len(ADAPTER_5), 0)
    stop = lengths - np.where(found_3, len(ADAPTER_3), 0)
    left = np.maximum(stop - start, 0)
    return fit_length(_shift_left(tokens, start), left, tokens.shape[1]), left


def _known_span(tokens: Tokens, lengths: Lengths) -> tuple[Lengths, Lengths]:
    """First and one past the last position that is not N; (0, length) for rows of only N."""
    if tokens.shape[1] == 0:
        return np.zeros_like(lengths), lengths
    inside = (tokens != N_TOKEN) & (np.arange(tokens.shape[1]) < lengths[:, None])
    some = inside.any(axis=1)
    start = np.where(some, np.argmax(inside, axis=1), 0)
    stop = np.where(some, tokens.shape[1] - np.argmax(inside[:, ::-1], axis=1), lengths)
    return start, stop


def _gather(tokens: Tokens, columns: npt.NDArray[np.int64]) -> Tokens:
    """Select ``columns`` (N, K) of each row; N for columns outside the array."""
    inside = (columns >= 0) & (columns < tokens.shape[1])
    picked = np.take_along_axis(tokens, np.where(inside, columns, 0), axis=1)
    return np.where(inside, picked, np.uint8(N_TOKEN))


def _mismatches_at(tokens: Tokens, start: Lengths, adapter: str) -> Lengths:
    if tokens.shape[1] == 0:
        return np.full(len(tokens), len(adapter), dtype=np.int64)
    window = _gather(tokens, start[:, None] + np.arange(len(adapter)))
    return (window != _text_tokens(adapter)).sum(axis=1)


def _shift_left(tokens: Tokens, start: Lengths) -> Tokens:
    if not start.any():
        return tokens
    return _gather(tokens, start[:, None] + np.arange(tokens.shape[1]))


def _with_adapters(
    tokens: Tokens, lengths: Lengths, add: npt.NDArray[np.bool_]
) -> tuple[Tokens, Lengths]:
    """Add adapters to the rows where ``add`` is true; the result is wider."""
    left, right = _text_tokens(ADAPTER_5), _text_tokens(ADAPTER_3)
    wide = np.full((len(tokens), tokens.shape[1] + len(left) + len(right)), N_TOKEN, dtype=np.uint8)
    wide[:, : tokens.shape[1]] = tokens
    rows = np.nonzero(add)[0]
    wide[rows, : len(left)] = left
    wide[rows, len(left) : len(left) + tokens.shape[1]] = tokens[rows]
    ends = len(left) + lengths[rows]
    wide[rows[:, None], ends[:, None] + np.arange(len(right))] = right
    return wide, lengths + add * (len(left) + len(right))


def _text_tokens(text: str) -> Tokens:
    return _TOKEN_OF_BYTE[np.frombuffer(text.encode(), dtype=np.uint8)]


def one_hot(tokens: torch.Tensor) -> torch.Tensor:
    """Tokens ``(B, L)`` → one-hot ``(B, 4, L)`` float32, on the device of the tokens.

    N, and every other token above 3, becomes all zeros.
    """
    import torch

    bases = torch.arange(4, device=tokens.device, dtype=tokens.dtype)
    return (tokens.unsqueeze(1) == bases.view(4, 1)).float()


def reverse_complement(tokens: npt.ArrayLike) -> Tokens:
    """Reverse complement of each row ``(N, L)``; padding stays at the end."""
    tokens = as_tokens(tokens)
    lengths = sequence_lengths(tokens)
    columns = lengths[:, None] - 1 - np.arange(tokens.shape[1])
    return _COMPLEMENT[_gather(tokens, columns)]


def other_strand(x: torch.Tensor) -> torch.Tensor:
    """Reverse complement of tensors, on their device and differentiable.

    Takes tokens ``(B, L)`` or one-hot ``(B, 4, L)`` and returns the same form; padding stays at the
    end.
    """
    import torch

    places = torch.arange(x.shape[-1], device=x.device)
    known = x != N_TOKEN if x.ndim == 2 else x.detach().sum(dim=1) > 0
    lengths = (known * (places + 1)).amax(dim=1, keepdim=True)
    # After the end of a row the index is negative; modulo L it points to padding again.
    source = (lengths - 1 - places) % x.shape[-1]
    if x.ndim == 2:
        backwards = x.gather(1, source)
        return torch.where(backwards < N_TOKEN, N_TOKEN - 1 - backwards, backwards)
    # Reversing the channels A C G T gives T G C A, their complements.
    return x.flip(1).gather(2, source.unsqueeze(1).expand_as(x))


def shuffle(tokens: npt.ArrayLike, seed: int, k: Literal[1, 2] = 1) -> Tokens:
    """Shuffle each row; its padding, length and composition stay exactly the same.

    Args:
        tokens: ``(N, L)``.
        seed: The same seed gives the same shuffles.
        k: 1 keeps the counts of bases; 2 also keeps the counts of neighbouring pairs, and therefore
            the first and the last base. The result is uniform over all such orders (k = 2: Altschul
            & Erickson 1985, random Euler paths).

    Returns:
        Tokens ``(N, L)``.
    """
    tokens = as_tokens(tokens)
    rng = np.random.default_rng(seed)
    if k == 1:
        return _shuffle_bases(tokens, rng)
    if k == 2:
        return _shuffle_pairs(tokens, rng)
    raise ValueError(f"k must be 1 (bases) or 2 (neighbouring pairs); got {k!r}")


def _shuffle_bases(tokens: Tokens, rng: np.random.Generator) -> Tokens:
    keys = rng.random(tokens.shape)
    padding = np.arange(tokens.shape[1]) >= sequence_lengths(tokens)[:, None]
    keys[padding] = 2.0  # sorts after every base
    return np.take_along_axis(tokens, np.argsort(keys, axis=1), axis=1)


def _shuffle_pairs(tokens: Tokens, rng: np.random.Generator) -> Tokens:
    if tokens.shape[1] < 2:
        return tokens.copy()
    lengths = sequence_lengths(tokens)
    edges, counts = _random_edge_orders(tokens, lengths, rng)
    shuffled = np.full_like(tokens, N_TOKEN)
    rows = np.arange(len(tokens))
    first = np.zeros((len(tokens), len(LETTERS)), dtype=np.int64)
    first[:, 1:] = np.cumsum(counts, axis=1)[:, :-1]
    shuffled[:, 0] = current = tokens[:, 0].copy()
    for position in range(1, tokens.shape[1]):
        active = rows[position < lengths]
        base = current[active]
        step = edges[active, first[active, base]]
        first[active, base] += 1
        current[active] = shuffled[active, position] = step
    return shuffled


def _random_edge_orders(
    tokens: Tokens, lengths: Lengths, rng: np.random.Generator
) -> tuple[Tokens, npt.NDArray[np.int64]]:
    """For each row, the bases that follow A, then C, … in a random order that gives an Euler path.

    An order gives a path through all steps if the last steps out of the bases form a tree that
    leads to the row's last base. Such a tree is sampled first, with a probability proportional to
    the number of orders that contain it (BEST theorem). The other steps are shuffled before it. The
    result is uniform and needs no rejection.
    """
    n, width = tokens.shape
    n_letters = len(LETTERS)
    used = np.arange(width - 1) < (lengths - 1)[:, None]
    source = np.where(used, tokens[:, :-1], n_letters)
    pairs = source.astype(np.int64) * n_letters + tokens[:, 1:]
    steps = np.stack([(pairs == pair).sum(axis=1) for pair in range(n_letters**2)], axis=1)
    steps = steps.reshape(n, n_letters, n_letters)
    ends = np.take_along_axis(tokens, np.maximum(lengths - 1, 0)[:, None], axis=1)[:, 0]
    last = _random_trees(steps, ends, rng)
    # The last step out of each base sorts after the other steps out of that base.
    keys = source + rng.random((n, width - 1))
    for base in range(n_letters):
        chosen = (source == base) & (tokens[:, 1:] == last[:, base, None])
        chosen &= (ends != base)[:, None]
        first = np.argmax(chosen, axis=1)
        rows = np.nonzero(chosen.any(axis=1))[0]
        keys[rows, first[rows]] = base + 1 - 1e-12
    edges = np.take_along_axis(tokens[:, 1:], np.argsort(keys, axis=1), axis=1)
    return edges, steps.sum(axis=2)


def _random_trees(
    steps: npt.NDArray[np.int64], ends: Tokens, rng: np.random.Generator
) -> npt.NDArray[np.int64]:
    """For each row the last step out of each base, ``(N, 5)``, so that all lead to the last base.

    Args:
        steps: ``(N, 5, 5)``, number of times that each base is followed by each.
        ends: ``(N,)``, last base of each row; the entry of this base in the result is undefined.
        rng: Source of randomness.
    """
    n_letters = steps.shape[1]
    rows = np.arange(len(steps))
    # A base without steps, like the last base itself, counts as one that leads to the last base.
    idle = steps.sum(axis=2) == 0
    idle[rows, ends] = True
    to_end = np.eye(n_letters, dtype=np.int64)[ends][:, None, :]
    weight = np.where(idle[:, :, None], to_end, steps)
    trees = np.stack(np.meshgrid(*[np.arange(n_letters)] * n_letters, indexing="ij"), axis=-1)
    trees = trees.reshape(-1, n_letters)
    sampled = np.empty((len(steps), n_letters), dtype=np.int64)
    for end in np.unique(ends):
        leads = np.broadcast_to(np.arange(n_letters), trees.shape)
        through = trees.copy()
        through[:, end] = end
        for _ in range(n_letters):
            leads = np.take_along_axis(through, leads, axis=1)
        usable = trees[(leads == end).all(axis=1) & (trees[:, end] == end)]
        selected = rows[ends == end]
        for chunk in np.array_split(selected, len(selected) // 4096 + 1):
            odds = np.ones((len(chunk), len(usable)))
            for base in range(n_letters):
                odds *= weight[chunk, base][:, usable[:, base]]
            total = np.cumsum(odds, axis=1)
            pick = (total <= rng.random(len(chunk))[:, None] * total[:, -1:]).sum(axis=1)
            sampled[chunk] = usable[pick]
    return sampled
