"""What the cases work on: a data set, a trained run, packed models, files of promoters."""

from __future__ import annotations

import contextlib
import csv
import tempfile
from collections.abc import Iterable, Iterator
from functools import cached_property
from pathlib import Path

from safetensors.torch import save_file

from crmnet.data.dataset import Dataset
from crmnet.data.ingest import ingest
from crmnet.runs.folder import RECORD, WEIGHTS, build_network
from crmnet.runs.packed import pack
from crmnet.runs.record import RunRecord, Scale, versions
from crmnet.runs.settings import resolve
from crmnet.sequence import decode
from crmnet.simulation.assay import AssayOptions, simulate
from crmnet.training.train import train

TINY = [
    "encoder=[8,8]", "decoder=[8]", "tail=[4]", "dense=[16]", "dense_dropout=[0.1]",
    "transformer_blocks=1", "heads=1", "key_dim=8", "feed_forward=8", "batch_size=64",
    "validation_fraction=0.2", "device=cpu", "epochs=2",
]  # fmt: skip
"""Settings of a network that trains in a second."""
SET_TINY = [word for text in TINY for word in ("--set", text)]


MOTIF = ">M1 a\nA [ 3 4 0 ]\nC [ 3 0 0 ]\nG [ 0 0 9 ]\nT [ 4 6 1 ]\n"
"""A motif of three positions, as a JASPAR file."""


class Material:
    """A folder with everything that the cases read."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.data = folder / "data"
        dataset = simulate(AssayOptions(300, seed=1), self.data)
        inserts = [text[17:97] for text in decode(dataset.tokens[:])]
        self.inserts = inserts[:60]
        self.promoters = self._file("promoters.tsv", table(self.inserts[:20]))
        self.haplotypes = self._file("haplotypes.tsv", haplotype_table(self.inserts[:4]))
        self.rows = self._file("rows.tsv", labelled(self.inserts))
        self.many_rows = self._file("many_rows.tsv", labelled(inserts))
        self.motifs = self._file("motifs.jaspar", MOTIF)
        self.complex_data = folder / "complex_data"
        ingest([self.many_rows], self.complex_data)
        self.second_data = folder / "second_data"
        simulate(AssayOptions(300, seed=2), self.second_data)
        self.random_run = self._random_run()
        self.packed = folder / "small.safetensors"
        pack([self.random_run], self.packed)

    @cached_property
    def trained_run(self) -> Path:
        """A run of the recipe ``demo`` with a tiny network."""
        folder = self.folder / "run"
        train(resolve("demo", TINY), Dataset.open(self.data), folder)
        return folder

    def _random_run(self) -> Path:
        """A run with random weights that loads in milliseconds."""
        folder = self.folder / "small"
        record = RunRecord(
            settings=resolve("small", TINY), media=["complex"], scale={"complex": Scale()},
            data={}, versions=versions(), finished=True,
        )  # fmt: skip
        folder.mkdir()
        (folder / RECORD).write_text(record.model_dump_json())
        save_file(dict(build_network(record).state_dict()), folder / WEIGHTS)
        return folder

    def _file(self, name: str, text: str) -> Path:
        path = self.folder / name
        path.write_text(text)
        return path

    @contextlib.contextmanager
    def empty_folder(self) -> Iterator[Path]:
        """An empty folder, removed afterwards."""
        with tempfile.TemporaryDirectory(dir=self.folder) as folder:
            yield Path(folder)

    @contextlib.contextmanager
    def working_folder(self) -> Iterator[Path]:
        """An empty folder, removed afterwards, with room beside it for the logs of commands."""
        with self.empty_folder() as folder:
            work = folder / "work"
            work.mkdir()
            yield work


def table(inserts: Iterable[str]) -> str:
    """A table of ids and sequences."""
    return "".join(["id\tsequence\n", *(f"p{n}\t{s}\n" for n, s in enumerate(inserts, 1))])


def haplotype_table(inserts: Iterable[str]) -> str:
    """Two haplotypes of each insert, with one substitution between them."""
    other = dict(zip("ACGT", "CATG", strict=True))
    rows = [
        f"g{n}\t{sequence}\t{count}\n"
        for n, insert in enumerate(inserts, 1)
        for sequence, count in ((insert, 9), (other[insert[0]] + insert[1:], 2))
    ]
    return "".join(["gene\tsequence\tisolates\n", *rows])


def labelled(inserts: Iterable[str]) -> str:
    """Rows of sequence and expression, without a header."""
    return "".join(f"{s}\t{3 + n % 10}.5\n" for n, s in enumerate(inserts))


def predictions(text: str) -> dict[str, list[str]]:
    """Id → the other fields of a table of predictions."""
    return {row[0]: row[1:] for row in csv.reader(text.splitlines()[1:], delimiter="\t") if row}


def writing_commands(material: Material) -> dict[str, list[object]]:
    """Every command that writes, by name; each writes only into its working folder."""
    data, model, promoters = material.data, material.trained_run, material.promoters
    quick = ["--resamples", 20]
    compared = [f"trained={model}", f"random={material.random_run}"]
    ablated = ["--seeds", 1, "--variant", "no decoder", *quick, *SET_TINY]
    explained = ["--first", 2, "--medium", "complex"]
    timed = ["--batch-size", 2, "--steps", 1, "--warm-up", 0, "--device", "cpu"]
    packed = material.packed
    panel = ["--oracle", packed, "--judge", packed, "--rank-by", packed, "--uncertainty", 0]
    commands: dict[str, list[object]] = {
        "data simulate": ["data", "simulate", "-n", 300],
        "data ingest": ["data", "ingest", material.rows],
        "data ingest --packed": ["data", "ingest", material.rows, "--packed"],
        "data check": ["data", "check", material.rows],
        "train": ["train", "demo", "--data", data, *SET_TINY],
        "evaluate": ["evaluate", model, data, *quick],
        "compare": ["compare", *compared, "--data", material.rows, "--medium", "complex", *quick],
        "ablate": ["ablate", "small", "--data", data, "--test", data, *ablated],
        "explain": ["explain", model, promoters, *explained],
        "motifs discover": ["motifs", "discover", material.many_rows, "-n", 40],
        "benchmark": ["benchmark", "crmnet-small", *timed],
        "models distil": ["models", "distil", model, data, "-n", 200],
        "data merge": ["data", "merge", data, material.second_data],
        "design": ["design", "--maximise", "complex", *panel, "-n", 2, "--steps", 2],
        "demo": ["demo", "--promoters", 200, *SET_TINY],
        "reproduce": ["reproduce", "--profile", "demo", "--only", "lengths"],
    }
    files: dict[str, list[object]] = {
        "predict": ["predict", model, promoters, "-o", "out.tsv"],
        "predict to Parquet": ["predict", model, promoters, "-o", "out.parquet"],
        "predict --part-rows": ["predict", model, promoters, "-o", "out.tsv", "--part-rows", 3],
        "motifs scan": ["motifs", "scan", promoters, "-o", "out.tsv"],
        "motifs match": ["motifs", "match", material.motifs, "-o", "out.tsv"],
        "models pack": ["models", "pack", model, "-o", "out.safetensors"],
        "models calibrate": ["models", "calibrate", material.packed, material.complex_data,
                             "-o", "out.safetensors", *quick],
        "mutate": ["mutate", packed, promoters, "--saturate", "-o", "out.tsv"],
        **{
            f"evolve {mode}": ["evolve", mode, packed, source, *more, "-o", "out.tsv"]
            for mode, source, more in (
                ("robustness", promoters, []),
                ("trajectories", promoters, ["--medium", "complex", "--steps", 2]),
                ("conservation", material.haplotypes, ["--medium", "complex"]),
                ("archetypes", promoters, ["--medium", "complex"]),
            )
        },
        "models export": ["models", "export", model, "--torch-export", "-o", "out.pt2"],
        "models export --onnx": ["models", "export", model, "--onnx", "-o", "out.onnx"],
        "data split": ["data", "split", data, "-o", "out/train", "--held-out", "out/test"],
    }  # fmt: skip
    return {name: [*words, "-o", "out"] for name, words in commands.items()} | files
