import numpy as np
import pytest

from crmnet.data import sketch as sketch_module
from crmnet.data.sketch import SIZE, Overlap, Sketch
from crmnet.sequence import decode, encode, prepare, reverse_complement


def constructs(n, seed=0):
    letters = np.random.default_rng(seed).integers(4, size=(n, 80), dtype=np.uint8)
    return prepare(letters, np.full(n, 80), "add")[0]


def test_a_small_set_is_known_completely():
    rows, others = constructs(300), constructs(200, seed=1)
    sketch = Sketch.of(rows)
    assert len(sketch.hashes) == 300
    assert sketch.overlap(np.concatenate([rows[:40], others])) == Overlap(240, 40)
    assert sketch.overlap(others).share == 0


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 1.0])
def test_the_share_of_a_subset_is_estimated(share):
    rows, others = constructs(40_000), constructs(20_000, seed=1)
    sketch = Sketch.of(rows)
    assert len(sketch.hashes) == SIZE
    n = int(20_000 * share)
    start = 13_000  # the subset is anywhere among the rows
    found = sketch.overlap(np.concatenate([rows[start : start + n], others[: 20_000 - n]]))
    # A tenth of the inserts is checked: 2,048, with a standard deviation of 0.01 at half.
    assert 1700 < found.checked < 2400
    assert found.share == pytest.approx(share, abs=0.05)
    assert (found.share == 0) == (share == 0)


def test_strand_case_adapters_and_copies_make_no_difference():
    rows = constructs(100)
    sketch = Sketch.of(rows)
    inserts = [text[17:97] for text in decode(rows)]
    lower, _ = prepare(*encode([text.lower() for text in inserts]), "none")
    turned = prepare(*encode([*map(other_strand, inserts)]), "add")[0]
    for same in (lower, turned, np.concatenate([rows, rows])):
        assert sketch.overlap(same) == Overlap(100, 100)


def other_strand(text):
    return decode(reverse_complement(encode([text])[0]))[0]


def test_chunks_rows_and_merging_give_the_same_sketch(monkeypatch):
    rows = constructs(10_000)
    whole = Sketch.of(rows)
    monkeypatch.setattr(sketch_module, "CHUNK", 700)
    np.testing.assert_array_equal(Sketch.of(rows).hashes, whole.hashes)
    np.testing.assert_array_equal(
        Sketch.of(rows, np.arange(50, 90)).hashes, Sketch.of(rows[50:90]).hashes
    )
    parts = Sketch.of(rows[:4500]).merged(Sketch.of(rows[4000:]))
    np.testing.assert_array_equal(parts.hashes, whole.hashes)
    assert parts.overlap(rows) == whole.overlap(rows)


def test_the_text_is_short_and_checked():
    sketch = Sketch.of(constructs(5000))
    text = sketch.to_text()
    assert len(text) == SIZE * 4 * 4 / 3 + 2 * (SIZE * 4 % 3 == 1) or len(text) < 22_000
    np.testing.assert_array_equal(Sketch.from_text(text).hashes, sketch.hashes)
    for wrong in ("", "AAAA", "not base64!", 7, None, text[4:] + text[:4], text + text):
        with pytest.raises(ValueError, match="not a sketch of training rows"):
            Sketch.from_text(wrong)
