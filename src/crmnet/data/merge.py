"""Joins the rows of several data sets in a new data set: ``crmnet data merge``.

:mod:`crmnet.data.subset` writes fewer rows of one data set, this module all rows of many.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict

import numpy as np

from crmnet.data.dataset import Dataset
from crmnet.data.subset import append_rows
from crmnet.data.writer import DatasetWriter, new_folder
from crmnet.files import PathLike, check_source_stays
from crmnet.sequence import WARNING, Preparation

log = logging.getLogger("crmnet")


def merge(
    datasets: Sequence[Dataset], destination: PathLike, *, overwrite: bool = False
) -> Dataset:
    """Write all rows of several data sets as one, in the given order.

    Families of one name in two data sets become one family. Weights are kept if every data set has
    them; if only some have, a warning names one that has none.

    Args:
        datasets: Opened data sets.
        destination: Folder to create.
        overwrite: Replace an existing data set.

    Raises:
        FileExistsError: If ``destination`` exists and may not be overwritten.
        ValueError: If only some of the data sets have families, labels of one medium have different
            units, one data set is given twice, or one of them would be replaced.
    """
    _check_sources(datasets, destination)
    has_families = _all_or_none_have_families(datasets)
    weights = _all_have_weights(datasets)
    lengths: Counter[int] = Counter()
    with new_folder(destination, overwrite) as folder:
        packed = any(dataset.manifest.get("packed") for dataset in datasets)
        with DatasetWriter(folder, packed=packed) as writer:
            for dataset in datasets:
                rows = np.arange(len(dataset))
                family = dataset.family if has_families else None
                lengths.update(append_rows(writer, dataset, rows, family, weights=weights))
            writer.finish(
                flanks=_common_flanks(datasets),
                preparation=asdict(Preparation(total=writer.rows)),
                lengths={str(n): count for n, count in sorted(lengths.items())},
                rows_read=writer.rows,
                rejected={},
                sources=[
                    {"file": d.name, "rows_read": len(d), "rows_taken": len(d)} for d in datasets
                ],
                merged=[{"name": d.name, "fingerprint": d.fingerprint} for d in datasets],
            )
    return Dataset.open(destination)


def _check_sources(datasets: Sequence[Dataset], destination: PathLike) -> None:
    paths = [dataset.path.resolve() for dataset in datasets]
    for dataset, path in zip(datasets, paths, strict=True):
        check_source_stays(dataset.path, destination)
        if paths.count(path) > 1:
            raise ValueError(f"{dataset.path} is given twice; its rows would count twice")


def _all_or_none_have_families(datasets: Sequence[Dataset]) -> bool:
    without = [dataset for dataset in datasets if dataset.family is None]
    if without and len(without) < len(datasets):
        raise ValueError(
            f"{without[0].path} has no families, other data sets have; give it families with "
            "`crmnet data split`, or ingest it with a family column"
        )
    return not without


def _all_have_weights(datasets: Sequence[Dataset]) -> bool:
    without = [dataset for dataset in datasets if dataset.weight is None]
    if without and len(without) < len(datasets):
        log.warning(
            "%sthe weights of rows are left out: %s has none; ingest it with a weight column to "
            "keep them", WARNING, without[0].path,
        )  # fmt: skip
    return not without


def _common_flanks(datasets: Sequence[Dataset]) -> str:
    """The ``flanks`` of all data sets, or ``mixed``; warns if only some were made with ``none``."""
    flanks = [str(dataset.manifest["flanks"]) for dataset in datasets]
    if len(set(flanks)) == 1:
        return flanks[0]
    if not {"none", "mixed"} & set(flanks):
        return "mixed"
    log.warning(
        "%sthe data sets were made with different --flanks (%s): some rows have no adapters, and "
        "copies of long rows are not found in files (split --without, check --against)", WARNING,
        ", ".join(f"{d.name}: {made}" for d, made in zip(datasets, flanks, strict=True)),
    )  # fmt: skip
    return "mixed"
