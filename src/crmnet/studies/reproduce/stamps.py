"""Stamps of finished steps: result, settings, and fingerprints of what a step has read.

A stamp is a JSON file that appears in one piece when its step ends. A step is done if its stamp has
the same settings, the same data and the same results of the steps that it needs; otherwise it runs
again. :mod:`crmnet.studies.reproduce.runner` uses this.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from crmnet.files import PathLike, write_text_atomically
from crmnet.studies.reproduce.results import StepResult


@dataclass(frozen=True)
class Stamp:
    """What is known of a finished step."""

    step: str
    inputs: Mapping[str, str]
    """Name → fingerprint: of settings, data sets and needed steps."""
    result: StepResult
    seconds: float
    about: Mapping[str, Any]
    """Machine, versions and data with which it ran."""

    @property
    def identity(self) -> str:
        """Equal for equal results from equal inputs."""
        return digest([dict(self.inputs), self.result.as_json()])

    def save(self, path: PathLike) -> None:
        """Write the stamp."""
        content = {
            "step": self.step,
            "inputs": dict(self.inputs),
            "seconds": round(self.seconds, 1),
            "about": dict(self.about),
            "result": self.result.as_json(),
        }
        write_text_atomically(path, json.dumps(content, indent=1) + "\n")

    @classmethod
    def load(cls, path: PathLike) -> Stamp | None:
        """The stamp in a file; None if there is none, or it is damaged."""
        try:
            content = json.loads(Path(path).read_text(encoding="utf-8"))
            result = StepResult.from_json(content["result"])
            return cls(
                content["step"], content["inputs"], result, content["seconds"], content["about"]
            )
        except FileNotFoundError:
            return None
        except (ValueError, KeyError, TypeError):
            return None


def digest(value: Any) -> str:
    """Short SHA-256 of a value that JSON can hold."""
    text = json.dumps(value, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]
