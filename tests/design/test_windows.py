"""Windows of a genome by hand: which bases reference and variant have, on both strands."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crmnet.design.genome import Region, reverse_complement
from crmnet.design.windows import (
    SmallChange,
    Window,
    WindowOptions,
    edited,
    marks_of,
    trimmed,
    windows_around,
)
from support import quick

CONTIG = b"AACCGGTTACGTACTGAC"  # bases 0 to 17


@pytest.mark.parametrize(
    ("change", "strand", "reference", "variant", "places"),
    [
        # The window is bases 5 to 12: G T T A C G T. On + its last base lies next to the gene.
        (SmallChange(7, 8, b"G"), "+", "GTTACGT", "GTGACGT", ((2, 3), (2, 3))),
        (SmallChange(7, 8, b""), "+", "GTTACGT", "GGTACGT", ((2, 3), (3, 3))),  # G enters
        (SmallChange(7, 9, b""), "+", "GTTACGT", "CGGTCGT", ((2, 4), (4, 4))),
        (SmallChange(7, 7, b"CC"), "+", "GTTACGT", "CCTACGT", ((2, 2), (0, 2))),  # G T leave
        (SmallChange(8, 9, b"CCC"), "+", "GTTACGT", "TCCCCGT", ((3, 4), (1, 4))),
        # On - it is A C G T A A C, and base 5 of the contig lies next to the gene.
        (SmallChange(7, 8, b"G"), "-", "ACGTAAC", "ACGTCAC", ((4, 5), (4, 5))),
        (SmallChange(7, 8, b""), "-", "ACGTAAC", "TACGTAC", ((4, 5), (5, 5))),  # T enters
        (SmallChange(7, 7, b"CC"), "-", "ACGTAAC", "GTAGGAC", ((5, 5), (3, 5))),  # A C leave
        # Changes that begin before the window or end after it.
        (SmallChange(3, 6, b""), "+", "GTTACGT", "CTTACGT",
         ((0, 1), (1, 1))),
    ],
)  # fmt: skip
def test_reference_and_variant_of_a_window(change, strand, reference, variant, places):
    found = edited(CONTIG, Window(5, 12, strand), change)
    assert (found.reference.decode(), found.variant.decode()) == (reference, variant)
    assert (found.reference_change, found.variant_change) == places
    assert found.flag == ""


def test_a_change_beyond_the_end_next_to_the_gene_counts_inside_only():
    found = edited(CONTIG, Window(5, 12, "+"), SmallChange(10, 14, b""))
    assert (found.variant, found.flag) == (b"CGGTTAC", "beyond_window")
    found = edited(CONTIG, Window(5, 12, "-"), SmallChange(3, 7, b""))
    assert (found.variant, found.flag) == (reverse_complement(CONTIG[7:14]), "beyond_window")


@pytest.mark.parametrize(
    ("old", "new", "variant", "place"),
    [
        # The window is bases 5 to 12: G T T A C G T, and bases 10 and 11 (G T) are inside.
        ((10, 14), b"CCCC", b"GTTACCC", (5, 7)),  # as many bases: none moves
        ((10, 14), b"TCA", b"GTTACTC", (5, 7)),  # one base fewer, which the gene loses
        ((10, 14), b"A", b"GGTTACA", (6, 7)),  # the window loses a base, and G enters
        ((10, 14), b"CCCCCC", b"GTTACCC", (5, 7)),  # two bases more, which the gene gains
        ((11, 13), b"AA", b"GTTACGA", (6, 7)),
    ],
)
def test_of_a_change_into_the_gene_only_the_new_bases_inside_are_written(old, new, variant, place):
    found = edited(CONTIG, Window(5, 12, "+"), SmallChange(*old, new))
    assert (found.variant, found.variant_change, found.flag) == (variant, place, "beyond_window")
    # The same change of the other strand, in the same window of the other strand.
    contig, size = reverse_complement(CONTIG), len(CONTIG)
    change = SmallChange(size - old[1], size - old[0], reverse_complement(new))
    assert edited(contig, Window(size - 12, size - 5, "-"), change) == found


@quick
@given(st.data())
def test_a_substitution_into_the_gene_moves_no_base(data):
    """The window of the edited contig, at the same place; the contig keeps its length."""
    contig = data.draw(st.text("ACGT", min_size=24, max_size=24)).encode()
    a = data.draw(st.integers(3, 18))
    new = data.draw(st.text("ACGT", min_size=1, max_size=24 - a)).encode()
    change = SmallChange(a, a + len(new), new)
    whole = contig[:a] + new + contig[a + len(new) :]
    for window in (Window(8, 15, "+"), Window(8, 15, "-")):
        if change.start < window.stop and change.stop > window.start:
            found = edited(contig, window, change)
            expected = whole[8:15] if window.strand == "+" else reverse_complement(whole[8:15])
            assert found.variant == expected


def test_at_the_end_of_a_contig_a_variant_is_shorter():
    found = edited(CONTIG, Window(0, 7, "+"), SmallChange(3, 5, b""))
    assert (found.variant, found.flag) == (b"AACGT", "contig_end")
    found = edited(CONTIG, Window(12, 18, "-"), SmallChange(14, 15, b""))
    assert (found.variant, found.flag) == (reverse_complement(b"ACGAC"), "contig_end")


@quick
@given(st.data())
def test_the_variant_is_the_end_of_the_edited_contig(data):
    """On either strand: the edited contig up to the base next to the gene, as long as before."""
    contig = data.draw(st.text("ACGT", min_size=30, max_size=40)).encode()
    start = data.draw(st.integers(12, 16))
    stop = start + data.draw(st.integers(4, 8))
    a = data.draw(st.integers(start, stop - 1))
    b = data.draw(st.integers(a, stop))
    new = data.draw(st.text("ACGT", max_size=5)).encode()
    if a == b and (a == start or not new):
        return
    change, width = SmallChange(a, b, new), stop - start
    whole = contig[:a] + new + contig[b:]
    right = len(contig) - stop
    assert (
        edited(contig, Window(start, stop, "+"), change).variant
        == (whole[: len(whole) - right][-width:])
    )
    minus = edited(contig, Window(start, stop, "-"), change)
    assert minus.variant == reverse_complement(whole[start:][:width])
    assert len(minus.variant) == width


@pytest.mark.parametrize(
    ("ref", "alt", "expected"),
    [(b"A", b"G", (9, 10, b"G")), (b"AC", b"A", (10, 11, b"")), (b"A", b"ACC", (10, 10, b"CC")),
     (b"CAA", b"CA", (10, 11, b"")), (b"ACGT", b"ATGT", (10, 11, b"T")),
     (b"AC", b"AC", (9, 9, b"")), (b"ACG", b"TTT", (9, 12, b"TTT"))],
)  # fmt: skip
def test_shared_ends_of_ref_and_alt_are_no_change(ref, alt, expected):
    assert trimmed(9, ref, alt) == expected


def test_windows_have_the_variant_at_the_offsets():
    options = WindowOptions(width=10, offsets=(2, 5, 9), longest=12)
    contig = Region("c", 0, 100, "+", "")
    found = windows_around(SmallChange(50, 51, b"A"), contig, options)
    assert found == [Window(49, 59, "+"), Window(46, 56, "+"), Window(42, 52, "+")]
    # On - the offset counts from the right end of the contig.
    (first, *_) = windows_around(SmallChange(50, 51, b"A"), contig._replace(strand="-"), options)
    assert first == Window(42, 52, "-") and first.stop - 50 == 2


@pytest.mark.parametrize("change", [(50, 54), (50, 51), (50, 50), (50, 62)])
def test_windows_of_both_strands_mirror_one_another(change):
    """The first changed base as the strand is read, or that after an insertion, is at offset."""
    options = WindowOptions(width=10, offsets=(2, 5, 9), longest=12)
    start, stop = change
    contig = Region("c", 0, 100, "+", "")
    forward = windows_around(SmallChange(start, stop, b"A"), contig, options)
    assert [start - window.start + 1 for window in forward] == [2, 5, 9]
    minus = contig._replace(strand="-")
    reverse = windows_around(SmallChange(start, stop, b"A"), minus, options)
    assert [window.stop - (stop - 1) for window in reverse] == [2, 5, 9]
    mirrored = windows_around(SmallChange(100 - stop, 100 - start, b"T"), contig, options)
    assert [(100 - w.stop, 100 - w.start, "-") for w in mirrored] == reverse


def test_windows_stay_inside_the_promoter_and_do_not_repeat():
    options = WindowOptions(width=10, offsets=(2, 5, 9), longest=12)
    found = windows_around(SmallChange(21, 22, b"A"), Region("c", 20, 40, "+", "p"), options)
    assert found == [Window(20, 30, "+")]
    fits = Region("c", 20, 32, "-", "p")
    assert windows_around(SmallChange(21, 22, b"A"), fits, options) == [Window(20, 32, "-")]


def test_an_insertion_lies_between_two_bases_of_its_window():
    options = WindowOptions(width=10, offsets=(1, 10), longest=12)
    for strand in "+-":
        contig = Region("c", 0, 100, strand, "")
        for window in windows_around(SmallChange(50, 50, b"A"), contig, options):
            assert window.start < 50 < window.stop


@pytest.mark.parametrize(
    ("options", "message"),
    [({"width": 83}, "a window must have 2 to 82 bases"), ({"offsets": ()}, "names no position"),
     ({"offsets": (0,)}, "must be a position in the window, 1 to 80; got 0"),
     ({"offsets": (15, 81)}, "got 81"), ({"strand": "x"}, "strand must be")],
)  # fmt: skip
def test_windows_that_cannot_be(options, message):
    with pytest.raises(ValueError, match=message):
        WindowOptions(**options)


def test_marks_of_changes():
    assert marks_of([(2, 3), (4, 4), (0, 3)], 10) == [(24, 24), (27, 27), (20, 24)]
