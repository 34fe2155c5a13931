"""Save figures in one step."""

from __future__ import annotations

from pathlib import Path

from matplotlib.figure import Figure

from crmnet.files import PathLike, write_atomically


def save_figure(figure: Figure, path: PathLike) -> None:
    """Save in the format of the suffix, in one step."""
    path = Path(path)
    kind = path.suffix.removeprefix(".")
    write_atomically(path, lambda p: figure.savefig(p, format=kind, bbox_inches="tight"))
