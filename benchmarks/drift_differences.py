"""Differences of expression along random drift: predicted against measured.

    python benchmarks/drift_differences.py MODEL --complex FILE --defined FILE --starts FILE

The files are Drift_delta_complex.csv and Drift_delta_defined.csv (public data sets
drift-delta-complex and drift-delta-defined; Vaishnav et al. 2022). They have one row for each of
three promoters that drift made from one random start by 1, 2 and 3 substitutions, and the measured
expression of the start minus that of the promoter. They do not contain the start. --starts names
measurements of the DREAM challenge 2022, which do: the start is the only sequence there that
differs from the promoters of a family in 1, 2 and 3 bases. Without --starts it is reconstructed as
the only sequence with these distances. Families without such a sequence, or with several, are left
out and counted.

The score is Pearson's r of predicted and measured differences, with a 95 % interval bootstrapped by
family. The files also have the differences that the transformer of Vaishnav et al. predicts, which
are scored on the same rows. MODEL should not have been trained on these promoters: the script
compares them with the sample of training rows in its record, and warns.

Predictions are stored in --scratch; a run that was interrupted continues with them.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import itertools
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from measuring import add_output, add_scratch, write_result

from crmnet.data.dataset import Dataset
from crmnet.data.leaks import copies
from crmnet.data.sequences import read_promoters
from crmnet.data.sketch import Sketch, sketch_texts
from crmnet.files import write_atomically
from crmnet.prediction.predictor import Predictor
from crmnet.reports.wording import markdown_row, with_interval
from crmnet.runs.record import SKETCH
from crmnet.sequence import Tokens, decode, encode, sequence_lengths
from crmnet.statistics.metrics import Scored, estimate, resample, score

TRANSFORMER, LEGNET = "Vaishnav transformer", "MPRA-LegNet"
PUBLISHED = {
    "complex": {TRANSFORMER: 0.8771, LEGNET: 0.8796},
    "defined": {TRANSFORMER: 0.8491, LEGNET: 0.8529},
}
"""Published r, on all rows of the files."""
HEADER = ["medium", "rows", "families", "model", "r on these rows", f"minus {TRANSFORMER}",
          "published, all rows"]  # fmt: skip
DISTANCES = [1, 2, 3]
"""Substitutions from the start to the three promoters of a family."""
NEAR = 10
"""Largest distance between promoters of one family, in bases; those of others differ in half."""

Floats = npt.NDArray[np.float64]


class Drift(NamedTuple):
    """Rows of one file whose start is known."""

    promoters: list[str]
    starts: list[str]
    family: npt.NDArray[np.int64]
    measured: Floats
    published: Floats
    """Differences that the transformer of Vaishnav et al. predicts."""
    total: int
    """Rows of the file."""


def families(tokens: Tokens) -> list[npt.NDArray[np.int64]]:
    """Rows of each family: promoters that differ in few bases."""
    one_hot = (tokens[:, :, None] == np.arange(4)).reshape(len(tokens), -1).astype(np.float32)
    distance = tokens.shape[1] - one_hot @ one_hot.T
    first = (distance <= NEAR).argmax(axis=1)  # the first near row is the same for all of a family
    return [np.nonzero(first == row)[0] for row in np.unique(first)]


def start_of(promoters: Tokens) -> Tokens | None:
    """The only sequence with distances 1, 2 and 3 from three promoters; None if there is not one.

    At each position it has the base of one of the promoters.
    """
    if len(promoters) != len(DISTANCES):
        return None
    columns = np.nonzero((promoters != promoters[0]).any(axis=0))[0]
    found = []
    for bases in itertools.product(*(np.unique(promoters[:, column]) for column in columns)):
        candidate = promoters[0].copy()
        candidate[columns] = bases
        if sorted((promoters != candidate).sum(axis=1).tolist()) == DISTANCES:
            found.append(candidate)
    return found[0] if len(found) == 1 else None


def start_among(promoters: Tokens, candidates: Tokens) -> Tokens | None:
    """The only candidate with three different distances of 1, 2 or 3; None if there is not one.

    A family of which a promoter is missing has two of these distances.
    """
    distances = np.stack([(candidates != promoter).sum(axis=1) for promoter in promoters])
    ordered = np.sort(distances, axis=0)
    is_start = (ordered[0] >= DISTANCES[0]) & (ordered[-1] <= DISTANCES[-1])
    is_start &= (np.diff(ordered, axis=0) > 0).all(axis=0)
    found = candidates[is_start]
    return found[0] if len(found) == 1 else None


def candidate_starts(path: Path, length: int) -> Tokens:
    """Different sequences of a file with ``length`` positions, adapters included."""
    tokens = read_promoters(path, measured=False).tokens
    tokens = tokens[sequence_lengths(tokens) == length, :length]
    return np.unique(tokens, axis=0)


def read_drift(path: Path, starts_file: Path | None = None) -> Drift:
    """Rows of a file, with the start of each family."""
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    tokens = encode([row["sequence"] for row in rows])[0]
    measured, published = (
        np.array([float(row[f"{name} Expression"]) for row in rows])
        for name in ("Measured", "Predicted")
    )
    candidates = None if starts_file is None else candidate_starts(starts_file, tokens.shape[1])
    kept, starts, numbers = [], [], []
    for number, family in enumerate(families(tokens)):
        if candidates is None:
            start = start_of(tokens[family])
        else:
            start = start_among(tokens[family], candidates)
        if start is not None:
            kept += family.tolist()
            starts += decode(start[None]) * len(family)
            numbers += [number] * len(family)
    promoters = [rows[row]["sequence"] for row in kept]
    return Drift(promoters, starts, np.array(numbers), measured[kept], published[kept], len(rows))


def predicted_differences(predictor: Predictor, drift: Drift, medium: str, folder: Path) -> Floats:
    """Expression of the start minus that of the promoter, stored in ``folder``."""
    rows = hashlib.sha256(" ".join([*drift.starts, *drift.promoters]).encode()).hexdigest()
    store = folder / f"drift_{medium}_{predictor.identity[:12]}_{rows[:12]}.npy"
    if store.exists():
        return np.load(store)
    distinct, inverse = np.unique([*drift.starts, *drift.promoters], return_inverse=True)
    expression = predictor.predict(distinct.tolist(), medium=medium).astype(float)
    start, promoter = np.split(expression[inverse.reshape(-1)], 2)
    write_atomically(store, lambda part: np.save(part.open("wb"), start - promoter))
    return start - promoter


def seen_in_training(predictor: Predictor, drift: Drift, against: Path | None) -> str:
    """Whether the promoters or their starts are training rows of the model.

    ``against`` is its training data; None looks at the samples of rows in the model's records.
    """
    tokens = predictor.prepare(sorted({*drift.promoters, *drift.starts}))
    texts = {text for r in predictor.records for text in sketch_texts(r.data.get(SKETCH))}
    if against is not None:
        found = int(copies(tokens, Dataset.open(against).tokens).sum())
        counts = f"{found:,} of {len(tokens):,} promoters are in {against.name}"
        return f"WARNING: {counts}; r is optimistic" if found else counts
    if not texts:
        return (
            "not checked for training rows: the records of the model have no sample of them; name "
            "the training data with --against"
        )
    most = max((Sketch.from_text(text).overlap(tokens) for text in texts), key=lambda o: o.share)
    counts = f"{most.shared:,} of {most.checked:,} promoters that could be checked"
    if most.shared:
        return f"WARNING: the model was trained on {counts}; r is optimistic"
    return f"the model was trained on 0 of {most.checked:,} promoters that could be checked"


def table_rows(
    medium: str, drift: Drift, predictions: dict[str, Floats], resamples: int
) -> tuple[list[str], dict[str, object]]:
    """Rows of the printed table, and the results by model, for one file."""
    sets = {
        name: Scored(medium, drift.measured, predicted, drift.family)
        for name, predicted in predictions.items()
    }
    r = {name: score(s.measured, s.predicted)["pearson"] for name, s in sets.items()}
    samples = {
        name: resample(scored, resamples, ranks=False)["pearson"] for name, scored in sets.items()
    }
    rows, results = [], {}
    for name, scored in sets.items():
        value = vars(estimate(r[name], samples[name]))
        paired = samples[name] - samples[TRANSFORMER]
        difference = vars(estimate(r[name] - r[TRANSFORMER], paired))
        n, n_families = len(scored.measured), len(set(drift.family.tolist()))
        results[name] = {"n": n, "families": n_families, "pearson": value,
                         "minus_transformer": difference}  # fmt: skip
        published = PUBLISHED[medium].get(name)
        rows.append(markdown_row([
            medium, f"{n:,}", f"{n_families:,}", name, with_interval(value),
            "–" if name == TRANSFORMER else with_interval(difference),
            "–" if published is None else f"{published:.4f}",
        ]))  # fmt: skip
    legnet = f"{PUBLISHED[medium][LEGNET]:.4f}"
    rows.append(markdown_row([medium, f"{drift.total:,}", "–", LEGNET, "–", "–", legnet]))
    return rows, results


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", help="run folder, packed file or bundled model")
    parser.add_argument("--complex", type=Path, help="Drift_delta_complex.csv")
    parser.add_argument("--defined", type=Path, help="Drift_delta_defined.csv")
    parser.add_argument("--starts", type=Path, help="sequences among which the starts are")
    parser.add_argument("--against", type=Path, help="data set that the model was trained on")
    parser.add_argument("--resamples", type=int, default=1000, help="of the bootstrap")
    add_scratch(parser)
    add_output(parser)
    options = parser.parse_args()
    options.scratch.mkdir(parents=True, exist_ok=True)
    predictor = Predictor.load(options.model)
    print(markdown_row(HEADER))
    print(markdown_row(["---"] * len(HEADER)))
    results, notes = {}, []
    for medium in PUBLISHED:
        if (path := getattr(options, medium)) is None:
            continue
        drift = read_drift(path, options.starts)
        predicted = predicted_differences(predictor, drift, medium, options.scratch)
        predictions = {predictor.name or "model": predicted, TRANSFORMER: drift.published}
        rows, results[medium] = table_rows(medium, drift, predictions, options.resamples)
        print("\n".join(rows))
        notes.append(
            f"{medium}: {len(drift.promoters):,} of {drift.total:,} rows have a known "
            f"start; {seen_in_training(predictor, drift, options.against)}"
        )
    print("\n" + "\n".join(notes))
    command = (
        f"python benchmarks/drift_differences.py {predictor.name} --complex "
        "Drift_delta_complex.csv --defined Drift_delta_defined.csv"
        + " --starts FILE"
        * (options.starts is not None)
    )
    write_result(
        options.output, f"drift_differences_{predictor.name}", command, results=results, notes=notes
    )


if __name__ == "__main__":
    main()
