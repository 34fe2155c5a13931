"""What the design process reports: designs that change their start, and why others are missing."""

from types import SimpleNamespace

import numpy as np

from crmnet.design.designs import PER_DESIGN, Designs
from crmnet.design.objective import Objective
from crmnet.serve.design import UNCHANGED, without_starts
from crmnet.statistics.uncertainty import Trust


def designs(edits):
    """Designs with these numbers of edits, each recognised by its value."""
    n = len(edits)
    value = np.arange(n, dtype=float)
    column = value[:, None]
    tokens = np.zeros((n, 8), dtype=np.int8)
    paths = [SimpleNamespace(position=np.arange(many)) for many in edits]
    trust = Trust(column - 1, column + 1, None, [f"reason {row}" for row in range(n)])
    return Designs(
        Objective("maximise", "complex"), tokens, np.full(n, 8), tokens,
        [f"s{row}" for row in range(n)],
        value, value, value, value, value, ["complex"], column, trust,
        [f"unlike {row}" for row in range(n)], ("rule",), paths, np.zeros((4, n)), tokens, None,
        notes=("a note",),
    )  # fmt: skip


def test_the_unchanged_start_is_left_out_with_all_its_columns():
    found = without_starts(designs([0, 2, 0, 1]))
    assert found.edits.tolist() == [2, 1] and found.ids == ["design_01", "design_02"]
    assert found.oracle.tolist() == found.expression[:, 0].tolist() == [1, 3]
    assert found.unlike == ["unlike 1", "unlike 3"] and found.start_ids == ["s1", "s3"]
    assert found.trust.low[:, 0].tolist() == [0, 2] and found.trust.percentile is None
    assert found.trust.unlike == ["reason 1", "reason 3"]
    assert {len(getattr(found, name)) for name in PER_DESIGN} == {2}
    assert found.history.shape == (4, 4) and found.rules == ("rule",)
    assert found.notes == ("a note", UNCHANGED)


def test_nothing_is_left_out_if_all_change():
    before = designs([1, 3])
    assert without_starts(before) is before


def test_if_nothing_improves_the_start_a_note_says_so():
    found = without_starts(designs([0]))
    assert len(found) == 0
    assert found.notes[-1].endswith("no change within the rules improves it")
