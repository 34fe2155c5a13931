"""Yeast promoter expression: data, CRMnet, training, prediction and explanation.

The most-used names can be imported from the package itself:

    from crmnet import Dataset, Predictor, attribute, evaluate, simulate, train

    predictor = Predictor.load("yeast")
    predictor.predict(["TTACCCGGGTCAAGTACGT" * 4 + "ACGT"], medium="complex")

Each name loads its module when it is first used, so ``import crmnet`` itself is fast. All other
functions are imported from their modules. ``docs/python.md`` has examples.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from crmnet.data.dataset import Dataset
    from crmnet.design.evolve import evolve
    from crmnet.design.mutate import mutate
    from crmnet.design.promoters import design_promoters
    from crmnet.evaluation.evaluate import evaluate
    from crmnet.interpretation.attribute import attribute
    from crmnet.prediction.predictor import Predictor
    from crmnet.simulation.assay import simulate
    from crmnet.training.train import train

    __version__: str

__all__ = [
    "Dataset",
    "Predictor",
    "__version__",
    "attribute",
    "design_promoters",
    "evaluate",
    "evolve",
    "mutate",
    "simulate",
    "train",
]

_MODULES = {
    "Dataset": "crmnet.data.dataset",
    "Predictor": "crmnet.prediction.predictor",
    "attribute": "crmnet.interpretation.attribute",
    "design_promoters": "crmnet.design.promoters",
    "evaluate": "crmnet.evaluation.evaluate",
    "mutate": "crmnet.design.mutate",
    "evolve": "crmnet.design.evolve",
    "simulate": "crmnet.simulation.assay",
    "train": "crmnet.training.train",
}
"""Public name → the module that defines it."""


def __getattr__(name: str) -> Any:
    if name == "__version__":
        value = import_module("importlib.metadata").version("crmnet")
    elif name in _MODULES:
        value = getattr(import_module(_MODULES[name]), name)
    else:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = value  # later uses do not call this function
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
