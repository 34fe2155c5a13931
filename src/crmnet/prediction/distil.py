"""Distillation: a training set labelled by a model, from which another network learns.

:func:`distil` takes a model and a data set and returns a data set for ``crmnet train``. Its rows
are promoters of the given data set and new ones (:mod:`crmnet.data.unmeasured`), labelled with the
model's predictions; measured rows may be added. A network that is trained on these rows learns the
model's predictions (Hinton, Vinyals & Dean 2015). The new data set can have more rows than were
measured.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field

import numpy as np
import numpy.typing as npt

from crmnet.data.dataset import LABELLED_BY, Dataset
from crmnet.data.hashes import Hashes, insert_hashes
from crmnet.data.leaks import share_kmers
from crmnet.data.opening import warn_of_other_flanks
from crmnet.data.splits import families
from crmnet.data.subset import append_rows, finish_derived
from crmnet.data.unmeasured import (
    DERIVED,
    NO_PARENT,
    Inserts,
    MarkovChain,
    NewPromoters,
    Recipe,
    new_promoters,
)
from crmnet.data.writer import DatasetWriter, EncodedRows, new_folder
from crmnet.files import PathLike, check_source_stays
from crmnet.prediction.predictor import Predictor
from crmnet.sequence import LENGTH, WARNING, sequence_lengths

log = logging.getLogger("crmnet")

CHUNK = 1 << 15
"""Number of new promoters generated, compared and labelled at a time."""
FEWEST = 1000
"""Smallest number of promoters generated at a time; some of them may be left out."""


@dataclass(frozen=True)
class DistilOptions:
    """Number and kinds of promoters, and how their labels are stored."""

    promoters: int = 200_000
    """Number of labelled promoters."""
    label_own: bool = True
    """Label the promoters of the data set first, each once; new promoters follow."""
    recipe: Recipe = field(default_factory=Recipe)
    """Kinds of the new promoters."""
    medium: str | None = None
    """Name of the medium of the labels, for a model with one medium; None: as in the model."""
    with_measured: bool = False
    """Write the measured rows of the data set as well, in front of the labelled ones."""
    seed: int = 0

    def __post_init__(self) -> None:
        if self.promoters < 1:
            raise ValueError(f"promoters must be at least 1; got {self.promoters}")


def distil(
    predictor: Predictor,
    dataset: Dataset,
    destination: PathLike,
    options: DistilOptions | None = None,
    *,
    native: MarkovChain | None = None,
    without: Sequence[npt.ArrayLike] = (),
    overwrite: bool = False,
    progress: Callable[[int], None] = lambda promoters: None,
) -> Dataset:
    """Label promoters of a data set, and new ones, with a model.

    Every promoter is one row, in a medium sampled at random from those of the model. A derived
    promoter belongs to the family of the row from which it is derived (of a cross: the left one).
    A new promoter that shares a 20-mer with ``without`` is left out; another one takes its place.

    Args:
        predictor: The model that labels.
        dataset: Source of promoters; its labels are not used, unless ``with_measured``.
        destination: Data set folder to create.
        options: See :class:`DistilOptions`.
        native: Composition of native-like promoters.
        without: Constructs ``(M, L)`` of test sets; no new promoter is related to them.
        overwrite: Replace an existing data set.
        progress: Called with the number of promoters labelled so far.

    Raises:
        FileExistsError: If ``destination`` exists and ``overwrite`` is False.
        ValueError: If ``destination`` is the data set itself, the model has several media and
            ``options.medium`` names one, or ``without`` leaves almost nothing.
    """
    options = options or DistilOptions()
    check_source_stays(dataset.path, destination)
    warn_of_other_flanks(dataset, predictor.flanks, f"the training data of {predictor.name}")
    media = _label_media(predictor, options)
    units = dict(zip(media, map(predictor.units.get, predictor.media), strict=True))
    known_units = {medium: unit for medium, unit in units.items() if unit is not None}
    rng = np.random.default_rng(options.seed)
    family = np.asarray(families(dataset))
    lengths: Counter[int] = Counter()
    labelled = 0
    with new_folder(destination, overwrite) as folder, DatasetWriter(folder) as writer:
        if options.with_measured:
            lengths.update(_append_measured(writer, dataset, family))
        for promoters in _promoters(dataset, options, rng, native, without):
            medium = rng.integers(len(media), size=len(promoters.tokens))
            predicted = predictor.predict_tokens(promoters.tokens)
            labels = np.take_along_axis(predicted, medium[:, None], axis=1)[:, 0]
            kin = _families(promoters, family)
            rows = EncodedRows(promoters.tokens, labels, medium, media, kin, units=known_units)
            writer.append(rows, f"labels for {dataset.name}")
            lengths.update(sequence_lengths(promoters.tokens).tolist())
            labelled += len(labels)
            progress(labelled)
        origin = {LABELLED_BY: predictor.identity, "distil": asdict(options)}
        finish_derived(writer, dataset, lengths, dataset.manifest["flanks"], origin)
    return Dataset.open(destination)


def _append_measured(writer: DatasetWriter, dataset: Dataset, family: Hashes) -> Counter[int]:
    """Append all rows of a data set, without weights, which labelled rows do not have."""
    if dataset.weight is not None:
        log.info("%s: the weights of rows are left out; labels of a model have none", dataset.path)
    return append_rows(writer, dataset, np.arange(len(dataset)), family, weights=False)


def _label_media(predictor: Predictor, options: DistilOptions) -> list[str]:
    """Names of the media in which labels are stored."""
    if options.medium is None:
        return predictor.media
    if len(predictor.media) > 1:
        raise ValueError(
            f"the model predicts {', '.join(predictor.media)}; only the labels of a model with one "
            "medium can have another name"
        )
    return [options.medium]


def _families(promoters: NewPromoters, family: Hashes) -> Hashes:
    """Family of each promoter: that of its parent, or a new one if it has no parent."""
    new_family = insert_hashes(promoters.tokens)
    return np.where(promoters.parent == NO_PARENT, new_family, family[promoters.parent])


def _promoters(
    dataset: Dataset,
    options: DistilOptions,
    rng: np.random.Generator,
    native: MarkovChain | None,
    without: Sequence[npt.ArrayLike],
) -> Iterator[NewPromoters]:
    """The promoters to label, in chunks: those of the data set, then new ones."""
    _, rows = np.unique(np.asarray(dataset.tokens), axis=0, return_index=True)
    left = options.promoters
    if options.label_own:
        rows = rng.permutation(rows)[:left]
        for start in range(0, len(rows), CHUNK):
            chunk = rows[start : start + CHUNK]
            yield NewPromoters(np.asarray(dataset.tokens[chunk]), chunk)
        left -= len(rows)
    source = Inserts.of(dataset, rows)
    if left and source.too_long and any(options.recipe.shares.get(kind) for kind in DERIVED):
        log.warning(
            "%s%s: %s sequences are longer than %d bases with adapters; promoters derived from "
            "them are cut at the end", WARNING, dataset.name, f"{source.too_long:,}", LENGTH,
        )  # fmt: skip
    while left:
        n = min(CHUNK, max(left, FEWEST))
        unrelated = _unrelated(new_promoters(source, n, options.recipe, rng, native), without)
        tokens, parent = unrelated.tokens[:left], unrelated.parent[:left]
        left -= len(tokens)
        yield NewPromoters(tokens, parent)


def _unrelated(promoters: NewPromoters, without: Sequence[npt.ArrayLike]) -> NewPromoters:
    """The promoters that share no 20-mer with the given constructs."""
    related = np.zeros(len(promoters.tokens), dtype=bool)
    for constructs in without:
        related |= share_kmers(promoters.tokens, constructs)
    if related.all():
        raise ValueError(
            f"all of {len(related):,} new promoters share a 20-mer with the sets to leave out; "
            "derive promoters from a data set that is not related to them"
        )
    return NewPromoters(promoters.tokens[~related], promoters.parent[~related])
