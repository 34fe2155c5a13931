"""Batches hold each row once per epoch, in an order that the seed determines."""

import numpy as np
import pytest
import torch

from crmnet.data.ingest import IngestOptions, ingest
from crmnet.data.loader import RowBatches, make_loader

N = 37


def ingested(folder, weighted):
    """A data set whose labels are its row numbers."""
    bases = ["ACGT"[i % 4] * (i + 1) for i in range(N)]
    media = ["complex", "defined", "dream"]
    rows = [f"{base}\t{i}\t{media[i % 3]}\t{i + 0.5}" for i, base in enumerate(bases)]
    header = "sequence\texpression\tmedium\t" + ("weight" if weighted else "remark")
    (folder / "rows.tsv").write_text("\n".join([header, *rows]) + "\n")
    return ingest([folder / "rows.tsv"], folder / "set", IngestOptions(flanks="none"))


@pytest.fixture
def dataset(tmp_path):
    return ingested(tmp_path, weighted=True)


def epoch(loader, number=0):
    """Row numbers of each batch."""
    loader.sampler.set_epoch(number)
    return [batch.labels.int().tolist() for batch in loader]


def flat(batches):
    return [row for batch in batches for row in batch]


def test_without_shuffling_rows_come_in_order_and_the_last_batch_is_smaller(dataset):
    loader = make_loader(dataset, 10)
    batches = epoch(loader)
    assert [len(batch) for batch in batches] == [10, 10, 10, 7]
    assert len(loader) == 4
    assert flat(batches) == list(range(N))
    assert batches == epoch(loader, 1)


@pytest.mark.parametrize("batch_size", [1, 8, N, 100])
def test_each_row_occurs_once_per_epoch(dataset, batch_size):
    loader = make_loader(dataset, batch_size, shuffle=True)
    for number in range(3):
        batches = epoch(loader, number)
        assert sorted(flat(batches)) == list(range(N))
        assert len(batches) == len(loader)


def test_only_the_given_rows_are_used(dataset):
    rows = np.array([30, 3, 4, 17])
    assert epoch(make_loader(dataset, 3, rows=rows)) == [[30, 3, 4], [17]]
    shuffled = flat(epoch(make_loader(dataset, 3, rows=rows, shuffle=True)))
    assert sorted(shuffled) == [3, 4, 17, 30]
    assert rows.tolist() == [30, 3, 4, 17]


def test_seed_and_epoch_determine_the_order(dataset):
    one, same = (make_loader(dataset, 8, shuffle=True, seed=5) for _ in range(2))
    other = make_loader(dataset, 8, shuffle=True, seed=6)
    assert epoch(one, 2) == epoch(same, 2)
    orders = [flat(epoch(loader, number)) for loader in (one, other) for number in (0, 1, 2)]
    assert len(set(map(tuple, orders))) == 6


def test_an_epoch_does_not_depend_on_earlier_epochs(dataset):
    stepwise, direct = (make_loader(dataset, 8, shuffle=True) for _ in range(2))
    for number in range(3):
        epoch(stepwise, number)
    assert epoch(stepwise, 3) == epoch(direct, 3)


def test_shuffling_covers_the_complete_data_set(dataset):
    firsts = {epoch(make_loader(dataset, N, shuffle=True), number)[0][0] for number in range(200)}
    # A row misses all 200 first places with probability (36/37)²⁰⁰ = 0.004.
    assert len(firsts) > N - 4


@pytest.mark.parametrize("weighted", [True, False])
def test_batches_are_the_rows_on_disk(tmp_path, weighted):
    dataset = ingested(tmp_path, weighted)
    loader = make_loader(dataset, 8, shuffle=True)
    for batch in loader:
        rows = batch.labels.numpy().astype(int)
        assert (batch.tokens.numpy() == dataset.tokens[rows]).all()
        assert batch.medium.tolist() == [row % 3 for row in rows]
        assert batch.weight.tolist() == [row + 0.5 if weighted else 1 for row in rows]


def test_whole_sorting_bins_are_flagged_as_single_cells(tmp_path):
    (tmp_path / "rows.tsv").write_text("A\t3\nC\t3.5\nG\t0\n")
    files = [tmp_path / "rows.tsv"]
    for unit, expected in (("sorting bin", [True, False, True]), ("score", [False] * 3)):
        data = ingest(files, tmp_path / unit, IngestOptions(flanks="none", units=[unit]))
        assert next(iter(make_loader(data, 8))).singleton.tolist() == expected


def test_types_and_shapes_of_a_batch(dataset):
    batch = next(iter(make_loader(dataset, 8)))
    assert batch.tokens.shape == (8, 112)
    assert [field.dtype for field in batch] == [
        torch.uint8,
        torch.float32,
        torch.int64,
        torch.float32,
        torch.bool,
    ]


def test_batches_can_be_written_to_without_changing_the_data_set(dataset):
    for field in next(iter(make_loader(dataset, 8))):
        field.zero_()
    assert dataset.labels.tolist() == list(range(N))


def test_a_worker_gives_the_same_batches(dataset):
    without = make_loader(dataset, 8, shuffle=True, seed=1)
    with_worker = make_loader(dataset, 8, shuffle=True, seed=1, workers=1)
    for number in range(2):
        assert epoch(with_worker, number) == epoch(without, number)


def test_no_rows_is_an_error(dataset):
    with pytest.raises(ValueError, match="set: no rows to load"):
        make_loader(dataset, 8, rows=np.array([], int))


def test_number_of_batches_is_rounded_up():
    assert [len(RowBatches(np.arange(n), 4)) for n in (1, 4, 5, 8)] == [1, 1, 2, 2]
