"""An assay with a strong known signal, which tiny networks learn in seconds.

Expression rises with the share of G and C of the insert, and a site of REB1 adds to it. In defined
medium everything is lower. Measurement noise is small.
"""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np

from crmnet.data.dataset import Dataset
from crmnet.data.ingest import IngestOptions, ingest
from crmnet.sequence import decode, encode

SITE = "TTACCCGGG"
LENGTH = 80
BASE, PER_GC, SITE_EFFECT, DEFINED, NOISE = 2.0, 12.0, 2.0, -1.5, 0.2
FAMILY_SIZE = 3


def measure(folder: Path, rows: int, seed: int) -> Dataset:
    """Make a data set of ``rows`` rows in two media, ``folder/assay.tsv`` included.

    Each family is an insert and its point mutants; a third of the families have the site.
    """
    random = np.random.default_rng(seed)
    inserts = _inserts(-(-rows // FAMILY_SIZE), random)[:rows]
    defined = np.arange(rows) % 5 > 2
    labels = BASE + PER_GC * np.isin(inserts, [1, 2]).mean(1) + DEFINED * defined
    texts = decode(inserts, np.full(rows, LENGTH))
    labels += SITE_EFFECT * np.array([SITE in text for text in texts])
    labels += random.normal(0, NOISE, rows)
    raw = folder.with_name(f"{folder.name}-rows.tsv")
    with raw.open("w", newline="") as file:
        writer = csv.writer(file, delimiter="\t")
        writer.writerow(["id", "sequence", "expression", "medium", "family"])
        for row, (text, label, is_defined) in enumerate(zip(texts, labels, defined, strict=True)):
            medium = "defined" if is_defined else "complex"
            writer.writerow([f"p{row}", text, f"{label:.4f}", medium, f"f{row // FAMILY_SIZE}"])
    ingest([raw], folder, IngestOptions(flanks="add"))
    raw.rename(folder / "assay.tsv")
    return Dataset.open(folder)


def _inserts(families: int, random: np.random.Generator) -> np.ndarray:
    """``(families × FAMILY_SIZE, LENGTH)`` tokens: ancestors of any G + C content, and mutants."""
    strong = random.random((families, LENGTH)) < random.uniform(0.2, 0.8, (families, 1))
    tokens = np.where(strong, random.integers(1, 3, strong.shape), 0).astype(np.uint8)
    weak = ~strong
    tokens[weak] = random.choice([0, 3], weak.sum())
    site = encode([SITE])[0][0, : len(SITE)]
    for row in range(0, families, 3):
        start = random.integers(LENGTH - len(SITE))
        tokens[row, start : start + len(SITE)] = site
    tokens = np.repeat(tokens, FAMILY_SIZE, axis=0)
    mutants = np.arange(len(tokens)) % FAMILY_SIZE > 0
    for _ in range(3):
        places = random.integers(LENGTH, size=len(tokens))
        bases = random.integers(4, size=len(tokens))
        tokens[mutants, places[mutants]] = bases[mutants]
    return tokens
