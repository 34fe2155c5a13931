"""The data of the study (Supplementary Table 1) and their lengths (Supplementary Figure 3)."""

from __future__ import annotations

import logging
import shlex
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from crmnet.arrays import Booleans
from crmnet.data.check import check
from crmnet.data.dataset import BIN_UNIT, Dataset, is_dataset
from crmnet.data.fetch import Offline, fetch, find_in
from crmnet.data.ingest import IngestOptions, ingest
from crmnet.data.leaks import share_kmers
from crmnet.data.merge import merge
from crmnet.data.opening import public_source
from crmnet.data.registry import cards
from crmnet.data.subset import copy_rows
from crmnet.data.validate import Source
from crmnet.figures.panels import length_histogram
from crmnet.figures.style import STYLE, literal
from crmnet.reports.figures import save_figure
from crmnet.simulation.assay import AssayOptions, simulate
from crmnet.studies.reproduce.paper import MEDIA, ROWS, TEST_SETS, USUAL_LENGTHS
from crmnet.studies.reproduce.place import Place
from crmnet.studies.reproduce.results import NotRun, Number, Picture, StepResult, Table

log = logging.getLogger("crmnet")

TRAINING_SETS = ("train", *(f"train-{medium}" for medium in MEDIA))
MAX_REJECTED = 0.05
"""Largest share of unusable rows of a file."""
TEST_CELLS = 100
"""Cells per simulated test promoter: a precise measurement, as in the paper's test sets."""


SHORTEST, LONGEST = 104, 116
"""Lengths that every histogram shows, so that panels compare."""


class Unavailable(Exception):
    """A source is neither in the folder nor on its server; the text says why."""


def find_source(place: Place, name: str) -> Source:
    """File of a public data set, or file of this name in the folder of ``--from``.

    Raises:
        Unavailable: If it is not there, or cannot be fetched.
    """
    card = cards().get(name)
    try:
        if card is None:
            return _named_file(place, name)
        if place.source is None:
            fetch(card)
        return public_source(name, folder=place.source)
    except Offline as error:
        raise Unavailable(f"{name} could not be fetched: {error}") from None
    except FileNotFoundError as error:
        raise Unavailable(str(error)) from None


def _named_file(place: Place, name: str) -> Source:
    found = sorted(place.source.rglob(name)) if place.source else []
    if not found:
        where = place.source or "the registry"
        raise FileNotFoundError(f"{name} is not in {where}")
    medium = next(medium for medium in MEDIA if medium in name)
    return Source(found[0], medium=medium, unit=BIN_UNIT)


def find_file(place: Place, name: str) -> Path:
    """Path of a public file, such as a table of predictions.

    Raises:
        Unavailable: As :func:`find_source`.
    """
    card = cards()[name]
    try:
        return find_in(place.source, card) if place.source else fetch(card)[0]
    except FileNotFoundError as error:
        raise Unavailable(str(error)) from None


def first_found(place: Place, alternatives: Sequence[Sequence[str]]) -> list[Source]:
    """Sources of the first alternative that is complete.

    Raises:
        Unavailable: If none is; with the reasons.
    """
    reasons = []
    for names in alternatives:
        try:
            return [find_source(place, name) for name in names]
        except Unavailable as error:
            reasons.append(str(error))
    raise Unavailable("; ".join(reasons))


def _made(place: Place, name: str, make: Callable[[Path], Dataset]) -> Dataset:
    """A data set of the study; made only if it is not there."""
    path = place.data(name)
    return Dataset.open(path) if is_dataset(path) else make(path)


def get_data(place: Place) -> StepResult:
    """Make all data sets, and the table of them (Supplementary Table 1)."""
    missing = _simulate(place) if place.profile.simulated else _read(place)
    here = [name for name in (*TRAINING_SETS, *TEST_SETS) if is_dataset(place.data(name))]
    if "train" not in here:
        raise NotRun("; ".join(missing.values()))
    sets = [Dataset.open(place.data(name)) for name in here]
    numbers = [
        Number(f"rows of {name}", len(data), n=len(data), paper=ROWS[name], digits=0)
        for name, data in zip(here, sets, strict=True)
    ]
    return StepResult(
        sentences=_about_data(place), numbers=numbers, tables=[_data_table(sets)], missing=missing
    )


def _about_data(place: Place) -> list[str]:
    if place.profile.simulated:
        return [
            "A simulated cell with known truth is measured by a simulated reporter assay: random "
            "promoters, and native-like ones in families of mutants, in two media."
        ]
    if place.profile.clean:
        return [
            "Training rows that share 20 bases of their insert with a test row, on either strand, "
            "are removed."
        ]
    return ["The training files are read completely, as in the paper."]


def _data_table(sets: list[Dataset]) -> Table:
    columns: dict[str, list[str]] = {
        name: [] for name in ("data set", "medium", "rows", "mean", "sd", "unit", "fingerprint")
    }
    for data in sets:
        for medium, statistics in data.manifest["media"].items():
            row = (
                data.name, medium, f"{statistics['rows']:,}", f"{statistics['mean']:.2f}",
                f"{statistics['sd']:.2f}", data.units[medium], data.fingerprint[:16],
            )  # fmt: skip
            for column, value in zip(columns.values(), row, strict=True):
                column.append(value)
    return Table("Data sets: rows and labels in each medium", columns)


def _simulate(place: Place) -> dict[str, str]:
    p = place.profile
    options = {"train": AssayOptions(p.simulated, seed=1)}
    tests = (("random", p.simulated_random, 0.0), ("native", p.simulated_native, 1.0))
    for seed, (kind, promoters, share) in enumerate(tests, 2):
        options[kind] = AssayOptions(promoters, seed=seed, native_share=share, cells=TEST_CELLS)
    for name, assay in options.items():
        made = _made(place, name, partial(simulate, assay))
        for medium in made.media:
            rows = np.nonzero(np.asarray(made.medium) == made.media.index(medium))[0]
            _made(place, f"{name}-{medium}", partial(copy_rows, made, rows))
    return {}


def _read(place: Place) -> dict[str, str]:
    """Read tests and training rows; returns what was not found, with the reason."""
    missing = {}
    for name, sources in place.profile.tests.items():
        options = IngestOptions(max_rejected=MAX_REJECTED, cut=False)
        one_each = [(source,) for source in sources]
        try:
            _made(place, name, partial(_ingest, place, one_each, options))
        except Unavailable as error:
            missing[f"Test set {name}"] = str(error)
    for medium, alternatives in place.profile.training.items():
        try:
            _training_set(place, medium, alternatives)
        except Unavailable as error:
            missing[f"Training rows in {medium} medium"] = str(error)
    paths = [place.data(f"train-{medium}") for medium in MEDIA]
    if all(map(is_dataset, paths)):
        _join([Dataset.open(path) for path in paths], place.data("train"))
    return missing


def _join(parts: Sequence[Dataset], path: Path) -> None:
    """Write all training rows as one data set, again if a part has changed."""
    if is_dataset(path):
        joined = [part["fingerprint"] for part in Dataset.open(path).manifest["merged"]]
        if joined == [part.fingerprint for part in parts]:
            return
    merge(parts, path, overwrite=True)


def _ingest(
    place: Place, alternatives: Sequence[Sequence[str]], options: IngestOptions, path: Path
) -> Dataset:
    return ingest(first_found(place, alternatives), path, options)


def _training_set(place: Place, medium: str, alternatives: Sequence[Sequence[str]]) -> None:
    """Make the training set of a medium, again if it shares bases with a test set that is new."""
    path = place.data(f"train-{medium}")
    read = partial(_ingest, place, alternatives, IngestOptions(max_rejected=MAX_REJECTED))
    if not place.profile.clean:
        _made(place, path.name, read)
        return
    if is_dataset(path) and not _like_tests(place, Dataset.open(path)).any():
        return
    raw = _made(place, f"all-{medium}", read)
    remove = _like_tests(place, raw)
    log.info("%s: %s of %s rows share 20 bases with a test row and are removed", raw.name,
             f"{remove.sum():,}", f"{len(raw):,}")  # fmt: skip
    copy_rows(raw, np.nonzero(~remove)[0], path, overwrite=True)


def _like_tests(place: Place, data: Dataset) -> Booleans:
    """Which rows share 20 bases with a row of a test set that is here: ``(N,)``."""
    found = np.zeros(len(data), dtype=bool)
    for test in TEST_SETS:
        if is_dataset(place.data(test)):
            found |= share_kmers(data.tokens, Dataset.open(place.data(test)).tokens)
    return found


def data_commands(place: Place) -> list[str]:
    """The step ``data`` as commands."""
    p = place.profile
    if p.simulated:
        random = f"-n {p.simulated_random} --cells {TEST_CELLS}"
        native = f"-n {p.simulated_native} --cells {TEST_CELLS}"
        return [
            f"crmnet data simulate -n {p.simulated} --seed 1 -o data/train",
            f"crmnet data simulate {random} --native-share 0 --seed 2 -o data/random",
            f"crmnet data simulate {native} --native-share 1 --seed 3 -o data/native",
            *[f"crmnet data split data/{name} --medium {medium} -o data/{name}-{medium}"
              for name in ("train", "random", "native") for medium in MEDIA],
        ]  # fmt: skip
    read = [f"crmnet data ingest {sources[0]} -o data/{name}" for name, sources in p.tests.items()]
    for medium, alternatives in p.training.items():
        target = f"all-{medium}" if p.clean else f"train-{medium}"
        read.append(f"crmnet data ingest {' '.join(alternatives[-1])} -o data/{target}")
        if p.clean:
            without = "".join(f" --without data/{test}" for test in p.tests)
            read.append(
                f"crmnet data split data/all-{medium}{without} --level words -o data/train-{medium}"
            )
    both = " ".join(f"data/train-{medium}" for medium in MEDIA)
    names = [name for a in p.training.values() for name in a[-1]]
    names += [sources[0] for sources in p.tests.values()]
    origin = f" --from {shlex.quote(str(place.source))}" if place.source else ""
    return [f"crmnet data fetch {' '.join(names)}{origin}", *read,
            f"crmnet data merge {both} -o data/train"]  # fmt: skip


def draw_lengths(place: Place) -> StepResult:
    """Lengths of the constructs of each data set (Supplementary Figure 3)."""
    names = [name for name in (*TRAINING_SETS[1:], *TEST_SETS) if is_dataset(place.data(name))]
    if not names:
        raise NotRun("It needs a data set, and none is here.")
    found = {name: _lengths(Dataset.open(place.data(name))) for name in names}
    columns = 3
    rows = -(-len(found) // columns)
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(3.3 * columns, 2.5 * rows), layout="constrained")
        axes = figure.subplots(rows, columns, squeeze=False)
        for ax, (name, counts) in zip(axes.flat, found.items(), strict=False):
            length_histogram(ax, counts)
            ax.set_xlim(min(*counts, SHORTEST) - 0.7, max(*counts, LONGEST) + 0.7)
            ax.xaxis.set_major_locator(MaxNLocator(5, integer=True))
            ax.set_title(literal(name))
        for ax in axes.flat[len(found) :]:
            ax.set_visible(False)
        path = place.results("lengths") / "lengths.png"
        save_figure(figure, path)
    usual = {name: _usual(counts) for name, counts in found.items()}
    numbers = [
        Number(f"share of 110 ± 2 bases, {name}", share, n=sum(found[name].values()),
               paper=USUAL_LENGTHS if name.startswith("train") else None,
               note="Above 0.96, as in the paper." if share > USUAL_LENGTHS else "")
        for name, share in usual.items()
    ]  # fmt: skip
    values: dict[str, list[Any]] = {
        "data set": list(found),
        "rows": [f"{sum(counts.values()):,}" for counts in found.values()],
        "shortest": [min(counts) for counts in found.values()],
        "most frequent": [Counter(counts).most_common(1)[0][0] for counts in found.values()],
        "longest": [max(counts) for counts in found.values()],
    }
    picture = Picture(place.relative(path), "Lengths of the constructs, adapters included.", values)
    about = "The paper says that more than 0.96 of its training rows have 110 ± 2 bases."
    return StepResult(sentences=[about], numbers=numbers, pictures=[picture])


def _lengths(data: Dataset) -> dict[int, int]:
    return check(data, by="sequence").construct_lengths


def _usual(counts: dict[int, int]) -> float:
    total = sum(counts.values())
    return sum(n for length, n in counts.items() if 108 <= length <= 112) / total


def length_commands(place: Place) -> list[str]:
    """The step ``lengths`` as commands."""
    names = (*TRAINING_SETS[1:], *TEST_SETS)
    return [f"crmnet data check data/{name} -o results/lengths/{name}" for name in names]
