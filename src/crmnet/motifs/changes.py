"""Sites that a variant creates or destroys: names of motifs, for many variants at once.

:class:`SiteChanges` takes the reference and the variant of each row, and where they differ. A site
counts if it covers a changed base. What a site is, is defined as in :mod:`crmnet.motifs.scan`; only
the windows that cover a changed base are scored, by compiled code.
:mod:`crmnet.design.mutate` names the sites of its tables in this way.

The differing places are *marks*: ``2 i`` is base i, and ``2 i - 1`` is the junction between base
i - 1 and base i, at which bases were inserted or deleted. A window covers a junction if it has
bases on both sides of it.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from crmnet.arrays import Booleans, Integers
from crmnet.compiled import compiled
from crmnet.motifs.pwm import Matrix, Motif
from crmnet.motifs.scan import Scanner, ScanOptions
from crmnet.sequence import LETTERS, N_TOKEN, as_tokens

_NO_SITE = -(10**6)
"""Score of an N, so low that no window with an N is a site."""
DEFAULTS = ScanOptions()
_NEVER = 10**8
"""Threshold of a motif that has no site at all."""


class SiteChanges:
    """Compares the sites of references and variants.

    Args:
        motifs: Motifs to search for. Motifs of one name count as one.
        options: Definition of a site.
    """

    def __init__(self, motifs: Sequence[Motif], options: ScanOptions = DEFAULTS) -> None:
        scanner = Scanner(motifs, options)
        strands = 2 if options.both_strands else 1
        reachable = np.where(np.isfinite(scanner.thresholds), scanner.thresholds, _NEVER)
        names, name_of = np.unique([motif.name for motif in motifs], return_inverse=True)
        self.names = names
        self.widths, self.thresholds, self.name_of = (
            np.repeat(column.astype(np.int32), strands)
            for column in (scanner.widths, reachable, name_of)
        )
        self.kernels = _columns(scanner.kernels, strands)

    def found(self, tokens: npt.ArrayLike, marks: npt.ArrayLike) -> Booleans:
        """Which names have a site that covers a mark: ``(V, names)``.

        Args:
            tokens: ``(V, L)``.
            marks: ``(V, K, 2)``, first and last mark of each changed place; a place whose last mark
                lies before its first does not exist.
        """
        tokens, marks = as_tokens(tokens), np.asarray(marks, dtype=np.int64)
        found = np.zeros((len(tokens), len(self.names)), dtype=np.bool_)
        scoring = (self.kernels, self.widths, self.thresholds, self.name_of)
        _find(np.ascontiguousarray(tokens), marks, *scoring, found)
        return found

    def text(self, found: Booleans) -> list[str]:
        """The names of each row ``(V, names)``, joined by ``;``."""
        texts = [""] * len(found)
        row, name = np.nonzero(found)
        for number, own in zip(row.tolist(), self.names[name].tolist(), strict=True):
            texts[number] += f";{own}" if texts[number] else own
        return texts


def _columns(matrices: Sequence[Matrix], strands: int) -> npt.NDArray[np.int32]:
    """Scores ``(W, 5, F strands)`` of each base at each offset; 0 beyond the width of a motif."""
    widest = max(matrix.shape[1] for matrix in matrices)
    columns = np.zeros((widest, len(LETTERS), len(matrices), strands), dtype=np.int32)
    for number, matrix in enumerate(matrices):
        width = matrix.shape[1]
        columns[:width, N_TOKEN, number] = _NO_SITE
        columns[:width, :N_TOKEN, number, 0] = matrix.T
        if strands > 1:
            columns[:width, :N_TOKEN, number, 1] = matrix[::-1, ::-1].T
    return columns.reshape(widest, len(LETTERS), -1)


@compiled
def _find(
    tokens: npt.NDArray[np.uint8],
    marks: Integers,
    kernels: npt.NDArray[np.int32],
    widths: npt.NDArray[np.int32],
    thresholds: npt.NDArray[np.int32],
    name_of: npt.NDArray[np.int32],
    found: Booleans,
) -> None:
    """Set ``found`` ``(V, names)`` where a motif has a site that covers a mark of the row."""
    rows, length = tokens.shape
    places, widest, columns = marks.shape[1], kernels.shape[0], kernels.shape[2]
    scores = np.zeros(columns, dtype=np.int32)
    for row in range(rows):
        first, last = 2 * length, -1
        for k in range(places):
            if marks[row, k, 1] >= marks[row, k, 0]:
                first, last = min(first, marks[row, k, 0]), max(last, marks[row, k, 1])
        for start in range(max(0, first // 2 - widest), min(last // 2 + 1, length)):
            nearest = 2 * length  # first mark at or after the start
            for k in range(places):
                if marks[row, k, 1] >= max(marks[row, k, 0], 2 * start):
                    nearest = min(nearest, max(marks[row, k, 0], 2 * start))
            if nearest > 2 * (start + widest - 1):
                continue
            scores[:] = -thresholds
            for i in range(widest):
                token = tokens[row, start + i] if start + i < length else 4
                scores += kernels[i, token]
            if scores.max() < 0:
                continue
            for f in range(columns):
                if scores[f] >= 0 and nearest <= 2 * (start + widths[f] - 1):
                    found[row, name_of[f]] = True
