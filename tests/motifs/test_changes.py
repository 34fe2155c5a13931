"""Sites at a change equal those that a scan of the complete sequences finds."""

import numpy as np
import pytest

from crmnet.motifs.changes import SiteChanges
from crmnet.motifs.jaspar import yeast_motifs
from crmnet.motifs.pwm import Motif
from crmnet.motifs.scan import ScanOptions, find_sites
from crmnet.sequence import encode


def exact(name, text):
    """A motif of one k-mer."""
    counts = np.zeros((4, len(text)))
    counts[encode([text])[0][0], np.arange(len(text))] = 100
    return Motif(name, name, counts)


def scanned(tokens, marks, motifs, options):
    """Names of sites that cover a mark, from a scan of all positions."""
    hits = find_sites(tokens, motifs, options)
    found = [set() for _ in tokens]
    for row, motif, start, end in zip(hits.row, hits.motif, hits.start, hits.end, strict=True):
        if any(low <= high and high >= 2 * start and low <= 2 * (end - 1)
               for low, high in marks[row]):  # fmt: skip
            found[row].add(motifs[motif].name)
    return found


@pytest.mark.parametrize("both_strands", [True, False])
def test_it_equals_a_scan_of_everything(both_strands):
    rng = np.random.default_rng(3)
    tokens = rng.integers(0, 5, (60, 50), dtype=np.uint8)
    tokens[rng.random(tokens.shape) < 0.9] %= 4
    low = rng.integers(-1, 98, (60, 2))
    marks = np.stack([low, low + rng.integers(-1, 6, low.shape)], axis=2)
    motifs, options = yeast_motifs()[:60], ScanOptions(1e-3, both_strands=both_strands)
    changes = SiteChanges(motifs, options)
    found = changes.found(tokens, marks)
    expected = scanned(tokens, marks, motifs, options)
    assert [set(changes.names[row]) for row in found] == expected
    assert sum(map(len, expected)) > 30
    assert changes.text(found) == [";".join(sorted(names)) for names in expected]


def test_a_junction_needs_bases_on_both_sides():
    changes = SiteChanges([exact("X", "ACGTA")], ScanOptions(1e-2, both_strands=False))
    tokens = np.repeat(encode(["CCACGTACC"])[0], 4, axis=0)  # the site covers bases 2 to 6
    junctions = np.array([2, 3, 6, 7])  # before these bases
    marks = np.repeat((2 * junctions - 1)[:, None, None], 2, axis=2)
    assert changes.found(tokens, marks)[:, 0].tolist() == [False, True, True, False]
    bases = np.repeat((2 * np.array([1, 2, 6, 7]))[:, None, None], 2, axis=2)
    assert changes.found(tokens, bases)[:, 0].tolist() == [False, True, True, False]


def test_motifs_of_one_name_count_as_one_and_an_impossible_site_is_never_found():
    weak = Motif("W", "W", np.ones((4, 3)))
    changes = SiteChanges([exact("X", "AACC"), exact("X", "GGTT"), weak], ScanOptions(1e-2))
    assert changes.names.tolist() == ["W", "X"]
    found = changes.found(encode(["AAGGTTAA"])[0], [[[0, 14]]])
    assert found.tolist() == [[False, True]]


def test_a_row_without_marks_has_no_sites():
    changes = SiteChanges([exact("X", "AACC")], ScanOptions(1e-2))
    assert not changes.found(encode(["AACC"])[0], [[[4, 3]]]).any()
