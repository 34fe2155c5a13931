"""Explanations of promoters as files: attributions, tables, logos with sites of known factors.

``crmnet explain`` calls :func:`explain`. It gets the attributions from
:mod:`crmnet.interpretation.attribute`, finds sites with :mod:`crmnet.motifs.scan`, and draws them
with :mod:`crmnet.interpretation.logos`.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import matplotlib
import numpy as np
import numpy.typing as npt

from crmnet import sequence
from crmnet.arrays import Floats, Integers
from crmnet.choices import Digits
from crmnet.data.sequences import Promoters
from crmnet.figures.logo import Site
from crmnet.figures.style import STYLE
from crmnet.files import PathLike, write_atomically, write_text_atomically
from crmnet.interpretation.attribute import (
    DEFAULTS,
    AttributeOptions,
    Attribution,
    attribute,
    media_phrase,
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
    site_sums,
    sites_to_draw,
    supported_sites,
)
from crmnet.interpretation.marginalise import site_effects
from crmnet.interpretation.tiles import Tiles
from crmnet.motifs.formats import read_motifs
from crmnet.motifs.jaspar import yeast_motifs
from crmnet.motifs.pwm import Motif
from crmnet.motifs.scan import Hits, ScanOptions
from crmnet.prediction.predictor import Predictor
from crmnet.reports.figures import save_figure
from crmnet.reports.sites import PROBABILITIES
from crmnet.reports.tables import TableWriter, for_reading

SITES = ScanOptions(p_value=2e-4)
"""Definition of a site of a known factor in ``sites.tsv``."""
TITLE_ID = 30
"""Largest number of letters of an id in the title of a logo."""


def explain(
    predictor: Predictor,
    promoters: Promoters | Tiles,
    folder: PathLike,
    *,
    media: tuple[str | None, str | None] = (None, None),
    options: AttributeOptions = DEFAULTS,
    motifs: Sequence[Motif] | None = None,
    drawing: LogoOptions = DEFAULT_LOGOS,
    digits: Digits = "rounded",
) -> Attribution:
    """Attribute the predictions of promoters, find known sites, and write tables and logos.

    Writes to ``folder``:

    - ``attributions.npz``: values and hypothetical values ``(B, 4, L)``, tokens, ids, delta, start
      and end of each insert in its construct (``inserts``), and the position at which the given
      sequence begins in it (``origin``), counted from 0;
    - ``attributions.tsv``: one row for each base of the insert;
    - ``attributions.bedgraph``: the same as one track, from 0 and half-open as its format is;
    - ``sites.tsv``: each site with its effect
      (:func:`crmnet.interpretation.marginalise.site_effects`), its agreement with the attributions
      and :func:`crmnet.interpretation.logos.share_exceeded`;
    - ``logos-1.png``, ``logos-2.png``, …: below each logo the sites that
      :func:`crmnet.interpretation.logos.sites_to_draw` selects.

    Positions count from 1 on the given sequences. A repeated id gets a number
    (:func:`distinct_ids`).

    Args:
        predictor: The model.
        promoters: Promoters to explain, or windows along longer sequences, whose attributions are
            averaged.
        folder: Output folder, made if it does not exist.
        media: Medium to explain, and a medium to subtract.
        options: Method and settings.
        motifs: Motifs to search for; None means the yeast factors of JASPAR.
        drawing: Format and size of the logos.
        digits: Digits of numbers in ``sites.tsv``; attributions have all digits.
    """
    folder = Path(folder)
    tiles = promoters if isinstance(promoters, Tiles) else None
    read = promoters.windows if isinstance(promoters, Tiles) else promoters
    panels_of_page = promoters.promoters if isinstance(promoters, Tiles) else promoters
    panels_of_page = panels_of_page._replace(ids=distinct_ids(panels_of_page.ids))
    of_read = attribute(
        predictor, read.tokens, medium=media[0], minus=media[1], options=options, given=read.given
    )
    attribution = tiles.average(of_read) if tiles else of_read
    motifs = yeast_motifs() if motifs is None else motifs
    write_attributions(folder, panels_of_page, attribution)

    def effect_of(places: Integers) -> Floats:
        here = tiles.on_windows(of_read.inserts, places) if tiles else places
        weights = output_weights(predictor, *media)
        return site_effects(predictor, read.tokens, here, weights, options.seed)

    sites = _find_sites(panels_of_page.tokens, attribution, motifs, effect_of)
    columns = _site_columns(panels_of_page, motifs, sites, attribution.inserts)
    path = folder / "sites.tsv"
    with TableWriter(path, list(columns)) as table:
        table.write(for_reading(columns, path, digits, PROBABILITIES))
    if tiles:
        titles = _window_titles(predictor, panels_of_page.ids, tiles, media, drawing.max_logos)
    else:
        titles = _titles(predictor, panels_of_page.first(drawing.max_logos), media)
    panels = _panels(titles, attribution, _drawn_sites(sites, attribution.inserts))[
        : drawing.max_logos
    ]
    with matplotlib.rc_context(STYLE):
        for page, first_panel in enumerate(range(0, len(panels), drawing.per_page), 1):
            on_page = panels[first_panel : first_panel + drawing.per_page]
            figure = logo_page(
                on_page, unit_of(predictor, *media), drawing.own_scale, difference=bool(media[1])
            )
            save_figure(figure, folder / f"logos-{page}.{drawing.format}")
    return attribution


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
    """The sites of known factors on the inserts, with their effects and attributions."""

    hits: Hits
    """Positions are those of the constructs."""
    names: list[str]
    """A name has no question mark only if the site is the best of the overlapping sites and its
    attributions have the pattern of its matrix."""
    drawn: list[int]
    """Numbers of the sites to draw, the best first."""
    contribution: Floats
    """Sum of the attributions of the site's bases on the insert."""
    effect: Floats
    agreement: Agreement
    beyond: Floats


def _find_sites(
    tokens: sequence.Tokens,
    attribution: Attribution,
    motifs: Sequence[Motif],
    effect_of: Callable[[Integers], Floats],
) -> NamedSites:
    """``effect_of`` takes row, first position and one past the last, ``(S, 3)``."""
    inserts = attribution.inserts
    hits = insert_sites(tokens, inserts, motifs, SITES)
    start = np.maximum(hits.start, inserts.start[hits.row])
    end = np.minimum(hits.end, inserts.stop[hits.row])
    spans = np.stack([hits.row, start, end], axis=1)
    effect = effect_of(spans)
    observed = attribution.hypothetical is None
    values = attribution.values if attribution.hypothetical is None else attribution.hypothetical
    site_agreement = agreement(values, tokens, motifs, hits, observed)
    base_values = attribution.values.sum(axis=1)
    contribution = site_sums(base_values, hits)  # zero outside the insert
    beyond = share_exceeded(base_values, hits, inserts.inside(tokens.shape[1]))
    drawn = sites_to_draw(hits, supported_sites(hits, beyond), site_agreement.explained)
    best = np.isin(np.arange(len(hits.row)), drawn)
    certain = best & (np.abs(site_agreement.cosine) >= MIN_AGREEMENT)
    names = [
        site_name(motifs[motif].name, bases, is_sure)
        for motif, bases, is_sure in zip(hits.motif, site_bases(tokens, hits), certain, strict=True)
    ]
    return NamedSites(hits, names, drawn, contribution, effect, site_agreement, beyond)


def _site_columns(
    promoters: Promoters, motifs: Sequence[Motif], sites: NamedSites, inserts: Inserts
) -> dict[str, Any]:
    """One row for each site; a site that reaches into an adapter ends where the insert ends."""
    hits = sites.hits
    insert_start, insert_stop = inserts.start[hits.row], inserts.stop[hits.row]
    origin = inserts.origin[hits.row]
    starts_before, ends_after = hits.start < insert_start, hits.end > insert_stop
    return {
        "id": [promoters.ids[row] for row in hits.row],
        "motif": [motifs[i].id for i in hits.motif],
        "name": sites.names,
        "start": np.maximum(hits.start, insert_start) - origin + 1,
        "end": np.minimum(hits.end, insert_stop) - origin,
        "strand": hits.strand,
        "reaches_adapter": np.where(starts_before, "5'", np.where(ends_after, "3'", "")),
        "score": hits.score,
        "p": hits.p,
        "q": hits.q,
        "contribution": sites.contribution.astype(np.float32),
        "effect": sites.effect.astype(np.float32),
        "agreement": sites.agreement.cosine.astype(np.float32),
        "beyond": sites.beyond.astype(np.float32),
        "drawn": np.isin(np.arange(len(hits.row)), sites.drawn).astype(np.int64),
    }


def _drawn_sites(sites: NamedSites, inserts: Inserts) -> dict[int, list[Site]]:
    """Sites to draw, by row; their positions count from 0 on the insert."""
    hits = sites.hits
    drawn: dict[int, list[Site]] = {}
    for i in sites.drawn:
        row = int(hits.row[i])
        insert_start, insert_stop = int(inserts.start[row]), int(inserts.stop[row])
        start, end = max(int(hits.start[i]), insert_start), min(int(hits.end[i]), insert_stop)
        mark = INTO_ADAPTER if hits.start[i] < insert_start or hits.end[i] > insert_stop else ""
        site = Site(
            sites.names[i] + mark, start - insert_start, end - insert_start, str(hits.strand[i])
        )
        drawn.setdefault(row, []).append(site)
    return drawn


def distinct_ids(ids: Sequence[str]) -> list[str]:
    """The ids; a repeated id gets a number: ``a``, ``a_2``, ``a_3``."""
    used, counts = set(ids), dict.fromkeys(ids, 0)
    distinct = []
    for name in ids:
        counts[name] += 1
        candidate = name
        while counts[name] > 1 and candidate in used:
            candidate = f"{name}_{counts[name]}"
            counts[name] += candidate in used
        used.add(candidate)
        distinct.append(candidate)
    return distinct


def track_names(ids: Sequence[str]) -> list[str]:
    """The ids as names for bedGraph: without blanks, all different, not a comment or a header."""
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
    where = media_phrase(predictor, *media)
    kind, where = ("difference", f", {where}") if media[1] else ("expression", f" {where}")
    titles = [
        f"{_short(name)}    predicted {kind} {value:.2f}{unit}{interval}{where}"
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
            where = media_phrase(predictor, *media)
            where = f", predicted difference {where}" if media[1] else f" {where}"
            titles.append(f"{_short(name)}    mean of {len(own):,} windows{where}")
    return titles


def _short(name: str) -> str:
    """An id for a title; a long one is shortened, so that the prediction stays visible."""
    return name if len(name) <= TITLE_ID else f"{name[: TITLE_ID - 1]}…"


def _intervals(
    predictor: Predictor, tokens: sequence.Tokens, media: tuple[str | None, str | None]
) -> list[str]:
    """The prediction interval of each promoter as text, and why it is unlike the training data."""
    calibration = predictor.card.calibration if predictor.card else None
    column = predictor.medium_index(media[0]) if media[0] else 0
    medium = predictor.media[column]
    trust = None if media[1] else predictor.assess_tokens(tokens).trust
    if trust is None or calibration is None or medium not in calibration.intervals:
        return [""] * len(tokens)
    level = 100 * calibration.level
    texts = []
    for low, high, reasons in zip(
        trust.low[:, column], trust.high[:, column], trust.unlike, strict=True
    ):
        known = f"{level:g} % interval {low:.2f} to {high:.2f}" if low == low else "no interval"
        why = f", unlike training: {', '.join(reasons.split(';'))}" if reasons else ""
        texts.append(f" ({known}{why})")
    return texts


def predict_difference(
    predictor: Predictor, tokens: npt.ArrayLike, media: tuple[str | None, str | None]
) -> Floats:
    """Prediction for the first medium, minus that for the second if there is one, ``(B,)``."""
    tokens = sequence.as_tokens(tokens)
    return predictor.predict_tokens(tokens) @ np.array(output_weights(predictor, *media), float)


def write_attributions(folder: PathLike, promoters: Promoters, attribution: Attribution) -> None:
    """Write the values as npz, TSV and bedGraph."""
    folder = Path(folder)
    arrays: dict[str, Any] = {
        "values": attribution.values,
        "tokens": promoters.tokens,
        "ids": np.array(promoters.ids),
        "inserts": np.stack([attribution.inserts.start, attribution.inserts.stop], axis=1),
        "origin": attribution.inserts.origin,
    }
    for name in ("delta", "hypothetical"):
        if (array := getattr(attribution, name)) is not None:
            arrays[name] = array

    def save(path: Path) -> None:
        with path.open("wb") as file:
            np.savez_compressed(file, **arrays)

    write_atomically(folder / "attributions.npz", save)
    base_values, inserts = attribution.values.sum(axis=1), attribution.inserts
    lines = ['track type=bedGraph name="crmnet attribution"']
    tracks = track_names(promoters.ids)
    with TableWriter(folder / "attributions.tsv", ["id", "position", "base", "value"]) as table:
        for row, name in enumerate(promoters.ids):
            insert = slice(int(inserts.start[row]), int(inserts.stop[row]))
            values, numbers = base_values[row, insert], inserts.numbers(row)
            letters = [sequence.LETTERS[token] for token in promoters.tokens[row, insert]]
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

    Empty for motif files from other programs, which have no such table: a file of its name that
    cannot be read as a table in UTF-8 is another one.
    """
    path = Path(path)
    table = path.with_suffix(".tsv")
    if not table.is_file():
        return {}
    try:
        with table.open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file, delimiter="\t"))
    except (UnicodeDecodeError, csv.Error):
        return {}
    is_discovery = rows and {"motif", "name", "match_p", "confirmed"} <= set(rows[0])
    return {row["motif"]: row for row in rows} if is_discovery else {}


def certain_name(row: Mapping[str, str]) -> str:
    """Name in a row of :func:`read_discovery`; empty if it is uncertain."""
    return "" if row["name"].endswith("?") else row["name"]


def labelled_motifs(path: PathLike) -> list[Motif]:
    """The motifs of a file; a discovered motif is called by its id and, if certain, its name."""
    table = read_discovery(path)
    motifs = []
    for motif in read_motifs(path):
        row = table.get(motif.id)
        if row is not None:
            motif = motif.renamed(f"{motif.id} {certain_name(row)}".rstrip(), motif.id)
        motifs.append(motif)
    return motifs
