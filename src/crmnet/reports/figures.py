"""Saves figures: every module that draws with :mod:`crmnet.figures` saves through this one."""

from __future__ import annotations

from pathlib import Path

from matplotlib.figure import Figure

from crmnet.files import PathLike, write_atomically


def save_figure(figure: Figure, path: PathLike) -> None:
    """Save a figure atomically, in the format that the suffix of ``path`` names."""
    path = Path(path)
    kind = path.suffix.removeprefix(".")
    write_atomically(path, lambda p: figure.savefig(p, format=kind, bbox_inches="tight"))
