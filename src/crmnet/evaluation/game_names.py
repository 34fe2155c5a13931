"""Names of the Genomic API for Model Evaluation (GAME) for the media of the assay.

:mod:`crmnet.evaluation.game` sends them as an Evaluator, :mod:`crmnet.serve.game` reads them as a
Predictor.
"""

from __future__ import annotations

from crmnet.data.media import OTHER_NAMES

VERSION = "1.0"
"""Version of the schema."""
SPECIES = "saccharomyces_cerevisiae"
MEDIA = {"complex": "S288C_YPD", "defined": "S288C_SC-Ura", "dream": "S288C_Chardonnay"}
"""Medium → name as a cell type."""
PREFIXES = ("s288c_", "yeast_")
"""What may precede such a name."""


def cell_type(medium: str) -> str:
    """Name of a medium as a cell type."""
    return MEDIA.get(medium, medium)


def medium_of(name: str, media: list[str]) -> str | None:
    """The medium that a cell type means; None if it means none of ``media``."""
    text = name.lower()
    for prefix in PREFIXES:
        text = text.removeprefix(prefix)
    for medium in media:
        if text == medium.lower() or text in OTHER_NAMES.get(medium, ()):
            return medium
    return None
