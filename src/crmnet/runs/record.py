"""``run.json``, the record of a run: settings, media, units, data, versions and best epoch.

Besides the weights, this is all that is needed to build the network and use it.
:mod:`crmnet.runs.folder` reads and writes it.
"""

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


class BestEpoch(Frozen):
    """The epoch whose weights are kept, and its metrics on the validation rows."""

    epoch: int
    metrics: dict[str, float]


class RunRecord(Frozen):
    """What ``run.json`` holds: what was trained, how, on which data, and how far training got."""

    format: int = FORMAT
    settings: RunSettings
    media: list[str]
    """Names of the network's outputs, in order; ``complex+defined`` is one output for two media."""
    scale: dict[str, Scale]
    """Output → unit in which the network was trained."""
    data: dict[str, Any]
    """Training and validation data: names, fingerprints, units and numbers of rows, and the run to
    start from, if any; see :meth:`crmnet.training.rows.TrainData.summary`."""
    versions: dict[str, str]
    best: BestEpoch | None = None
    """None before the first epoch ends."""
    finished: bool = False

    @property
    def units(self) -> dict[str, str]:
        """Output → unit of its labels; outputs whose unit is unknown are left out."""
        known = self.data.get("units", {})
        units = {
            output: {known[medium] for medium in (output, *output.split("+")) if medium in known}
            for output in self.media
        }
        return {output: found.pop() for output, found in units.items() if len(found) == 1}


def versions() -> dict[str, str]:
    """Versions of Python, this package, and the libraries that numerical results depend on."""
    found = {"python": platform.python_version(), "platform": platform.platform()}
    for package in ("crmnet", "torch", "lightning", "numpy"):
        found[package] = importlib.metadata.version(package)
    return found
