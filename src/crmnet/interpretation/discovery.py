"""Motif discovery from a table of sequences and expression to named motifs, tables and logos.

``crmnet motifs discover`` calls :func:`discover_motifs` with a file. It runs all searches of
:mod:`crmnet.motifs` for which there are data, names the motifs and writes a folder.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import matplotlib
import numpy as np
from matplotlib.figure import Figure

from crmnet import sequence
from crmnet.choices import Digits
from crmnet.data.reading import display_name
from crmnet.data.sequences import Promoters, read_promoters
from crmnet.figures.logo import motif_logo
from crmnet.figures.style import CERTAIN, STYLE, UNCERTAIN, literal
from crmnet.files import PathLike, read_npz, write_text_atomically
from crmnet.interpretation.inserts import find_inserts
from crmnet.motifs import programs
from crmnet.motifs.contrast import find_families
from crmnet.motifs.discover import (
    DiscoveredMotif,
    DiscoverOptions,
    differential_motifs,
    extreme_sequences,
    ranked_motifs,
)
from crmnet.motifs.formats import as_meme
from crmnet.motifs.jaspar import yeast_motifs
from crmnet.motifs.match import call, is_certain, match
from crmnet.motifs.pwm import Motif
from crmnet.motifs.seqlets import attributed_motifs
from crmnet.reports.figures import save_figure
from crmnet.reports.tables import TableWriter, for_reading

MAX_CONFIRMING_P = 1e-3
"""Match p-value below which motifs of two searches count as the same motif."""
PROBABILITIES = ("p", "e", "q", "share", "share_other", "match_p", "match_q")
"""Columns of ``motifs.tsv`` that are rounded as probabilities."""


@dataclass(frozen=True)
class DiscoverySources:
    """Data besides the table, and the program that searches."""

    attributions: Path | None = None
    """``attributions.npz`` of ``crmnet explain``."""
    database: Sequence[Motif] | None = None
    """Motifs that give names; None means the yeast factors of JASPAR."""
    engine: str = "own"
    """One of :data:`crmnet.motifs.programs.ENGINES`; ``own`` is the search of this package."""

    def __post_init__(self) -> None:
        if self.attributions is not None:
            object.__setattr__(self, "attributions", Path(self.attributions))
        if self.engine not in programs.ENGINES:
            names = ", ".join(programs.ENGINES)
            raise ValueError(f"engine must be one of {names}; got {self.engine!r}")
        if self.engine == "modisco" and self.attributions is None:
            raise ValueError(
                "TF-MoDISco needs attributions; give --attributions with the attributions.npz of "
                "crmnet explain"
            )


class MotifName(NamedTuple):
    """Name of a motif, and its best match in the database."""

    name: str
    """From :func:`crmnet.motifs.match.call`; an uncertain name ends in a question mark."""
    target: Motif
    p: float
    q: float

    @property
    def text(self) -> str:
        """Name, and best match if that has another name, with the p-value of the match."""
        alike = "" if self.name.startswith(self.target.name) else f", like {self.target.name}"
        return f"{self.name}{alike} (p {self.p:.0e})"


def discover_motifs(
    file: PathLike,
    folder: PathLike,
    options: DiscoverOptions,
    sources: DiscoverySources = DiscoverySources(),
    *,
    flanks: sequence.Flanks = "auto",
    columns: Mapping[str, str] | None = None,
    iupac: sequence.Iupac = "error",
    digits: Digits = "rounded",
) -> list[str]:
    """Discover motifs in a table of sequences and expression, and name them.

    Runs every search for which there is data. Writes ``motifs.meme``, ``motifs.tsv`` and
    ``motifs.png`` to ``folder``, and the files of an external program to a subfolder with its name.
    A motif of the first search is confirmed if a motif of the ranked search matches it (match p <
    MAX_CONFIRMING_P). Rows without a measurement are left out, counted and named in the log.

    Args:
        file: FASTA, TSV, CSV or lines, with a column of expression.
        folder: Output folder.
        options: Settings of the searches.
        sources: Attributions, database of names, and search program.
        flanks: As in :func:`crmnet.sequence.prepare`.
        columns: As for :func:`crmnet.data.sequences.read_sequences`.
        iupac: ``n`` reads letters that stand for several bases as N.
        digits: Digits of numbers in ``motifs.tsv``.

    Returns:
        The table as lines of text: a header, then one line for each motif.

    Raises:
        ValueError: If the file has no expression column, or too few sequences for ``options.n``.
        FileNotFoundError: If the engine is not on the PATH.
    """
    folder = Path(folder)
    program = None if sources.engine == "own" else programs.find_program(sources.engine)
    promoters = read_promoters(
        file, flanks=flanks, length=None, columns=columns, iupac=iupac, only_measured=True
    )
    if promoters.expression is None:
        raise ValueError(
            f"{display_name(file)} has no expression column with a number, which motif discovery "
            "needs; name the column with --column expression=NAME"
        )
    folder.mkdir(parents=True, exist_ok=True)
    discovered, confirmed = _run_searches(promoters, folder, options, sources, program)
    motifs = [entry.motif for entry in discovered]
    targets = list(yeast_motifs() if sources.database is None else sources.database)
    use_tomtom = program in ("streme", "meme") and programs.is_installed("tomtom")
    names = name_motifs(motifs, targets, folder / "tomtom" if use_tomtom else None)
    # The second word of a MEME motif is its name; blanks are not allowed in it.
    named = [m.renamed(n.name.replace(" ", "_"), m.id) for m, n in zip(motifs, names, strict=True)]
    write_text_atomically(folder / "motifs.meme", as_meme(named))
    _write_table(folder / "motifs.tsv", discovered, names, confirmed, digits)
    if discovered:
        with matplotlib.rc_context(STYLE):
            save_figure(motif_page(discovered, names), folder / "motifs.png")
    if not discovered:
        return ["no motif is significantly more frequent in high or in low sequences"]
    header = f"{'id':4} {'in':5} {'consensus':18} {'q':9}  {'share':>6} / {'other':>6}  name"
    return [header] + [
        f"{motif.id:4} {entry.enriched:5} {motif.consensus:18} q {entry.q:.1e}  "
        f"{entry.share:6.1%} / {entry.share_other:6.1%}  {name.text}"
        f"{'  confirmed' if motif.id in confirmed else ''}"
        for motif, entry, name in zip(motifs, discovered, names, strict=True)
    ]


def _run_searches(
    promoters: Promoters,
    folder: Path,
    options: DiscoverOptions,
    sources: DiscoverySources,
    program: str | None,
) -> tuple[list[DiscoveredMotif], set[str]]:
    """The motifs of all searches, and the ids of confirmed motifs."""
    assert promoters.expression is not None
    inserts, lengths = sequence.inserts(promoters.tokens)
    inserts = inserts[:, : int(lengths.max(initial=1))]
    family = find_families(inserts)
    if program in ("streme", "meme"):
        rows, top = extreme_sequences(inserts, promoters.expression, family, options)
        discovered = programs.program_motifs(inserts[rows], top, program, folder / program, options)
    else:
        discovered = differential_motifs(inserts, promoters.expression, family, options)
    ranked = ranked_motifs(inserts, promoters.expression, family, options)
    confirmed = confirmed_ids(discovered, ranked)
    discovered += ranked
    if sources.attributions is not None:
        attributed, insert = aligned_inserts(read_attributions(sources.attributions))
        if program == "modisco":
            discovered += programs.modisco_motifs(attributed, insert, folder / "modisco", options)
        else:
            discovered += attributed_motifs(
                attributed.tokens[:, insert], attributed.values[:, insert], options
            )
    return discovered, confirmed


def aligned_inserts(
    attributed: programs.AttributedConstructs,
) -> tuple[programs.AttributedConstructs, slice]:
    """Constructs whose inserts lie at the same positions, and these positions.

    Inserts at different positions are moved to the left end; shorter ones are padded with N, whose
    attribution is 0.
    """
    inserts = find_inserts(attributed.tokens)
    if attributed.inserts is not None:
        inserts = inserts._replace(start=attributed.inserts[:, 0], stop=attributed.inserts[:, 1])
    spans = np.unique(np.stack([inserts.start, inserts.stop], axis=1), axis=0)
    if len(spans) == 1:
        return attributed, slice(int(spans[0, 0]), int(spans[0, 1]))
    hypothetical = attributed.hypothetical
    moved = programs.AttributedConstructs(
        inserts.cut_tokens(attributed.tokens),
        inserts.cut(attributed.values),
        None if hypothetical is None else inserts.cut(hypothetical),
    )
    return moved, slice(0, moved.tokens.shape[1])


def name_motifs(
    motifs: Sequence[Motif], targets: Sequence[Motif], tomtom: PathLike | None
) -> list[MotifName]:
    """The best match of each motif, by TOMTOM if ``tomtom`` is a folder for its files.

    A motif without a result of TOMTOM gets the match of :mod:`crmnet.motifs.match`.
    """
    if not motifs:
        return []
    matches = match(motifs, targets)
    names = [
        _name(motif, targets[best], float(p[best]), float(q[best]))
        for motif, best, p, q in zip(
            motifs, matches.best().tolist(), matches.p, matches.q, strict=True
        )
    ]
    if tomtom is None:
        return names
    by_id = {target.id: target for target in targets}
    tomtom_matches = programs.tomtom_names(motifs, targets, tomtom)
    for number, motif in enumerate(motifs):
        if motif.id in tomtom_matches:
            target, p, q = tomtom_matches[motif.id]
            names[number] = _name(motif, by_id[target], p, q)
    return names


def _name(motif: Motif, target: Motif, p: float, q: float) -> MotifName:
    return MotifName(call(motif, target, p), target, p, q)


def _write_table(
    path: Path,
    discovered: Sequence[DiscoveredMotif],
    names: Sequence[MotifName],
    confirmed: set[str],
    digits: Digits,
) -> None:
    table: dict[str, list[Any]] = {
        "motif": [entry.motif.id for entry in discovered],
        "consensus": [entry.motif.consensus for entry in discovered],
        "enriched": [entry.enriched for entry in discovered],
        "p": [entry.p for entry in discovered],
        "e": [entry.e for entry in discovered],
        "q": [entry.q for entry in discovered],
        "share": [entry.share for entry in discovered],
        "share_other": [entry.share_other for entry in discovered],
        "name": [name.name for name in names],
        "target": [name.target.id for name in names],
        "target_name": [name.target.name for name in names],
        "match_p": [name.p for name in names],
        "match_q": [name.q for name in names],
        "confirmed": ["yes" if entry.motif.id in confirmed else "" for entry in discovered],
    }
    with TableWriter(path, list(table)) as writer:
        writer.write(for_reading(table, path, digits, PROBABILITIES))


def confirmed_ids(
    discovered: Sequence[DiscoveredMotif], ranked: Sequence[DiscoveredMotif]
) -> set[str]:
    """Ids of the motifs that match a ranked motif enriched in the same direction.

    JASPAR's yeast motifs are targets too, so that the null distribution covers all yeast motifs.
    """
    confirmed: set[str] = set()
    for direction in ("high", "low"):
        motifs = [entry.motif for entry in discovered if entry.enriched == direction]
        targets = [entry.motif for entry in ranked if entry.enriched == direction]
        if motifs and targets:
            p = match(motifs, [*targets, *yeast_motifs()]).p[:, : len(targets)]
            confirmed |= {motif.id for motif, best in zip(motifs, p.min(axis=1), strict=True)
                          if best < MAX_CONFIRMING_P}  # fmt: skip
    return confirmed


def read_attributions(path: PathLike) -> programs.AttributedConstructs:
    """Constructs and their attributions from an ``attributions.npz``.

    Raises:
        FileNotFoundError: If the file does not exist.
        ValueError: If the file contains something else.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file; crmnet explain writes attributions.npz")
    try:
        arrays = read_npz(path)
        return programs.AttributedConstructs(
            arrays["tokens"],
            arrays["values"].sum(axis=1),
            arrays.get("hypothetical"),
            arrays.get("inserts"),
        )
    except (ValueError, KeyError):
        raise ValueError(
            f"{path} contains no attributions or is damaged; crmnet explain writes attributions.npz"
        ) from None


def motif_page(discovered: Sequence[DiscoveredMotif], names: Sequence[MotifName]) -> Figure:
    """Logos of motifs, three in a row; uncertain names are grey."""
    rows = -(-len(discovered) // 3)
    figure = Figure(figsize=(10, 1.25 * rows), layout="constrained")
    axes = figure.subplots(rows, 3, squeeze=False).ravel()
    for ax, entry, name in zip(axes, discovered, names, strict=False):
        motif_logo(ax, entry.motif.counts)
        title = f"{entry.motif.id}  {name.text}   {entry.enriched}, q {entry.q:.0e}"
        color = CERTAIN if is_certain(name.name, name.p) else UNCERTAIN
        ax.set_title(literal(title), fontsize=8, color=color)
    for ax in axes[len(discovered) :]:
        ax.axis("off")
    return figure
