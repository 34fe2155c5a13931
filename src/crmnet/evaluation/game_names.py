"""Names of the Genomic API for Model Evaluation (GAME) for the media of the assay.

:mod:`crmnet.evaluation.game` sends them as an Evaluator, :mod:`crmnet.serve.game` reads them as a
Predictor.
"""

from __future__ import annotations

VERSION = "1.0"
"""Version of the schema."""
SPECIES = "saccharomyces_cerevisiae"
MEDIA = {
    "complex": ("S288C_YPD", "ypd", "complex"),
    "defined": ("S288C_SC-Ura", "sc-ura", "sc_ura", "sc", "defined"),
    "dream": ("S288C_Chardonnay", "chardonnay", "wine must", "grape must", "dream"),
}
"""Medium → name as a cell type, and other names that are read, in lower case."""
PREFIXES = ("s288c_", "yeast_")
"""What may precede such a name."""


def cell_type(medium: str) -> str:
    """Name of a medium as a cell type."""
    return MEDIA.get(medium, (medium,))[0]


def medium_of(name: str, media: list[str]) -> str | None:
    """The medium that a cell type means; None if it means none of ``media``."""
    text = name.lower()
    for prefix in PREFIXES:
        text = text.removeprefix(prefix)
    for medium in media:
        if text in MEDIA.get(medium, (medium.lower(),)) or text == medium.lower():
            return medium
    return None
