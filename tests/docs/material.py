"""The files that the pages name, made once from an assay with a strong signal (signal_assay.py).

Each page gets a copy.
"""

from __future__ import annotations

import csv
import gzip
import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import signal_assay

from crmnet.data.dataset import Dataset
from crmnet.motifs.formats import as_meme
from crmnet.motifs.jaspar import yeast_motifs_named
from crmnet.sequence import decode, inserts
from support import settings

REB1 = "TTACCCGGGTCAAGTACGTGGCGCCATAGCTTGACGTACCCGGGATTAAGCTTGCATGCCTGCAGGTCGACTCTAGAGGA"
"""The promoter of README.md and docs/mutate.md, with a site of REB1 at its first base."""
LEARNING = ("epochs=4", "learning_rate=0.01", "refit_norms=true", "refit_scale=true")
"""With these a tiny network reaches r 0.87 on held-out families of the assay in two seconds."""
Rows = list[tuple[str, float]]


def make_material(folder: Path) -> None:
    """Write all files and models into ``folder``."""
    folder.mkdir()
    assays = {
        name: signal_assay.measure(folder / name, rows, seed)
        for seed, (name, rows) in enumerate(
            {"my-data": 500, "held-out": 300, "test": 120, "random": 120, "native": 120}.items()
        )
    }
    _write_data_sets(folder)
    _write_runs(folder, assays["my-data"])
    train, test = rows_of(assays["my-data"]), rows_of(assays["test"])
    _write_tables(folder, train, test)
    _write_promoters(folder, [insert for insert, _ in test])
    _write_genome(folder, [insert for insert, _ in train])
    (folder / "motifs").mkdir()
    motifs = as_meme(yeast_motifs_named(["REB1", "ABF1", "RAP1"]))
    (folder / "motifs" / "motifs.meme").write_text(motifs)


def rows_of(data: Dataset, medium: str = "complex") -> Rows:
    """Insert and label of each row in a medium."""
    chosen = np.flatnonzero(np.asarray(data.medium) == data.media.index(medium))
    texts = decode(*inserts(np.asarray(data.tokens)[chosen])[:2])
    return list(zip(texts, np.asarray(data.labels)[chosen].tolist(), strict=True))


def _write_data_sets(folder: Path) -> None:
    """Data sets that pages name and do not make: copies of ``my-data``."""
    for name in ("both", "both-media", "complex", "hq", "D"):
        shutil.copytree(folder / "my-data", folder / name)


def _write_runs(folder: Path, data: Dataset) -> None:
    """A run of a tiny network that has learned the signal, under each name of a run."""
    from crmnet.training.train import train

    names = ("my-run", "other-run", "run-1", "run-2", "run-3")
    train(settings(*LEARNING), data, folder / names[0])
    for name in names[1:]:
        shutil.copytree(folder / names[0], folder / name)


def _write_tables(folder: Path, train: Rows, test: Rows) -> None:
    noise = np.random.default_rng(0).normal(size=len(test)).tolist()
    guessed = [(row[0], row[1], row[1] + error) for row, error in zip(test, noise, strict=True)]
    for name in ("rows", "train", "complex", "defined", "complex_train"):
        _write_table(folder / f"{name}.tsv.gz", ["sequence", "expression"], train)
    _write_table(folder / "library.tsv.gz", ["sequence"], [row[:1] for row in train])
    _write_table(folder / "test.csv", ["sequence", "expression"], test)
    own = [(f"gene_{number}", *row) for number, row in enumerate(train)]
    _write_table(folder / "my_promoters.tsv", ["gene", "promoter_80bp", "yfp_rfp"], own)
    _write_table(
        folder / "native_complex_validation.tsv.gz",
        ["sequence", "expression", "replicate_1", "replicate_2"],
        [(row[0], row[1], row[1] + 0.1, row[2]) for row in guessed],
    )
    _write_table(folder / "table.csv", ["observed", "model_a"], [row[1:] for row in guessed])
    published = ["sequence", "Measured Expression", "Predicted Expression"]
    models = ("tpu", "gpu", "DanQ", "DeepAtt", "DeepSEA")
    names = ["Random_complex", "any_table", "danq", *(f"Random_test_{m}_model" for m in models)]
    for name in names:
        _write_table(folder / f"{name}.csv", published, guessed)


def _write_promoters(folder: Path, promoters: Sequence[str]) -> None:
    some = [promoter[:34] + "A" + promoter[35:] for promoter in promoters[:12]]  # for 35A>G
    _write_fasta(folder / "promoter.fasta", [REB1])
    for name in ("promoters", "native12", "native300", "native600", "native-promoters"):
        _write_fasta(folder / f"{name}.fasta", promoters if name == "native-promoters" else some)
    (folder / "promoters.txt").write_text("".join(f"{promoter}\n" for promoter in some))
    rows = [(f"p{n}", promoter, n % 17) for n, promoter in enumerate(some, 1)]
    _write_table(folder / "promoters.tsv", ["id", "sequence", "expression"], rows)
    haplotypes = [("YAL001C", some[0], 900), ("YAL001C", some[0][:-1] + "A", 11),
                  ("YAL001C", "A" + some[0][1:], 12)]  # fmt: skip
    _write_table(folder / "haplotypes.tsv", ["proName", "ortho_seq", "num_isolates"], haplotypes)


def _write_genome(folder: Path, promoters: Sequence[str]) -> None:
    """A contig with two promoters in a BED file, and variants in both."""
    genome = "".join(promoters)[:4000]
    for name in ("genome.fa.gz", "sacCer3.fa.gz"):
        with gzip.open(folder / name, "wt") as file:
            file.write(f">chrI\n{genome}\n")
    _write_fasta(folder / "chromosome.fasta", [genome[:400]])
    (folder / "promoters.bed").write_text("chrI\t100\t180\tone\t0\t+\nchrI\t500\t580\ttwo\t0\t-\n")
    lines = ["##fileformat=VCFv4.2", "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO"]
    for position in (120, 150, 540):
        base = genome[position - 1]
        lines.append(f"chrI\t{position}\t.\t{base}\t{'A' if base != 'A' else 'C'}\t.\t.\t.")
    for path in (folder / "variants.vcf.gz", folder / "variants.vcf"):
        with (gzip.open if path.suffix == ".gz" else open)(path, "wt") as file:
            file.write("\n".join(lines) + "\n")


def _write_fasta(path: Path, promoters: Sequence[str]) -> None:
    path.write_text("".join(f">p{n}\n{text}\n" for n, text in enumerate(promoters, 1)))


def _write_table(path: Path, header: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    opened = gzip.open if path.suffix == ".gz" else open
    with opened(path, "wt", newline="") as file:
        writer = csv.writer(file, delimiter="," if ".csv" in path.name else "\t")
        writer.writerows([header, *rows])
