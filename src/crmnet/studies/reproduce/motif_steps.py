"""Figure 5 (motifs, their saliency and their promoters' expression) and Supplementary Figure 2."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np

from crmnet.data.dataset import Dataset
from crmnet.data.sequences import Promoters, read_promoters
from crmnet.data.splits import families
from crmnet.interpretation.attribute import AttributeOptions
from crmnet.interpretation.discovery import discover_motifs
from crmnet.interpretation.explain import explain
from crmnet.interpretation.figure5 import FACTORS, BarValues, figure5, top_motifs
from crmnet.interpretation.logos import LogoOptions
from crmnet.motifs.discover import DiscoverOptions
from crmnet.reports.tables import TableWriter
from crmnet.reports.wording import with_interval
from crmnet.sequence import decode
from crmnet.studies.reproduce.place import Place
from crmnet.studies.reproduce.results import NotRun, Number, Picture, StepResult

NATIVE = "native-complex"
MEDIUM = "complex"
TABLE = "promoters.tsv"
PER_PAGE = 6


def _promoter_table(place: Place) -> Path:
    """The native promoters in complex medium as a table, with measured expression."""
    path = place.results("figure5") / TABLE
    if not path.is_file():
        data: Dataset = place.dataset(NATIVE)
        names = ("id", "sequence", "expression")
        with TableWriter(path, names) as table:
            table.write(
                {
                    "id": [f"row {row + 1}" for row in range(len(data))],
                    "sequence": decode(np.asarray(data.tokens[:])),
                    "expression": np.asarray(data.labels[:], dtype=np.float32),
                }
            )
    return path


def _promoters(place: Place, n: int) -> Promoters:
    """At most ``n`` of the promoters, evenly spaced, with all their measurements."""
    promoters = read_promoters(_promoter_table(place))
    total = len(promoters.ids)
    return promoters.take(np.unique(np.linspace(0, total - 1, min(n, total)).round().astype(int)))


def draw_figure5(place: Place) -> StepResult:
    """Discover motifs as the paper does, and draw Figure 5 for those that have a known name."""
    p = place.profile
    folder = place.results("figure5")
    n, lines, missing = _discover(place, folder)
    motifs = top_motifs(None if missing else folder / "motifs.meme")
    predictor = place.predictor(p.explained)
    promoters = _promoters(place, p.figure5)
    try:
        rows = figure5(predictor, promoters, folder, media=(MEDIUM, None), motifs=motifs)
    except ValueError as error:  # none of the motifs has a site in these promoters
        raise NotRun(f"{error}.") from None
    names = [motif.known.name if motif.known else motif.motif.name for motif in motifs]
    pictures = [
        Picture(
            place.relative(folder / "figure5.png"),
            "Figure 5. A–E: for each motif, the promoter with its most salient site. F: mean "
            "saliency at the sites, against all positions. G: mean expression of promoters with a "
            "site, against all.", _bar_columns(rows),
        )
    ]  # fmt: skip
    if (folder / "motifs.png").is_file() and not missing:
        pictures.append(
            Picture(place.relative(folder / "motifs.png"), "All motifs that were discovered.",
                    {"motif": lines[1:]})
        )  # fmt: skip
    return StepResult(
        sentences=[
            f"Motifs are searched in the {n:,} highest against the {n:,} lowest of "
            f"{len(place.dataset(NATIVE)):,} native promoters (the paper: 2,000 against 2,000 of "
            f"61,150, by MEME). The figure shows {', '.join(names)}; the paper's five are "
            f"{', '.join(FACTORS)}. {_shared(names)}",
            f"Saliency is that of the model {p.explained}, as the paper draws it.",
        ],
        numbers=_ratios(rows),
        pictures=pictures,
        missing=missing,
    )


def _discover(place: Place, folder: Path) -> tuple[int, list[str], dict[str, str]]:
    """Number of promoters in each group, table of motifs as lines, and why there is none."""
    table = _promoter_table(place)
    related = np.unique(families(place.dataset(NATIVE), "homology")).size
    n = min(place.profile.discovery, related // 3)
    try:
        lines = discover_motifs(table, folder, DiscoverOptions(n=max(n, 1)))
    except ValueError as error:  # too few promoters for a comparison
        lines = [str(error)]
    if len(lines) > 1:
        return n, lines, {}
    return n, [], {"Figure 5 with discovered motifs": f"{lines[0]}; it shows the paper's five"}


def _shared(names: list[str]) -> str:
    both = [name for name in FACTORS if name in {n.upper() for n in names}]
    return f"In both: {', '.join(both)}." if both else "No factor is in both."


def _ratios(rows: list[BarValues]) -> list[Number]:
    """Panels F and G as numbers; those of the paper are not known here."""
    numbers = []
    for row in rows:
        for what, (value, low, high) in (
            ("saliency at sites", row.saliency), ("mean expression", row.expression),
        ):  # fmt: skip
            name = f"{what}, {row.name}".replace(
                "saliency at sites, all", "saliency at all positions"
            )
            estimate = {"value": value, "low": low, "high": high}
            numbers.append(Number.of(name, estimate, n=row.promoters))
    return numbers


def _bar_columns(rows: list[BarValues]) -> dict[str, list[Any]]:
    def cell(interval: tuple[float, float, float]) -> str:
        return with_interval(dict(zip(("value", "low", "high"), interval, strict=True)), 3)

    return {
        "motif": [row.name for row in rows],
        "promoters": [f"{row.promoters:,}" for row in rows],
        "saliency": [cell(row.saliency) for row in rows],
        "saliency of random sites": [
            "" if math.isnan(row.random_saliency) else f"{row.random_saliency:.3f}" for row in rows
        ],
        "expression": [cell(row.expression) for row in rows],
    }


def draw_logos(place: Place) -> StepResult:
    """Saliency logos of more native promoters (Supplementary Figure 2)."""
    p = place.profile
    folder = place.results("supplementary-figure2")
    promoters = _promoters(place, p.logos)
    explain(
        place.predictor(p.explained), promoters, folder, media=(MEDIUM, None),
        options=AttributeOptions("masked"),
        drawing=LogoOptions("png", PER_PAGE, p.logos, False),
    )  # fmt: skip
    pages = sorted(folder.glob("logos-*.png"), key=lambda path: int(path.stem.split("-")[1]))
    pictures = [
        Picture(
            place.relative(page),
            f"Saliency of native promoters, page {number} of {len(pages)}: letters show which "
            "bases the prediction depends on, marks below them are sites of known factors.",
        )
        for number, page in enumerate(pages, 1)
    ]
    sentence = (
        f"{len(promoters.ids)} native promoters, evenly spaced in the test set. Saliency is that "
        f"of the model {p.explained}. The folder results/supplementary-figure2 holds each value "
        "(attributions.tsv) and each site (sites.tsv)."
    )
    return StepResult(sentences=[sentence], pictures=pictures)


def figure5_commands(place: Place) -> list[str]:
    """Figure 5 as commands."""
    p = place.profile
    model = place.model_path(p.explained)
    table = f"results/figure5/{TABLE}"
    return [
        f"crmnet motifs discover {table} -n {p.discovery} -o results/figure5",
        f"crmnet explain {model} {table} --figure5 --motifs results/figure5/motifs.meme --medium "
        f"{MEDIUM} -o results/figure5-explained",
    ]


def logo_commands(place: Place) -> list[str]:
    """Supplementary Figure 2 as a command."""
    p = place.profile
    return [
        f"crmnet explain {place.model_path(p.explained)} results/figure5/{TABLE} --method masked "
        f"--medium {MEDIUM} --first {p.logos} --draw {p.logos} -o results/supplementary-figure2"
    ]
