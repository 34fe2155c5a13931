"""Motif discovery from a table to files: every search there is data for, names, tables, logos.

Joins :mod:`crmnet.motifs` and :mod:`crmnet.figures`; what ``crmnet motifs discover`` runs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import matplotlib
import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure

from crmnet import sequence
from crmnet.figures.logo import motif_logo
from crmnet.figures.style import CERTAIN, STYLE, UNCERTAIN
from crmnet.files import write_text_atomically
from crmnet.interpretation.attribute import INSERT
from crmnet.interpretation.explain import NAMED, Promoters, read_promoters
from crmnet.motifs import programs
from crmnet.motifs.contrast import relatives
from crmnet.motifs.discover import DiscoveredMotif, DiscoverOptions, differential, ends, ranked
from crmnet.motifs.formats import as_meme
from crmnet.motifs.jaspar import yeast_motifs
from crmnet.motifs.match import match
from crmnet.motifs.pwm import Motif
from crmnet.motifs.seqlets import attributed_motifs
from crmnet.reports.figures import save_figure
from crmnet.reports.tables import TableWriter

CONFIRMED = 1e-3
"""Match p-value at which two searches have found the same motif."""


@dataclass(frozen=True)
class Sources:
    """What a discovery looks at besides the table, and what it looks with."""

    attributions: Path | None = None
    """``attributions.npz`` of ``crmnet explain``."""
    database: Sequence[Motif] | None = None
    """Motifs to name by; JASPAR's yeast factors by default."""
    engine: str = "own"
    """Who searches, one of :data:`crmnet.motifs.programs.ENGINES`; ``own`` is this package."""

    def __post_init__(self) -> None:
        if self.engine not in programs.ENGINES:
            known = ", ".join(programs.ENGINES)
            raise ValueError(f"engine must be one of {known}; got {self.engine!r}")
        if self.engine == "modisco" and self.attributions is None:
            raise ValueError(
                "TF-MoDISco works on attributions; give --attributions, which crmnet explain writes"
            )


class Name(NamedTuple):
    """The database's best match for a motif."""

    target: Motif
    p: float
    q: float

    @property
    def text(self) -> str:
        """The name for a person, with its p; a question mark behind a guess."""
        return f"{self.target.name}{'' if self.p < NAMED else '?'} (p {self.p:.0e})"


def discover_motifs(
    file: Path,
    folder: Path,
    options: DiscoverOptions,
    sources: Sources = Sources(),
    *,
    flanks: sequence.Flanks = "auto",
) -> list[str]:
    """Search a table of sequences and expression in every way there is data for, and name.

    Leaves ``motifs.meme``, ``motifs.tsv`` and ``motifs.png`` in ``folder``, and what another
    program wrote in a folder of its name; a motif of the first search is confirmed where one of the
    ranked search resembles it (match p < CONFIRMED).

    Returns:
        The table as lines for a person.

    Raises:
        ValueError: If the file has no expression column, or too few sequences for ``options.n``.
        FileNotFoundError: If the engine is not on the PATH.
    """
    program = None if sources.engine == "own" else programs.installed(sources.engine)
    promoters = read_promoters(file, flanks=flanks)
    if promoters.expression is None:
        raise ValueError(f"{file} has no expression column; motifs need one to be discovered")
    folder.mkdir(parents=True, exist_ok=True)
    found, confirmed = _searched(promoters, folder, options, sources, program)
    motifs = [f.motif for f in found]
    targets = list(yeast_motifs() if sources.database is None else sources.database)
    suite = program in ("streme", "meme") and programs.present("tomtom")
    names = named(motifs, targets, folder / "tomtom" if suite else None)
    write_text_atomically(folder / "motifs.meme", as_meme(motifs))
    _write_table(folder / "motifs.tsv", found, names, confirmed)
    if found:
        with matplotlib.rc_context(STYLE):
            save_figure(motif_page(found, names), folder / "motifs.png")
    return [
        f"{m.id:4} {f.enriched:5} {m.consensus:18} q {f.q:.1e}  {f.share:6.1%} / "
        f"{f.share_other:6.1%}  {name.text}{'  confirmed' if m.id in confirmed else ''}"
        for m, f, name in zip(motifs, found, names, strict=True)
    ] or ["no motif is more frequent at either end than chance allows"]


def _searched(
    promoters: Promoters,
    folder: Path,
    options: DiscoverOptions,
    sources: Sources,
    program: str | None,
) -> tuple[list[DiscoveredMotif], set[str]]:
    """The motifs of all searches, and the ids of those that two of them found."""
    assert promoters.expression is not None
    inserts = promoters.tokens[:, INSERT]
    family = relatives(inserts)
    if program in ("streme", "meme"):
        rows, top = ends(inserts, promoters.expression, family, options)
        found = programs.program_motifs(inserts[rows], top, program, folder / program, options)
    else:
        found = differential(inserts, promoters.expression, family, options)
    by_rank = ranked(inserts, promoters.expression, family, options)
    confirmed = confirmations(found, by_rank)
    found += by_rank
    if sources.attributions is not None:
        attributed = read_attributions(sources.attributions)
        if program == "modisco":
            found += programs.modisco_motifs(attributed, INSERT, folder / "modisco", options)
        else:
            found += attributed_motifs(
                attributed.tokens[:, INSERT], attributed.values[:, INSERT], options
            )
    return found, confirmed


def named(motifs: Sequence[Motif], targets: Sequence[Motif], tomtom: Path | None) -> list[Name]:
    """The best match of each motif; TOMTOM's, where it has a folder to work in.

    A motif of which TOMTOM says nothing gets the match of :mod:`crmnet.motifs.match`.
    """
    if not motifs:
        return []
    matches = match(motifs, targets)
    names = [
        Name(targets[best], float(p[best]), float(q[best]))
        for best, p, q in zip(matches.best().tolist(), matches.p, matches.q, strict=True)
    ]
    if tomtom is None:
        return names
    by_id = {target.id: target for target in targets}
    said = {
        query: Name(by_id[target], p, q)
        for query, (target, p, q) in programs.tomtom_names(motifs, targets, tomtom).items()
    }
    return [said.get(motif.id, name) for motif, name in zip(motifs, names, strict=True)]


def _write_table(
    path: Path, found: Sequence[DiscoveredMotif], names: Sequence[Name], confirmed: set[str]
) -> None:
    table: dict[str, list[Any]] = {
        "motif": [f.motif.id for f in found],
        "consensus": [f.motif.consensus for f in found],
        "enriched": [f.enriched for f in found],
        "p": [f.p for f in found],
        "e": [f.e for f in found],
        "q": [f.q for f in found],
        "share": [f.share for f in found],
        "share_other": [f.share_other for f in found],
        "name": [name.target.name for name in names],
        "target": [name.target.id for name in names],
        "match_p": [name.p for name in names],
        "match_q": [name.q for name in names],
        "confirmed": ["yes" if f.motif.id in confirmed else "" for f in found],
    }
    with TableWriter(path, list(table)) as writer:
        writer.write(table)


def confirmations(found: Sequence[DiscoveredMotif], by_rank: Sequence[DiscoveredMotif]) -> set[str]:
    """Ids of the motifs that a motif of the other search resembles, in the same direction.

    The database stands in the comparison as well, so that it is measured against all yeast motifs.
    """
    confirmed: set[str] = set()
    for direction in ("high", "low"):
        mine = [f.motif for f in found if f.enriched == direction]
        theirs = [f.motif for f in by_rank if f.enriched == direction]
        if mine and theirs:
            p = match(mine, [*theirs, *yeast_motifs()]).p[:, : len(theirs)]
            confirmed |= {m.id for m, best in zip(mine, p.min(axis=1), strict=True)
                          if best < CONFIRMED}  # fmt: skip
    return confirmed


def read_attributions(path: Path) -> programs.AttributedConstructs:
    """Constructs and their attributions, of an ``attributions.npz``.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it holds something else.
    """
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file; crmnet explain writes attributions.npz")
    with np.load(path, allow_pickle=False) as arrays:
        if not {"values", "tokens"} <= set(arrays.files):
            raise ValueError(f"{path} holds no attributions; crmnet explain writes them")
        every: npt.NDArray[np.float32] | None = None
        if "hypothetical" in arrays.files:
            every = arrays["hypothetical"]
        return programs.AttributedConstructs(arrays["tokens"], arrays["values"].sum(axis=1), every)


def motif_page(found: Sequence[DiscoveredMotif], names: Sequence[Name]) -> Figure:
    """Logos of motifs, three in a row; names that are guesses in grey."""
    lines = -(-len(found) // 3)
    figure = Figure(figsize=(10, 1.25 * lines), layout="constrained")
    axes = figure.subplots(lines, 3, squeeze=False).ravel()
    for ax, f, name in zip(axes, found, names, strict=False):
        motif_logo(ax, f.motif.counts)
        ax.set_title(f"{f.motif.id}  {name.text}   {f.enriched}, q {f.q:.0e}", fontsize=8,
                     color=CERTAIN if name.p < NAMED else UNCERTAIN)  # fmt: skip
    for ax in axes[len(found) :]:
        ax.axis("off")
    return figure
