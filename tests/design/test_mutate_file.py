"""Variants of the sequences of a file: which sequences have none, whatever the blocks."""

import pytest

from crmnet.data.sequences import read_sequences
from crmnet.design import mutate_file
from crmnet.design.effects import MutateOptions, Scorer
from crmnet.design.mutate_file import FileCounts, Request, file_blocks
from crmnet.design.oracle import Oracle
from crmnet.prediction.random_effects import RandomVariants
from small_models import additive_predictor

SCORER = Scorer(
    Oracle(additive_predictor()), MutateOptions(sites=False, random=RandomVariants(3, 4))
)
FILE = ">short\nACGTAC\n>unknown\nNNNNNNNNNN\n>whole\nACGTACGTAC\n"


def found(path, request):
    counts = FileCounts()
    blocks = list(file_blocks(SCORER, path, request, counts))
    return [name for block in blocks for name in block.found.ids], counts


def by_one(*arguments, **options):
    """The blocks of a file, each of one sequence."""
    for block in read_sequences(*arguments, **options):
        for row in range(len(block.ids)):
            yield block.take([row])


@pytest.mark.parametrize("read", [read_sequences, by_one])
def test_sequences_without_variants_are_counted(tmp_path, monkeypatch, read):
    monkeypatch.setattr(mutate_file, "read_sequences", read)
    path = tmp_path / "p.fa"
    path.write_text(FILE)
    ids, counts = found(path, Request(deletions=8))
    assert (ids, counts.without) == (["unknown"] * 2 + ["whole"] * 2, 1)
    assert "1 of 3 sequences have no such variants, so no row" in counts.messages(112)
    ids, counts = found(path, Request(saturate=True))
    assert (ids, counts.without) == (["short"] * 18 + ["whole"] * 30, 1)
    assert counts.preparation.total == 3
    with pytest.raises(ValueError, match="deletions of 10 bases leave nothing of inserts of at mo"):
        found(path, Request(deletions=10))
    with pytest.raises(ValueError, match=r"sequence 'unknown .*, line 3.' has fewer than two"):
        found(path, Request(pairs=True, only=("unknown",)))
    with pytest.raises(ValueError, match="there are no variants: no sequence has a base"):
        found(path, Request(saturate=True, only=("unknown",)))
