"""A step of the study: what it reproduces, what it needs, and the function that does it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from crmnet.studies.reproduce.place import Place
from crmnet.studies.reproduce.profiles import OWN, Profile
from crmnet.studies.reproduce.results import StepResult


@dataclass(frozen=True)
class Step:
    """One step; :data:`crmnet.studies.reproduce.steps.STEPS` lists all."""

    name: str
    title: str
    items: tuple[str, ...]
    """Items of the paper (:data:`crmnet.studies.reproduce.paper.ITEMS`)."""
    run: Callable[[Place], StepResult]
    commands: Callable[[Place], list[str]]
    """The same as commands that one could type in the folder of the study."""
    settings: Callable[[Profile], Mapping[str, Any]] = field(default=lambda profile: {})
    """Settings of the profile on which the result depends."""
    needs: tuple[str, ...] = ()
    """Steps that must be done before."""
    explains: tuple[str, ...] = ()
    """Steps that must be done before if the profile explains the study's network."""
    reads: tuple[str, ...] = ()
    """Data sets whose rows the result depends on."""

    def needs_in(self, profile: Profile) -> tuple[str, ...]:
        """Steps that must be done before in a profile."""
        return (*self.needs, *(self.explains if profile.explained == OWN else ()))
