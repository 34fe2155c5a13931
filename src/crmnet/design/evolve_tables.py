"""Tables of evolvability and robustness for the promoters of a file, written chunk by chunk.

:func:`write_robustness` takes chunks of promoters and writes up to three tables, which
``crmnet evolve robustness`` offers: a summary with one row for each promoter, all substitutions in
the order of position and new base, and the evolvability vectors. :func:`read_robustness` reads the
summary again, as the reference of percentiles.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import matplotlib
import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure

from crmnet import sequence
from crmnet.arrays import Floats, Floats32
from crmnet.choices import Digits
from crmnet.data.sequences import Promoters
from crmnet.design.evolve import EPSILON, PERCENTILES, Evolvability, evolve_chunk
from crmnet.figures.evolution import scatter_by_series, share_histogram
from crmnet.figures.style import STYLE
from crmnet.files import PathLike
from crmnet.prediction.predictor import Predictor
from crmnet.reports.figures import save_figure
from crmnet.reports.tables import TableWriter, for_reading, table_kind
from crmnet.sequence import LETTERS

if TYPE_CHECKING:
    import polars


def summary_names(media: Sequence[str], *, reference: bool = False) -> list[str]:
    """Names of :func:`summary_columns`, in order."""
    kinds = [
        "expression",
        "neutral",
        "robustness",
        *["percentile_robustness"] * reference,
        "lowest",
        "lowest_change",
        *[f"delta_p{percentile}" for percentile in PERCENTILES],
        "highest",
        "highest_change",
    ]
    return ["id", "bases", "mutants", "epsilon", *[f"{k}_{m}" for m in media for k in kinds]]


def summary_columns(
    found: Evolvability, reference: Mapping[str, Floats] | None = None
) -> dict[str, Iterable[Any]]:
    """Columns of the summary: one row for each promoter.

    Args:
        found: The promoters.
        reference: Medium → robustness of other promoters; adds the percentile among them.
    """
    columns: dict[str, Iterable[Any]] = {
        "id": found.ids,
        "bases": (found.mutants // 3),
        "mutants": found.mutants,
        "epsilon": np.full(len(found.ids), found.epsilon),
    }
    robustness, vectors = found.robustness, found.vectors
    neutral, percentiles = found.neutral, found.percentiles()
    last = np.maximum(found.mutants - 1, 0)
    rows = np.arange(len(found.ids))
    ends = {
        "lowest": (found.extreme_changes(-1), vectors[:, :, 0]),
        "highest": (found.extreme_changes(1), vectors[rows, :, last]),
    }
    for m, medium in enumerate(found.media):
        columns[f"expression_{medium}"] = found.expression[:, m]
        columns[f"neutral_{medium}"] = neutral[:, m]
        columns[f"robustness_{medium}"] = robustness[:, m]
        if reference is not None:
            columns[f"percentile_robustness_{medium}"] = percentile_among(
                robustness[:, m], reference[medium]
            )
        for p, percentile in enumerate(PERCENTILES):
            columns[f"delta_p{percentile}_{medium}"] = percentiles[:, m, p]
        for name, (texts, values) in ends.items():
            columns[f"{name}_{medium}"] = texts[m]
            columns[f"{name}_change_{medium}"] = values[:, m]
    return columns


def change_names(media: Sequence[str]) -> list[str]:
    """Names of :func:`change_columns`, in order."""
    return ["id", "position", "reference", "alternative", *[f"delta_{m}" for m in media]]


def change_columns(found: Evolvability) -> dict[str, Iterable[Any]]:
    """Columns of all substitutions, not sorted by change: by promoter, position and new base."""
    row, position, base = np.nonzero(~np.isnan(found.changes).any(axis=1))
    letters = np.array(list(LETTERS))
    return {
        "id": [found.ids[n] for n in row.tolist()],
        "position": found.first[row] + position,
        "reference": letters[found.inserts[row, position]],
        "alternative": letters[base],
        **{
            f"delta_{medium}": found.changes[row, m, position, base]
            for m, medium in enumerate(found.media)
        },
    }


def vector_names(longest: int) -> list[str]:
    """Names of :func:`vector_columns` for inserts of at most ``longest`` bases."""
    return ["id", "medium", "mutants", *[f"delta_{n + 1}" for n in range(3 * longest)]]


def vector_columns(found: Evolvability, longest: int) -> dict[str, Iterable[Any]]:
    """Columns of sorted vectors: one row for each promoter and medium, empty after the last.

    Raises:
        ValueError: If an insert is longer than ``longest``.
    """
    media = len(found.media)
    if (most := int(found.mutants.max(initial=0))) > 3 * longest:
        name = found.ids[int(found.mutants.argmax())]
        raise ValueError(
            f"{name!r} has {most // 3} bases; the table of vectors has columns for inserts of at "
            f"most {longest}: give shorter inserts, or pass --flanks none"
        )
    vectors = np.full((len(found.ids), media, 3 * longest), np.nan, dtype=np.float32)
    kept = found.vectors[:, :, : 3 * longest]
    vectors[:, :, : kept.shape[2]] = kept
    flat = vectors.reshape(-1, 3 * longest)
    return {
        "id": [name for name in found.ids for _ in range(media)],
        "medium": list(found.media) * len(found.ids),
        "mutants": np.repeat(found.mutants, media),
        **{f"delta_{n + 1}": flat[:, n] for n in range(3 * longest)},
    }


def percentile_among(values: npt.ArrayLike, others: npt.ArrayLike) -> Floats:
    """Percentile 0–100 of each value among other values; equal values count half.

    NaN for a NaN. NaN among the others do not count.
    """
    values, others = np.asarray(values, dtype=float), np.asarray(others, dtype=float)
    others = np.sort(others[~np.isnan(others)])
    below, up_to = (np.searchsorted(others, values, side) for side in ("left", "right"))
    return np.where(np.isnan(values), np.nan, 50 * (below + up_to) / max(len(others), 1))


def read_robustness(path: PathLike, media: Sequence[str], epsilon: float) -> dict[str, Floats]:
    """Medium → robustness, from a table of ``crmnet evolve robustness``.

    Raises:
        FileNotFoundError: If the table does not exist.
        ValueError: If it is another table, has another ε or lacks a medium.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file")
    table = _numbers(path, ["epsilon", "mutants", *[f"neutral_{medium}" for medium in media]])
    if table["epsilon"].null_count():
        raise ValueError(
            f"{path} is not a table of crmnet evolve robustness: a field of its column 'epsilon' "
            "is empty"
        )
    others = set(table["epsilon"].round(9).to_list()) - {round(epsilon, 9)}
    if others:
        other = min(others)
        raise ValueError(
            f"{path} was made with epsilon {other:g}, not {epsilon:g}; pass --epsilon {other:g}, "
            "or make it again"
        )
    mutants = np.maximum(table["mutants"].to_numpy(), 1)
    return {
        medium: np.where(table["mutants"] > 0, table[f"neutral_{medium}"] / mutants, np.nan)
        for medium in media
    }


def _numbers(path: Path, names: Sequence[str]) -> polars.DataFrame:
    """Columns of a table of ``crmnet evolve robustness`` as numbers; others may hold any text.

    Raises:
        ValueError: If it is another table, lacks a column, or a field is not a number.
    """
    import polars

    kind = table_kind(path)
    try:
        if kind == "parquet":
            table = polars.scan_parquet(path)
        else:
            table = polars.scan_csv(
                path, separator="," if kind == "csv" else "\t", infer_schema_length=0
            )
        known = table.collect_schema().names()
        for column in names:
            if column not in known:
                raise ValueError(
                    f"{path} has no column {column!r}; write it with crmnet evolve robustness and "
                    "the same model"
                )
        return table.select(polars.col(names).cast(polars.Float64)).collect()
    except polars.exceptions.PolarsError as error:
        raise ValueError(f"{path} is not a table of crmnet evolve robustness: {error}") from None


@dataclass(frozen=True)
class Outputs:
    """Files of :func:`write_robustness`; None is not written."""

    summary: PathLike
    changes: PathLike | None = None
    vectors: PathLike | None = None
    digits: Digits = "rounded"


class Summary(NamedTuple):
    """What :func:`write_robustness` did."""

    preparation: sequence.Preparation
    robustness: Floats32
    """``(B, M)``."""
    expression: Floats32
    """``(B, M)``."""


def write_robustness(
    predictor: Predictor,
    chunks: Iterable[Promoters],
    outputs: Outputs,
    media: Sequence[str],
    epsilon: float = EPSILON,
    *,
    reference: Mapping[str, Floats] | None = None,
    longest: int = sequence.INSERT,
    progress: Callable[[int], None] | None = None,
) -> Summary:
    """Write the tables of robustness, chunk by chunk; memory does not grow with the file.

    Args:
        predictor: The model.
        chunks: From :func:`crmnet.design.neighbours.read_in_chunks`.
        outputs: The files.
        media: Some of the model's media.
        epsilon: Smallest change that counts.
        reference: From :func:`read_robustness`; adds a percentile.
        longest: Bases of the longest insert in the table of vectors.
        progress: Called with the number of promoters that are done.
    """
    preparation, kept, done = sequence.Preparation(), [], 0
    writers = {
        "summary": (outputs.summary, summary_names(media, reference=reference is not None)),
        "changes": (outputs.changes, change_names(media)),
        "vectors": (outputs.vectors, vector_names(longest)),
    }
    with ExitStack() as stack:
        tables = {
            name: stack.enter_context(TableWriter(path, columns))
            for name, (path, columns) in writers.items()
            if path is not None
        }
        for promoters in chunks:
            found = evolve_chunk(predictor, promoters, media, epsilon)
            for name, table in tables.items():
                columns = _columns(name, found, reference, longest)
                table.write(rounded(columns, table.path, outputs.digits))
            preparation, done = preparation + promoters.preparation, done + len(found.ids)
            kept.append((found.robustness.astype(np.float32), found.expression))
            if progress is not None:
                progress(done)
    robustness, expression = (np.concatenate(part) for part in zip(*kept, strict=True))
    return Summary(preparation, robustness, expression)


def _columns(
    name: str, found: Evolvability, reference: Mapping[str, Floats] | None, longest: int
) -> dict[str, Iterable[Any]]:
    if name == "summary":
        return summary_columns(found, reference)
    return change_columns(found) if name == "changes" else vector_columns(found, longest)


def rounded(
    columns: Mapping[str, Iterable[Any]], path: PathLike, digits: Digits
) -> dict[str, Iterable[Any]]:
    """Columns for reading; ε keeps its digits, because another command compares it."""
    shares = [name for name in columns if name.startswith("robustness_")]
    shown = dict(for_reading(columns, path, digits, shares))
    return shown | {name: columns[name] for name in ("epsilon",) if name in columns}


def save_robustness(
    path: PathLike,
    summary: Summary,
    media: Sequence[str],
    epsilon: float = EPSILON,
) -> None:
    """Draw the distribution of robustness, and robustness against expression."""
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(8.4, 3.4), layout="constrained")
        left, right = figure.subplots(1, 2)
        columns = {medium: summary.robustness[:, m] for m, medium in enumerate(media)}
        share_histogram(left, columns, f"robustness: share of changes below {epsilon:g}")
        points = {
            medium: (summary.expression[:, m], summary.robustness[:, m])
            for m, medium in enumerate(media)
        }
        scatter_by_series(right, points, "predicted expression", "robustness")
        left.set_ylabel(f"promoters (n = {len(summary.robustness):,})")
        save_figure(figure, path)
