"""What a design reads: promoters to start from, and sequences to stay away from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from crmnet import sequence
from crmnet.arrays import Integers
from crmnet.data.dataset import is_dataset
from crmnet.data.opening import is_public_dataset, open_data
from crmnet.data.sequences import read_promoters
from crmnet.design.starts import Given, given_inserts
from crmnet.files import PathLike
from crmnet.sequence import Flanks, Iupac, Lengths, Preparation, Tokens


@dataclass(frozen=True)
class Reading:
    """How the sequences of a file are read."""

    flanks: Flanks = "auto"
    columns: Mapping[str, str] = field(default_factory=dict)
    iupac: Iupac = "error"
    length: int = sequence.LENGTH
    """Positions of the network's input."""


def read_starts(path: PathLike, reading: Reading) -> tuple[Given, Preparation]:
    """The promoters of a file, a data set folder or a fetched public data set.

    Those of a data set are distinct; the id of one is the number of its first row, from 1, and its
    positions count on the insert, because a data set does not record what was given around it.
    Without flanks they are complete rows of the data set.

    Raises:
        FileNotFoundError: If the file or data set does not exist.
        ValueError: If a sequence cannot be read or is too long; names file and line.
    """
    if is_dataset(path) or is_public_dataset(path):
        tokens, rows = _distinct(path)
        ids = [str(row + 1) for row in rows.tolist()]
        given = given_inserts(tokens, ids, whole=reading.flanks == "none")
        return replace(given, first=np.ones_like(given.first)), Preparation(total=len(tokens))
    promoters = read_promoters(
        path, flanks=reading.flanks, length=reading.length, columns=reading.columns,
        iupac=reading.iupac, measured=False,
    )  # fmt: skip
    given = given_inserts(
        promoters.tokens, promoters.ids, promoters.given, whole=reading.flanks == "none"
    )
    return given, promoters.preparation


def read_references(path: PathLike, reading: Reading) -> Tokens:
    """Distinct inserts ``(R, W)`` of a file of sequences, a data set folder or a public data set.

    A sequence that is longer than an insert is read in windows of 80 bases, one for each position.
    Without flanks the complete sequences take the place of the inserts, as in the designs, and the
    windows have the length of the network's input.

    Raises:
        FileNotFoundError: If the file or data set does not exist.
        ValueError: If a sequence cannot be read; names file and line.
    """
    if is_dataset(path) or is_public_dataset(path):
        tokens = _distinct(path)[0]
    else:
        tokens = read_promoters(
            path, flanks=reading.flanks, length=None, columns=reading.columns, iupac=reading.iupac,
            measured=False,
        ).tokens  # fmt: skip
    longest, window = sequence.insert_window(), sequence.INSERT
    if reading.flanks == "none":
        inserts, lengths = tokens, sequence.sequence_lengths(tokens)
        longest = window = reading.length
    else:
        inserts, lengths = sequence.inserts(tokens)
    is_long = lengths > longest
    parts = [inserts[~is_long, : min(longest, inserts.shape[1])]]
    parts += [_windows(insert[:size], window) for insert, size in zip(
        inserts[is_long], lengths[is_long].tolist(), strict=True)]  # fmt: skip
    width = max(part.shape[1] for part in parts)
    padded = [
        np.pad(part, ((0, 0), (0, width - part.shape[1])), constant_values=sequence.N_TOKEN)
        for part in parts
    ]
    return np.unique(np.concatenate(padded), axis=0)


def _windows(insert: Tokens, width: int) -> Tokens:
    """All windows ``(R, width)`` of a long insert."""
    return np.lib.stride_tricks.sliding_window_view(insert, width).copy()


def _distinct(path: PathLike) -> tuple[Tokens, Integers]:
    """Distinct sequences ``(B, L)`` of a data set in the order of their first rows, and these."""
    with open_data(path) as dataset:
        tokens = np.asarray(dataset.tokens[:])
    rows = np.sort(np.unique(tokens, axis=0, return_index=True)[1])
    return tokens[rows], rows


def one_origin(given: Given | None) -> int:
    """Number, on the sequences as given, of the first base of the inserts.

    Raises:
        ValueError: If it differs between the sequences.
    """
    first: Lengths = np.ones(1, dtype=np.int64) if given is None else np.unique(given.first)
    if len(first) > 1:
        raise ValueError(
            "--protect counts positions on the sequences as given, but some begin with an adapter "
            "and others with their insert; give all as inserts"
        )
    return int(first[0])
