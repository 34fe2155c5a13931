"""Explanations of promoters as files: attributions, tables, logos with sites of known factors.

``crmnet explain`` runs :func:`explain`, which joins :mod:`crmnet.interpretation.attribute`,
:mod:`crmnet.motifs` and :mod:`crmnet.figures`.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import matplotlib
import numpy as np
import numpy.typing as npt

from crmnet import sequence
from crmnet.arrays import Floats, Integers
from crmnet.data.sequences import Promoters
from crmnet.figures.logo import Site
from crmnet.figures.style import STYLE
from crmnet.files import PathLike, write_atomically, write_text_atomically
from crmnet.interpretation.attribute import (
    DEFAULTS,
    AttributeOptions,
    Attribution,
    attribute,
    output_weights,
    unit_of,
)
from crmnet.interpretation.inserts import Inserts
from crmnet.interpretation.logos import (
    DEFAULT_LOGOS,
    INTO_ADAPTER,
    MIN_AGREEMENT,
    Agreement,
    LogoOptions,
    LogoPanel,
    agreement,
    insert_sites,
    logo_page,
    share_exceeded,
    site_bases,
    site_name,
    sites_to_draw,
    supported_sites,
)
from crmnet.interpretation.marginalise import site_effects
from crmnet.interpretation.tiles import Tiles
from crmnet.motifs.formats import read_motifs
from crmnet.motifs.jaspar import yeast_motifs
from crmnet.motifs.match import is_certain
from crmnet.motifs.pwm import Motif
from crmnet.motifs.scan import Hits, ScanOptions
from crmnet.prediction.predictor import Predictor
from crmnet.reports.figures import save_figure
from crmnet.reports.tables import TableWriter

SITES = ScanOptions(p_value=2e-4)
"""What counts as a site of a known factor in ``sites.tsv``."""
TITLE_ID = 30
"""Most letters of an id in the title of a logo."""


def explain(
    predictor: Predictor,
    promoters: Promoters | Tiles,
    folder: PathLike,
    *,
    media: tuple[str | None, str | None] = (None, None),
    options: AttributeOptions = DEFAULTS,
    motifs: Sequence[Motif] | None = None,
    drawing: LogoOptions = DEFAULT_LOGOS,
) -> Attribution:
    """Attribute the predictions of promoters, find known sites, and write tables and logos.

    Writes to ``folder``:

    - ``attributions.npz``: values and hypothetical values ``(B, 4, L)``, tokens, ids, delta, and
      where each insert lies in its construct (``inserts``) and where the given sequence begins in
      it (``origin``), counted from 0;
    - ``attributions.tsv``: one row for each base of the insert;
    - ``attributions.bedgraph``: the same as one track, from 0 and half-open as its format is;
    - ``sites.tsv``: each site with its effect
      (:func:`crmnet.interpretation.marginalise.site_effects`), its agreement with the attributions
      and :func:`crmnet.interpretation.logos.share_exceeded`;
    - ``logos-1.png``, ``logos-2.png``, …: below each logo the sites that
      :func:`crmnet.interpretation.logos.sites_to_draw` selects.

    Positions count from 1 on the sequences as they were given. Of repeated ids all but the first
    get a number (:func:`distinct_ids`).

    Args:
        predictor: The model.
        promoters: Promoters to explain, or windows along longer sequences, whose attributions are
            averaged.
        folder: Output folder, made if it does not exist.
        media: Medium to explain, and a medium to subtract.
        options: Method and settings.
        motifs: Motifs to search for; None means the yeast factors of JASPAR.
        drawing: Format and size of the logos.
    """
    folder = Path(folder)
    tiles = promoters if isinstance(promoters, Tiles) else None
    read = promoters.windows if isinstance(promoters, Tiles) else promoters
    shown = promoters.promoters if isinstance(promoters, Tiles) else promoters
    shown = shown._replace(ids=distinct_ids(shown.ids))
    of_read = attribute(
        predictor, read.tokens, medium=media[0], minus=media[1], options=options, given=read.given
    )
    found = tiles.average(of_read) if tiles else of_read
    motifs = yeast_motifs() if motifs is None else motifs
    write_attributions(folder, shown, found)

    def effect_of(places: Integers) -> Floats:
        here = tiles.on_windows(of_read.inserts, places) if tiles else places
        weights = output_weights(predictor, *media)
        return site_effects(predictor, read.tokens, here, weights, options.seed)

    sites = _find_sites(shown.tokens, found, motifs, effect_of)
    _write_sites(folder / "sites.tsv", shown, motifs, sites, found.inserts)
    if tiles:
        titles = _window_titles(predictor, shown.ids, tiles, media, drawing.max_logos)
    else:
        titles = _titles(predictor, shown.first(drawing.max_logos), media)
    panels = _panels(titles, found, _drawn_sites(sites, found.inserts))[: drawing.max_logos]
    with matplotlib.rc_context(STYLE):
        for page, first in enumerate(range(0, len(panels), drawing.per_page), 1):
            on_page = panels[first : first + drawing.per_page]
            figure = logo_page(on_page, unit_of(predictor, *media), drawing.own_scale)
            save_figure(figure, folder / f"logos-{page}.{drawing.format}")
    return found


def _panels(
    titles: Sequence[str], found: Attribution, drawn: dict[int, list[Site]]
) -> list[LogoPanel]:
    """A logo of each insert, or several for one that is longer than a network reads."""
    panels = []
    values, lengths = found.inserts.cut(found.values), found.inserts.lengths.tolist()
    for row, title in enumerate(titles):
        number = int(found.inserts.start[row] - found.inserts.origin[row]) + 1
        many = 1 if lengths[row] <= sequence.LENGTH else -(-lengths[row] // sequence.INSERT)
        ends = np.linspace(0, lengths[row], many + 1).round().astype(int).tolist()
        for first, stop in pairwise(ends):
            if first == stop:
                continue
            where = f", bases {number + first}–{number + stop - 1}" if many > 1 else ""
            sites = [
                site._replace(start=max(site.start, first) - first, end=min(site.end, stop) - first)
                for site in drawn.get(row, [])
                if 2 * first <= site.start + site.end < 2 * stop or many == 1
            ]
            panel = LogoPanel(title + where, values[row, :, first:stop], sites, number + first)
            panels.append(panel)
    return panels


class NamedSites(NamedTuple):
    """The sites of known factors on the inserts, with what the attributions say about them."""

    hits: Hits
    """Positions are those of the constructs."""
    names: list[str]
    """Only the best site of those that overlap has a name without question mark, if the pattern of
    its attributions is that of its matrix."""
    drawn: list[int]
    """Numbers of the sites to draw, the best first."""
    effect: Floats
    agreement: Agreement
    beyond: Floats


def _find_sites(
    tokens: sequence.Tokens,
    found: Attribution,
    motifs: Sequence[Motif],
    effect_of: Callable[[Integers], Floats],
) -> NamedSites:
    """``effect_of`` takes row, first position and one past the last, ``(S, 3)``."""
    inserts = found.inserts
    hits = insert_sites(tokens, inserts, motifs, SITES)
    start = np.maximum(hits.start, inserts.start[hits.row])
    end = np.minimum(hits.end, inserts.stop[hits.row])
    places = np.stack([hits.row, start, end], axis=1)
    effect = effect_of(places)
    observed = found.hypothetical is None
    values = found.values if found.hypothetical is None else found.hypothetical
    agree = agreement(values, tokens, motifs, hits, observed)
    along = found.values.sum(axis=1)
    beyond = share_exceeded(along, hits, inserts.inside(tokens.shape[1]))
    drawn = sites_to_draw(hits, supported_sites(hits, beyond), agree.explained)
    best = np.isin(np.arange(len(hits.row)), drawn)
    certain = best & (np.abs(agree.cosine) >= MIN_AGREEMENT)
    names = [
        site_name(motifs[motif].name, bases, sure)
        for motif, bases, sure in zip(hits.motif, site_bases(tokens, hits), certain, strict=True)
    ]
    return NamedSites(hits, names, drawn, effect, agree, beyond)


def _write_sites(
    path: Path, promoters: Promoters, motifs: Sequence[Motif], sites: NamedSites, inserts: Inserts
) -> None:
    """One row for each site; a site that reaches into an adapter ends where the insert ends."""
    hits = sites.hits
    first, last = inserts.start[hits.row], inserts.stop[hits.row]
    origin = inserts.origin[hits.row]
    before, after = hits.start < first, hits.end > last
    columns: dict[str, Any] = {
        "id": [promoters.ids[row] for row in hits.row],
        "motif": [motifs[i].id for i in hits.motif],
        "name": sites.names,
        "start": np.maximum(hits.start, first) - origin + 1,
        "end": np.minimum(hits.end, last) - origin,
        "strand": hits.strand,
        "reaches_adapter": np.where(before, "5'", np.where(after, "3'", "")),
        "score": hits.score,
        "p": hits.p,
        "q": hits.q,
        "effect": sites.effect.astype(np.float32),
        "agreement": sites.agreement.cosine.astype(np.float32),
        "beyond": sites.beyond.astype(np.float32),
    }
    with TableWriter(path, list(columns)) as table:
        table.write(columns)


def _drawn_sites(sites: NamedSites, inserts: Inserts) -> dict[int, list[Site]]:
    """Sites to draw, by row; their positions count from 0 on the insert."""
    hits = sites.hits
    drawn: dict[int, list[Site]] = {}
    for i in sites.drawn:
        row = int(hits.row[i])
        first, last = int(inserts.start[row]), int(inserts.stop[row])
        start, end = max(int(hits.start[i]), first), min(int(hits.end[i]), last)
        mark = INTO_ADAPTER if hits.start[i] < first or hits.end[i] > last else ""
        site = Site(sites.names[i] + mark, start - first, end - first, str(hits.strand[i]))
        drawn.setdefault(row, []).append(site)
    return drawn


def distinct_ids(ids: Sequence[str]) -> list[str]:
    """The ids, with a number after all but the first of equal ones: ``a``, ``a_2``, ``a_3``."""
    taken, counts = set(ids), dict.fromkeys(ids, 0)
    distinct = []
    for name in ids:
        counts[name] += 1
        own = name
        while counts[name] > 1 and own in taken:
            own = f"{name}_{counts[name]}"
            counts[name] += own in taken
        taken.add(own)
        distinct.append(own)
    return distinct


def track_names(ids: Sequence[str]) -> list[str]:
    """The ids as bedGraph takes them: without blanks, no comment or header, none twice."""
    names = ["_".join(name.split()) or "_" for name in ids]
    return distinct_ids([
        f"_{name}" if name.startswith("#") or name.lower() in ("track", "browser") else name
        for name in names
    ])  # fmt: skip


def _titles(
    predictor: Predictor, promoters: Promoters, media: tuple[str | None, str | None]
) -> list[str]:
    """Title of each logo: id, predicted expression and, if known, measured expression."""
    if not promoters.ids:
        return []
    predicted = predict_difference(predictor, promoters.tokens, media)
    intervals = _intervals(predictor, promoters.tokens, media)
    unit = f" {unit_of(predictor, *media) or ''}".rstrip()
    label = media_label(predictor, media)
    titles = [
        f"{_short(name)}    predicted expression {value:.2f}{unit}{interval} in {label}"
        for name, value, interval in zip(promoters.ids, predicted, intervals, strict=True)
    ]
    if promoters.expression is None or media[1]:  # a file holds one medium, never a difference
        return titles
    return [f"{t}, measured {m:.2f}" for t, m in zip(titles, promoters.expression, strict=True)]


def _window_titles(
    predictor: Predictor,
    ids: Sequence[str],
    tiles: Tiles,
    media: tuple[str | None, str | None],
    most: int,
) -> list[str]:
    """As :func:`_titles`; a sequence of several windows has no prediction, but their number."""
    titles = []
    for row, name in enumerate(ids[:most]):
        own = np.nonzero(tiles.row == row)[0]
        if len(own) == 1:
            one = tiles.windows.take(own)._replace(ids=[name])
            titles += _titles(predictor, one, media)
        else:
            titles.append(
                f"{_short(name)}    mean of {len(own):,} windows in {media_label(predictor, media)}"
            )
    return titles


def _short(name: str) -> str:
    """An id in a title: long ones are cut, so that the prediction stays visible."""
    return name if len(name) <= TITLE_ID else f"{name[: TITLE_ID - 1]}…"


def _intervals(
    predictor: Predictor, tokens: sequence.Tokens, media: tuple[str | None, str | None]
) -> list[str]:
    """The prediction interval of each promoter as text, empty where the model gives none."""
    calibration = predictor.card.calibration if predictor.card else None
    column = predictor.medium_index(media[0]) if media[0] else 0
    medium = predictor.media[column]
    trust = None if media[1] else predictor.assess_tokens(tokens).trust
    if trust is None or calibration is None or medium not in calibration.intervals:
        return [""] * len(tokens)
    level = 100 * calibration.level
    ends = zip(trust.low[:, column], trust.high[:, column], strict=True)
    return [
        f" ({level:g} % interval {low:.2f} to {high:.2f})" if low == low else ""
        for low, high in ends
    ]


def media_label(predictor: Predictor, media: tuple[str | None, str | None]) -> str:
    """The medium, or the difference of two media, as text for a title."""
    medium = media[0] or predictor.media[0]
    return f"{medium} minus {media[1]}" if media[1] else medium


def predict_difference(
    predictor: Predictor, tokens: npt.ArrayLike, media: tuple[str | None, str | None]
) -> Floats:
    """Prediction for the first medium, less that for the second if there is one, ``(B,)``."""
    tokens = sequence.as_tokens(tokens)
    return predictor.predict_tokens(tokens) @ np.array(output_weights(predictor, *media), float)


def write_attributions(folder: PathLike, promoters: Promoters, found: Attribution) -> None:
    """Write the values as npz, TSV and bedGraph."""
    folder = Path(folder)
    arrays: dict[str, Any] = {
        "values": found.values,
        "tokens": promoters.tokens,
        "ids": np.array(promoters.ids),
        "inserts": np.stack([found.inserts.start, found.inserts.stop], axis=1),
        "origin": found.inserts.origin,
    }
    for name in ("delta", "hypothetical"):
        if (array := getattr(found, name)) is not None:
            arrays[name] = array

    def save(path: Path) -> None:
        with path.open("wb") as file:
            np.savez_compressed(file, **arrays)

    write_atomically(folder / "attributions.npz", save)
    along, inserts = found.values.sum(axis=1), found.inserts
    lines = ['track type=bedGraph name="crmnet attribution"']
    tracks = track_names(promoters.ids)
    with TableWriter(folder / "attributions.tsv", ["id", "position", "base", "value"]) as table:
        for row, name in enumerate(promoters.ids):
            here = slice(int(inserts.start[row]), int(inserts.stop[row]))
            values, numbers = along[row, here], inserts.numbers(row)
            letters = [sequence.LETTERS[token] for token in promoters.tokens[row, here]]
            table.write(
                {"id": [name] * len(values), "position": numbers, "base": letters, "value": values}
            )
            # bedGraph counts from 0, and its second number is one past the last base.
            lines += [
                f"{tracks[row]}\t{number - 1}\t{number}\t{value:.6g}"
                for number, value in zip(numbers.tolist(), values, strict=True)
            ]
    write_text_atomically(folder / "attributions.bedgraph", "\n".join(lines) + "\n")


def read_discovery(path: PathLike) -> dict[str, dict[str, str]]:
    """Rows, by motif id, of the table that ``crmnet motifs discover`` writes beside its motif file.

    Empty for motif files from other programs, which have no such table.
    """
    path = Path(path)
    table = path.with_suffix(".tsv")
    if not table.is_file():
        return {}
    with table.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    known = rows and {"motif", "name", "match_p", "confirmed"} <= set(rows[0])
    return {row["motif"]: row for row in rows} if known else {}


def labelled_motifs(path: PathLike) -> list[Motif]:
    """The motifs of a file; a discovered motif gets its id, and a known name if that is certain."""
    table = read_discovery(path)
    motifs = []
    for motif in read_motifs(path):
        row = table.get(motif.id)
        if row is not None:
            known = f" {row['name']}" if is_certain(row["name"], float(row["match_p"])) else ""
            motif = motif.renamed(motif.id + known, motif.id)
        motifs.append(motif)
    return motifs
