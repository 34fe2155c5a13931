"""Training rows whose labels are a model's predictions, for a smaller network to learn from.

Takes a model and a data set, gives a data set like any other: the promoters of the first, then as
many relatives of them as asked for, each in one of the model's media, labelled by the model. A
network trained on them (recipe ``yeast-fast``) learns what the model says (Hinton, Vinyals & Dean
2015), and there can be more of them than anybody measured.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from crmnet.data.dataset import Dataset
from crmnet.data.splits import families
from crmnet.data.subset import finish_derived
from crmnet.data.writer import DatasetWriter, EncodedRows, new_folder
from crmnet.files import check_source_stays
from crmnet.perturb import cross, substitute
from crmnet.prediction.predictor import Predictor
from crmnet.sequence import Tokens, inserts, prepare, sequence_lengths

CHUNK = 4096


@dataclass(frozen=True)
class DistilOptions:
    """Which promoters are made, and how many."""

    promoters: int = 200_000
    """The data set's own come first; relatives of them fill up."""
    most_exchanged: float = 0.3
    """Mutants have a share of their bases exchanged that is drawn evenly between 0 and this."""
    crossed: float = 0.5
    """Share of the relatives that are crossed from two promoters, not mutated."""
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
    destination: Path,
    options: DistilOptions | None = None,
    *,
    overwrite: bool = False,
    progress: Callable[[int], None] = lambda promoters: None,
) -> Dataset:
    """Label a data set's promoters, and relatives of them, with a model's predictions.

    Every promoter stands in one row, in a medium drawn at random from the model's, and belongs to
    the family of the promoter it was made of (the first of two).

    Args:
        predictor: Who labels.
        dataset: Whose promoters; its labels and media are not looked at.
        destination: Data set folder to make.
        options: See :class:`DistilOptions`.
        overwrite: Replace a data set of that name.
        progress: Called with the number of promoters labelled so far.

    Raises:
        FileExistsError: If ``destination`` exists and may not be overwritten.
        ValueError: If it is the data set itself.
    """
    options = options or DistilOptions()
    check_source_stays(dataset.path, destination)
    rng = np.random.default_rng(options.seed)
    tokens, parent = relatives(dataset, options, rng)
    family = np.asarray(families(dataset))[parent]
    medium = rng.integers(len(predictor.media), size=len(tokens))
    with new_folder(destination, overwrite) as folder, DatasetWriter(folder) as writer:
        for start in range(0, len(tokens), CHUNK):
            here = slice(start, start + CHUNK)
            predicted = predictor.predict_tokens(tokens[here])
            labels = np.take_along_axis(predicted, medium[here, None], axis=1)[:, 0]
            rows = EncodedRows(
                tokens[here], labels, medium[here], predictor.media, family[here],
                units=predictor.units,
            )  # fmt: skip
            writer.append(rows, dataset.name)
            progress(writer.rows)
        lengths = Counter(sequence_lengths(tokens).tolist())
        made_by = {"labelled_by": predictor.identity, "distil": asdict(options)}
        finish_derived(writer, dataset, lengths, "none", made_by)
    return Dataset.open(destination)


def relatives(
    dataset: Dataset, options: DistilOptions, rng: np.random.Generator
) -> tuple[Tokens, npt.NDArray[np.int64]]:
    """Prepared tokens ``(N, 112)`` and, for each, the row of the data set it was made of.

    The data set's own promoters come first, each once. Mutants and crosses differ from them in the
    insert only, and keep its length.
    """
    _, own = np.unique(np.asarray(dataset.tokens), axis=0, return_index=True)
    own = rng.permutation(own)[: options.promoters]
    more = options.promoters - len(own)
    parent = np.concatenate([own, rng.choice(own, more)])
    bases, lengths = inserts(np.asarray(dataset.tokens)[parent])
    new = slice(len(own), None)
    crossed = rng.random(more) < options.crossed
    cut = rng.integers(0, np.maximum(lengths[new], 1))
    other = rng.integers(0, len(own), more)
    crossed &= lengths[other] == lengths[new]
    rate = np.where(crossed, 0.0, rng.uniform(0, options.most_exchanged, more))
    children = substitute(bases[new], rate, rng)
    children[crossed] = cross(bases[new], bases[other], cut)[crossed]
    bases[new] = children
    return prepare(bases, lengths, "add")[0], parent
