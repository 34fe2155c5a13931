"""Packing is lossless, with every kind of indexing."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crmnet.data.ingest import IngestOptions, ingest
from crmnet.data.loader import make_loader
from crmnet.data.packed import PackedTokens, expand_runs, extend_runs, pack
from crmnet.data.subset import copy_rows
from crmnet.sequence import encode, fit_length

text = st.text("ACGTNacgtn", min_size=1, max_size=120)
texts = st.lists(text.filter(lambda s: s.lower() not in ("na", "nan")), min_size=1, max_size=20)


@given(texts)
@settings(max_examples=60, deadline=None, derandomize=True)
def test_packing_is_lossless(rows):
    tokens = fit_length(*encode(rows))
    packed = PackedTokens(*pack(tokens))
    assert (np.asarray(packed) == tokens).all()
    assert (packed[::-1] == tokens[::-1]).all()
    assert (packed[1:7] == tokens[1:7]).all()
    assert (packed[-1] == tokens[-1]).all()
    order = np.random.default_rng(0).permutation(len(rows))
    assert (packed[order] == tokens[order]).all()
    assert (packed[order % 2 == 0] == tokens[order % 2 == 0]).all()
    assert (packed.shape, len(packed), packed.dtype) == (tokens.shape, len(tokens), tokens.dtype)


def test_four_bases_per_byte():
    bases, lengths, unknown = pack(fit_length(*encode(["ACGT", "TNNA"])))
    assert bases.shape == (2, 28)
    assert bases[:, 0].tolist() == [0b00011011, 0b11000000]
    assert not bases[:, 1:].any()
    assert lengths.tolist() == [4, 4]
    assert unknown.tolist() == [[1, 1], [1, 2]]


@given(st.lists(st.lists(st.integers(0, 3), min_size=1, max_size=12), min_size=1, max_size=5))
@settings(max_examples=50, deadline=None, derandomize=True)
def test_runs_expand_to_the_media_that_they_were_made_from(blocks):
    made = []
    for block in blocks:
        extend_runs(np.array(block, np.uint8), made)
    media = [medium for block in blocks for medium in block]
    assert expand_runs(np.array(made, np.uint32)).tolist() == media
    assert len(made) == 1 + int((np.diff(media) != 0).sum())


@pytest.fixture
def both(tmp_path):
    """The same rows, unpacked and packed: odd lengths, N, three media, families and weights."""
    rng = np.random.default_rng(4)
    media, lines = ["complex", "defined", "dream"], []
    for i in range(200):
        text = "".join("ACGTN"[b] for b in rng.integers(5 if i % 7 == 0 else 4, size=60 + i % 70))
        lines.append(f"{text}\t{i / 10}\t{media[i // 70]}\tf{i % 9}\t{1 + i % 5}")
    file = tmp_path / "rows.tsv"
    file.write_text("sequence\texpression\tmedium\tfamily\tcells\n" + "\n".join(lines))
    return [
        ingest([file], tmp_path / name, IngestOptions(packed=name == "packed"))
        for name in ("plain", "packed")
    ]


def test_packed_and_unpacked_sets_give_the_same_batches(both):
    plain, packed = both
    assert plain.fingerprint == packed.fingerprint
    assert not (packed.path / "tokens.npy").exists()
    batches = [list(make_loader(data, 32, shuffle=True, seed=3)) for data in both]
    for one, other in zip(*batches, strict=True):
        assert all((a == b).all() for a, b in zip(one, other, strict=True))
    assert {k: v for k, v in packed.manifest.items() if k != "packed"} == plain.manifest


def test_rows_of_packed_sets_stay_packed(both, tmp_path):
    rows = np.array([150, 3, 3, 77])
    copies = [copy_rows(data, rows, tmp_path / f"copy{i}") for i, data in enumerate(both)]
    assert copies[0].fingerprint == copies[1].fingerprint
    assert (copies[1].path / "bases.npy").exists()


def test_size_at_the_scale_of_the_paper():
    """Two bits per base, one byte for the length and four for the label: 51 M rows in 1.7 GB."""
    rows = 30_722_376 + 20_616_659
    bases, lengths, _ = pack(np.zeros((1, 112), np.uint8))
    assert rows * (bases.nbytes + lengths.nbytes + 4) < 1.7e9
    assert rows * (112 + 4 + 1) < 6.2e9


def test_damaged_packed_sets_are_errors(both):
    from crmnet.data.dataset import Dataset

    _, packed = both
    (packed.path / "unknown.npy").write_bytes(b"")
    with pytest.raises(ValueError, match=r"unknown\.npy is damaged"):
        Dataset.open(packed.path)


@given(texts, st.integers(1, 9), st.integers(0, 3))
@settings(max_examples=25, deadline=None, derandomize=True)
def test_packed_and_unpacked_sets_give_the_same_batches_for_any_rows(
    tmp_path_factory, rows, batch_size, seed
):
    folder = tmp_path_factory.mktemp("batches")
    table = folder / "rows.tsv"
    table.write_text("".join(f"{text}\t{number}\n" for number, text in enumerate(rows)))
    both = [
        ingest([table], folder / name, IngestOptions(flanks="none", packed=name == "packed"))
        for name in ("packed", "tokens")
    ]
    batches = [list(make_loader(data, batch_size, shuffle=True, seed=seed)) for data in both]
    assert len(batches[0]) == len(batches[1]) == -(-len(rows) // batch_size)
    for one, other in zip(*batches, strict=True):
        assert all((a == b).all() for a, b in zip(one, other, strict=True))
