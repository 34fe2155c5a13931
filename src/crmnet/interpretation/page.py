"""The page of ``explain``: ``report.html`` beside its tables and pictures."""

from __future__ import annotations

import csv
import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path

from crmnet.files import PathLike, outputs_in
from crmnet.reports.page import bullets, folded, paragraph, picture, table, write_page
from crmnet.reports.tables import first_rows

REPORT = "report.html"
SHOWN_ROWS = 200
"""Largest number of rows of a table on the page."""
STRONGEST = 5
"""Bases of each promoter that the table behind the logos shows."""
MAIN_COLUMNS = ("id", "name", "start", "end", "strand", "q", "effect", "contribution", "agreement",
                "beyond")  # fmt: skip
"""Columns of the marked sites on the page."""
MEANINGS = (
    "q: share of false sites among all that are at least as good; p: of one position",
    "effect: what the prediction loses if all bases of the site are replaced together by others; "
    "this also changes the share of G + C, on which expression depends as well",
    "contribution: sum of the attributions of the site's bases, as drawn above; it can be much "
    "larger than the effect, because one wrong base can destroy a site, so that each base counts "
    "the same loss",
    "agreement: 1 if the attributions have the pattern of the motif, 0 if they have none of it",
    "beyond: share of stretches of this width whose sum of attributions is closer to zero",
    "a name with ? is a guess: several factors have such motifs",
)
PICTURES = (
    ("figure5", "Figure 5 of the paper",
     "A–E: for each motif, the promoter with its most salient site. F: mean saliency at the sites, "
     "against all positions. G: mean expression of promoters with a site, against all."),
    ("planted", "Planted sites",
     "Effect of a planted site by its position and strand, over shuffled promoters."),
)  # fmt: skip
"""Name of a picture and of its table, heading, caption."""


def write_explanation_page(
    folder: PathLike, about: Sequence[str], made_by: str | None = None
) -> None:
    """Write ``report.html`` from the tables and pictures that ``explain`` has written.

    Args:
        folder: Their folder. Of PDF pictures the page shows the tables only.
        about: Sentences on model, medium, method and unit.
        made_by: The command.
    """
    folder = Path(folder)
    logos = outputs_in(folder, ["logos-#.png", "logos-#.svg"])
    logos.sort(key=lambda path: int(path.stem.partition("-")[2]))
    sites = first_rows(folder / "sites.tsv", SHOWN_ROWS)
    sections: dict[str, list[str]] = {
        "": [bullets(about)],
        "Logos": [
            picture(
                path,
                f"Page {number} of {len(logos)}. The height of a letter is the contribution of "
                "that base to the prediction; marks below are sites of known factors.",
                alt=f"Attribution logos, page {number}. The numbers are in attributions.tsv, the "
                "sites in the table below.",
            )
            for number, path in enumerate(logos, 1)
        ] + [_strongest_bases(folder)],
        "Sites of known factors": [
            paragraph("The sites that the logos mark. Positions count from 1 on the sequences as "
                      "given."),
            _drawn(sites),
            bullets(MEANINGS),
            folded(f"All sites (at most {SHOWN_ROWS} rows of sites.tsv)", [table(sites)]),
        ],
    }  # fmt: skip
    for name, heading, caption in PICTURES:
        if (folder / f"{name}.tsv").is_file():
            sections[heading] = _with_table(folder, name, caption)
    sections["Files"] = [
        bullets(
            ("attributions.npz, attributions.tsv, attributions.bedgraph: each base",
             "sites.tsv: each site, with its effect"))
    ]  # fmt: skip
    write_page(folder / REPORT, "Explanations", sections, made_by=made_by)


def _drawn(sites: Mapping[str, Sequence[str]]) -> str:
    """Table of the main columns of the sites that the logos mark."""
    rows = [row for row, drawn in enumerate(sites["drawn"]) if drawn == "1"]
    if not rows:
        return paragraph("No site stands out.")
    return table({name: [sites[name][row] for row in rows] for name in MAIN_COLUMNS})


def _strongest_bases(folder: Path) -> str:
    """Folded table of the bases with the largest attributions, the numbers behind the logos."""
    kept: list[list[str]] = []
    with (folder / "attributions.tsv").open(newline="", encoding="utf-8") as file:
        rows = csv.reader(file, delimiter="\t")
        names = next(rows)
        promoters = itertools.groupby(rows, lambda row: row[0])
        for _, group in itertools.islice(promoters, SHOWN_ROWS // STRONGEST):
            ranked = sorted(group, key=lambda row: -abs(float(row[-1])))
            kept += [[*row[:-1], f"{float(row[-1]):.3f}"] for row in ranked[:STRONGEST]]
        more = next(promoters, None) is not None
    columns = {name: [row[i] for row in kept] for i, name in enumerate(names)}
    which = f"of the first {SHOWN_ROWS // STRONGEST} promoters" if more else "of each promoter"
    return folded(f"The {STRONGEST} bases {which} that matter most", [table(columns)])


def _with_table(folder: Path, name: str, caption: str) -> list[str]:
    """The picture of this name and its table."""
    values = first_rows(folder / f"{name}.tsv", SHOWN_ROWS)
    for suffix in (".png", ".svg"):
        if (folder / f"{name}{suffix}").is_file():
            return [picture(folder / f"{name}{suffix}", caption, values=values)]
    return [paragraph(caption), table(values)]
