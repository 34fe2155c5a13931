"""What several test files share: published data, settings of a tiny network, files of rows."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings as hypothesis_settings

SHARED = Path(__file__).parents[2] / "shared"
"""Published data beside the checkout; they are not part of the project."""

needs_shared = pytest.mark.skipif(
    not (SHARED / "data" / "evolution").is_dir(),
    reason=f"the published data are not in {SHARED / 'data' / 'evolution'}",
)

TINY = [
    "encoder=[8,8]", "decoder=[8]", "tail=[4]", "dense=[16]", "dense_dropout=[0.1]",
    "transformer_blocks=1", "heads=1", "key_dim=8", "feed_forward=8",
    "batch_size=64", "validation_fraction=0.2", "device=cpu", "learning_rate=0.002",
    "final_learning_rate=0.00001", "warmup_epochs=1", "optimizer=adam", "weight_decay=0.0",
    "schedule=cosine", "precision=fp32",
]  # fmt: skip


def settings(*more):
    """Settings of a network small enough for seconds."""
    from crmnet.runs.settings import resolve

    return resolve("demo", [*TINY, *more])


# The published width is slow on a small machine; every contract but the parameter count holds for
# the same wiring at a smaller width.
TINY_WIDTHS = {
    "encoder": (8, 12, 16, 16),
    "heads": 2,
    "key_dim": 8,
    "feed_forward": 8,
    "decoder": (12, 12, 8),
    "tail": (8, 8, 4),
}
NARROW = {
    "crmnet": {**TINY_WIDTHS, "transformer_blocks": 8, "dense": (8, 8, 4, 4)},
    "vaishnav-transformer": {"strand_filters": 32, "channels": 16},
    "vaishnav-conv": {"filters": 16, "dense": 32},
    "deepsea": {"filters": (16, 24, 32)},
    "danq": {"filters": 32, "units": 16, "dense": 64},
    "legnet": {"widths": (32, 16, 16)},
    "mpra-legnet": {"stem": 16, "widths": (16, 16)},
    "dream-cnn": {"filters": 16, "widths": (16, 16)},
    "dream-rnn": {"filters": 16, "units": 16},
    "dream-attn": {"channels": 32, "blocks": 2},
    "basenji": {"stem": (32, 32)},
    "satori": {"filters": 32, "units": 16},
    "enformer": {"tower": (16, 32)},
}
"""Widths for tests that build a network many times or train it; others are small as they are."""

_SMALL = {**TINY_WIDTHS, "transformer_blocks": 2, "dense": (8,), "dense_dropout": (0.1,)}
WIDTHS = {**NARROW, "crmnet": _SMALL, "crmnet-small": _SMALL}
"""Like :data:`NARROW`, and small enough for CRMnet to be trained."""

quick = hypothesis_settings(max_examples=40, deadline=None, derandomize=True)
"""Few and always the same examples, for tests with hypothesis."""


def padded(text, length=112):
    """``text`` cut, or padded with N at its end."""
    return text[:length].ljust(length, "N")


def padded_texts(tokens):
    """All positions of each row as text, padding included."""
    from crmnet.sequence import decode

    return decode(tokens, np.full(len(tokens), tokens.shape[1]))


HEADER = "sequence\texpression"


def write_lines(path, *lines, header=HEADER, end="\n"):
    """Write a file of rows; without a header if ``header`` is empty."""
    lines = [header, *lines] if header else lines
    path.write_bytes((end.join(lines) + end).encode())
    return path


def write_rows(path, rows, header="sequence expression medium family"):
    """Write a table of rows, which are tuples of values; the names in ``header`` by blanks."""
    return write_lines(
        path, *("\t".join(map(str, row)) for row in rows), header="\t".join(header.split())
    )


def ingest_rows(files, destination, **options):
    """Ingest; by default without adapters and with any number of rejected rows."""
    from crmnet.data.ingest import IngestOptions, ingest

    files = files if isinstance(files, list) else [files]
    return ingest(
        files, destination, IngestOptions(**{"flanks": "none", "max_rejected": 1, **options})
    )


def rejected_rows(dataset):
    """(file, line, reason, text) of every rejected row."""
    with (dataset.path / "rejected.tsv").open(newline="", encoding="utf-8") as file:
        header, *rows = (line.rstrip("\n").split("\t") for line in file)
    assert header == ["file", "line", "reason", "text"]
    return [(file, int(line), reason, text) for file, line, reason, text in rows]


def only_inputs(folder, *inputs):
    """Whether a folder contains only these files."""
    return sorted(path.name for path in folder.iterdir()) == sorted(path.name for path in inputs)


def assert_rounded(rounded, full, decimals=(), significant=()):
    """Rows of a table for reading are those of the table with full digits, rounded."""
    assert rounded and len(rounded) == len(full)
    for shown, row in zip(rounded, full, strict=True):
        expected = dict(row)
        for names, form in ((decimals, "z.3f"), (significant, "z.3g")):
            expected |= {name: format(float(row[name]), form) for name in names if row[name]}
        assert shown == expected
    for name in (*decimals, *significant):
        assert any(row[name] for row in full), name
