"""Distillation: training rows labelled by a model, from which a smaller network learns.

Takes a model and a data set, gives a data set for ``crmnet train``. Its rows are the promoters of
the given data set and as many promoters derived from them as requested. Each row is in one of the
model's media and is labelled with the model's prediction. A network trained on these rows (recipe
``yeast-fast``) learns the model's predictions (Hinton, Vinyals & Dean 2015). There can be more rows
than were ever measured.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass

import numpy as np
import numpy.typing as npt

from crmnet.data.dataset import Dataset
from crmnet.data.splits import families
from crmnet.data.subset import finish_derived
from crmnet.data.writer import DatasetWriter, EncodedRows, new_folder
from crmnet.files import PathLike, check_source_stays
from crmnet.perturb import cross, substitute
from crmnet.prediction.predictor import Predictor
from crmnet.sequence import Tokens, inserts, prepare, sequence_lengths

CHUNK_SIZE = 4096
"""Promoters labelled at a time."""


@dataclass(frozen=True)
class DistilOptions:
    """Number and kinds of promoters."""

    promoters: int = 200_000
    """Number of promoters: those of the data set first, then promoters derived from them."""
    most_exchanged: float = 0.3
    """Largest fraction of bases that is substituted in a mutant; the fraction is sampled uniformly
    between 0 and this value."""
    crossed: float = 0.5
    """Fraction of derived promoters that are crosses of two promoters instead of mutants."""
    seed: int = 0

    def __post_init__(self) -> None:
        if self.promoters < 1:
            raise ValueError(f"promoters must be at least 1; got {self.promoters}")
        for name in ("most_exchanged", "crossed"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} must be between 0 and 1; got {getattr(self, name)!r}")


def distil(
    predictor: Predictor,
    dataset: Dataset,
    destination: PathLike,
    options: DistilOptions | None = None,
    *,
    overwrite: bool = False,
    progress: Callable[[int], None] = lambda promoters: None,
) -> Dataset:
    """Label the promoters of a data set, and promoters derived from them, with a model.

    Every promoter is one row, in a medium sampled at random from those of the model. It belongs to
    the family of the promoter from which it is derived (of a cross: the left one).

    Args:
        predictor: The model that labels.
        dataset: Source of promoters; its labels and media are not used.
        destination: Data set folder to create.
        options: See :class:`DistilOptions`.
        overwrite: Replace an existing data set.
        progress: Called with the number of promoters labelled so far.

    Raises:
        FileExistsError: If ``destination`` exists and ``overwrite`` is False.
        ValueError: If ``destination`` is the data set itself.
    """
    options = options or DistilOptions()
    check_source_stays(dataset.path, destination)
    rng = np.random.default_rng(options.seed)
    tokens, parent = derived_promoters(dataset, options, rng)
    family = np.asarray(families(dataset))[parent]
    medium = rng.integers(len(predictor.media), size=len(tokens))
    with new_folder(destination, overwrite) as folder, DatasetWriter(folder) as writer:
        for start in range(0, len(tokens), CHUNK_SIZE):
            chunk = slice(start, start + CHUNK_SIZE)
            predicted = predictor.predict_tokens(tokens[chunk])
            labels = np.take_along_axis(predicted, medium[chunk, None], axis=1)[:, 0]
            rows = EncodedRows(
                tokens[chunk], labels, medium[chunk], predictor.media, family[chunk],
                units=predictor.units,
            )  # fmt: skip
            writer.append(rows, dataset.name)
            progress(writer.rows)
        lengths = Counter(sequence_lengths(tokens).tolist())
        origin = {"labelled_by": predictor.identity, "distil": asdict(options)}
        finish_derived(writer, dataset, lengths, "none", origin)
    return Dataset.open(destination)


def derived_promoters(
    dataset: Dataset, options: DistilOptions, rng: np.random.Generator
) -> tuple[Tokens, npt.NDArray[np.int64]]:
    """Prepared tokens ``(N, 112)``, and the row of the data set from which each is derived.

    The promoters of the data set come first, each once. Mutants and crosses differ from them only
    in the insert, whose length does not change.
    """
    _, own_rows = np.unique(np.asarray(dataset.tokens), axis=0, return_index=True)
    own_rows = rng.permutation(own_rows)[: options.promoters]
    n_derived = options.promoters - len(own_rows)
    parent = np.concatenate([own_rows, rng.choice(own_rows, n_derived)])
    bases, lengths = inserts(np.asarray(dataset.tokens)[parent])
    derived = slice(len(own_rows), None)
    crossed = rng.random(n_derived) < options.crossed
    cut = rng.integers(0, np.maximum(lengths[derived], 1))
    other = rng.integers(0, len(own_rows), n_derived)
    crossed &= lengths[other] == lengths[derived]
    rate = np.where(crossed, 0.0, rng.uniform(0, options.most_exchanged, n_derived))
    children = substitute(bases[derived], rate, rng)
    children[crossed] = cross(bases[derived], bases[other], cut)[crossed]
    bases[derived] = children
    return prepare(bases, lengths, "add")[0], parent
