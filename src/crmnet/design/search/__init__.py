"""Search methods behind one interface: each improves all chains of a problem, step by step.

:data:`METHODS` maps names to :class:`Method` objects, one file per kind. A method keeps its state
in arrays, which :mod:`crmnet.design.run` saves; with the same state and random numbers it takes the
same step. ``tokens`` ``(C, P, W)`` and ``fitness`` ``(C, P)`` of the state are P present designs
of each chain, the best first.
"""

from __future__ import annotations

from crmnet.choices import SearchMethod
from crmnet.design.search.annealing import Annealing
from crmnet.design.search.genetic import Genetic
from crmnet.design.search.gradient import Gradient
from crmnet.design.search.method import Arrays, Method
from crmnet.design.search.substitution import Substitution

METHODS: dict[SearchMethod, Method] = {
    "greedy": Substitution(width=1, steps=30),
    "beam": Substitution(width=4, steps=30),
    "genetic": Genetic(),
    "annealing": Annealing(),
    "gradient": Gradient(),
}
"""Name → method with its default settings."""

__all__ = ["METHODS", "Annealing", "Arrays", "Genetic", "Gradient", "Method", "Substitution"]
