"""``run.json``: what was trained, on what, how, and how far it got."""

from __future__ import annotations

import importlib.metadata
import platform
from typing import Any

from crmnet.runs.settings import Frozen, RunSettings

FORMAT = 1


class Scale(Frozen):
    """Label = network output × sd + mean."""

    mean: float = 0.0
    sd: float = 1.0


class Best(Frozen):
    """The epoch whose weights are kept, and how it did on the validation rows."""

    epoch: int
    metrics: dict[str, float]


class RunRecord(Frozen):
    """``run.json``: what was trained, on what, how, and how far it got."""

    format: int = FORMAT
    settings: RunSettings
    media: list[str]
    """One for each output of the network, in order."""
    scale: dict[str, Scale]
    data: dict[str, Any]
    versions: dict[str, str]
    best: Best | None = None
    finished: bool = False

    @property
    def units(self) -> dict[str, str]:
        """Output → unit of its labels, where the training data said it."""
        said = self.data.get("units", {})
        units = {
            output: {said[medium] for medium in (output, *output.split("+")) if medium in said}
            for output in self.media
        }
        return {output: found.pop() for output, found in units.items() if len(found) == 1}


def versions() -> dict[str, str]:
    """What a run was made with: Python, this package, and the libraries that decide numbers."""
    found = {"python": platform.python_version(), "platform": platform.platform()}
    for package in ("crmnet", "torch", "lightning", "numpy"):
        found[package] = importlib.metadata.version(package)
    return found
