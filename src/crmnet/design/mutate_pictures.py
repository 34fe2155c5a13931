"""Collects what ``crmnet mutate`` draws while it writes its table, and saves it at the end."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from crmnet.design.epistasis import Epistasis
from crmnet.design.mutate import Mutations, joined
from crmnet.design.mutate_file import FileBlock
from crmnet.design.oracle import Constructs
from crmnet.files import PathLike, write_atomically

MOST_PANELS = 12
"""Panels of a figure; each shows one sequence in one medium."""


class Pictures:
    """Keeps the first sequences for a figure, and the epistasis of all for matrices.

    Args:
        plot: Figure to save; None draws nothing.
        matrix: File of epistasis matrices to save; None saves none.
        media: Names of the media.
        deletions: Whether the variants are deletions; else they are substitutions or pairs.
    """

    def __init__(
        self,
        plot: PathLike | None,
        matrix: PathLike | None,
        media: Sequence[str],
        *,
        deletions: bool = False,
    ) -> None:
        self.plot, self.matrix, self.media = plot, matrix, list(media)
        self.deletions = deletions
        self.shown = max(1, MOST_PANELS // len(media))
        self.seen = 0
        """Number of sequences so far."""
        self.parts: list[tuple[Constructs, list[Mutations]]] = []
        self.pairs: list[Epistasis] = []
        self.matrices: dict[str, Any] = {}
        self._last: Constructs | None = None
        self._current: tuple[Constructs, list[Mutations]] | None = None

    def add(self, block: FileBlock) -> None:
        """Keep what is needed of the variants of some sequences."""
        if isinstance(block.found, Epistasis):
            self._add_pairs(block.found)
            return
        if block.constructs is not self._last:
            self._last, self._current = block.constructs, None
            if self.plot is not None and self.seen < self.shown:
                self._current = (block.constructs.take(slice(0, self.shown - self.seen)), [])
                self.parts.append(self._current)
            self.seen += len(block.constructs.ids)
        if self._current is not None:
            constructs, blocks = self._current
            if (block.found.row < len(constructs.ids)).any():
                blocks.append(block.found)

    def _add_pairs(self, found: Epistasis) -> None:
        self.seen += 1
        if self.plot is not None and len(self.pairs) < self.shown:
            self.pairs.append(found)
        if self.matrix is not None:
            self.matrices.setdefault("ids", []).append(found.singles.ids[0])
            self.matrices[f"variants_{self.seen}"] = found.singles.variants
            self.matrices[f"epistasis_{self.seen}"] = np.stack(
                [found.matrix(medium) for medium in self.media]
            )

    def save(self) -> list[str]:
        """Save figure and matrices; returns what to report."""
        if self.matrix is not None:
            write_atomically(self.matrix, self._write_matrices)
        if self.plot is None:
            return []
        self._draw(self.plot)
        if self.seen <= self.shown:
            return []
        return [f"{self.plot} shows the first {self.shown} of {self.seen:,} sequences"]

    def _write_matrices(self, path: Path) -> None:
        arrays: dict[str, Any] = {name: np.asarray(v) for name, v in self.matrices.items()}
        with path.open("wb") as file:
            np.savez_compressed(file, media=np.array(self.media), **arrays)

    def _draw(self, path: PathLike) -> None:
        from crmnet.design.mutate_figures import (
            save_deletion_tracks,
            save_epistasis_maps,
            save_substitution_maps,
        )

        if self.pairs:
            save_epistasis_maps(path, self.pairs)
            return
        parts = [(constructs, joined(blocks)) for constructs, blocks in self.parts if blocks]
        if not parts:
            raise ValueError("there is nothing to draw: no sequence has a base that can be changed")
        (save_deletion_tracks if self.deletions else save_substitution_maps)(path, parts)
