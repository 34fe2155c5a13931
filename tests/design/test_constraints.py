"""Constraints: equal to DnaChisel where it has the rule, to brute force elsewhere."""

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crmnet.design import chisel
from crmnet.design.constraints import (
    AwayFrom,
    Candidates,
    Flanks,
    GcEnds,
    GcRange,
    GcSpread,
    GcWindow,
    MaxEdits,
    MaxRun,
    MaxTandem,
    NoRepeat,
    RepeatShare,
    edits,
    mask,
)
from crmnet.design.distances import distances
from crmnet.design.patterns import (
    AvoidSites,
    KeepSite,
    check_fixed,
    enzyme_pattern,
    enzyme_sites,
    find_pattern,
    iupac_pattern,
    motif_pattern,
)
from crmnet.motifs.jaspar import yeast_motifs_named
from crmnet.motifs.scan import find_sites
from crmnet.sequence import ADAPTER_3, ADAPTER_5, N_TOKEN, decode, encode
from support import quick

FLANKS = Flanks(primer_5="GGTCA", primer_3="AATGC")
WIDTH = 40
# Few letters make runs, repeats and sites frequent.
inserts = st.lists(
    st.one_of(
        st.text("ACGT", min_size=WIDTH, max_size=WIDTH),
        st.text("AT", min_size=WIDTH, max_size=WIDTH),
        st.text("GC", min_size=WIDTH, max_size=WIDTH),
        st.text("AG", min_size=WIDTH, max_size=WIDTH),
        st.builds(
            lambda left, site, right: (left + site + right)[:WIDTH],
            st.text("ACGT", max_size=30),
            st.sampled_from(["GAATTC", "GGTCTC", "GAGACC", "GCGGCCGC", "TATAAAT", "TTTTTTTTT"]),
            st.text("ACGT", min_size=WIDTH, max_size=WIDTH),
        ),
    ),
    min_size=1,
    max_size=4,
)


def candidates(texts, flanks=FLANKS, given=None):
    tokens, lengths = encode(texts)
    return Candidates(tokens, lengths, flanks, None if given is None else encode(given)[0])


def whole(text, flanks=FLANKS):
    return flanks.primer_5 + flanks.left + text + flanks.right + flanks.primer_3


CHISEL_RULES = {
    "gc of the insert": GcRange(0.4, 0.6),
    "gc of the order": GcRange(0.35, 0.5, "order"),
    "gc windows": GcWindow(20, 0.3, 0.7),
    "gc ends": GcEnds(30, 0.35, 0.6),
    "runs": MaxRun(3),
    "runs of A and T": MaxRun(4, "AT"),
    "dinucleotides": MaxTandem(2, 4),
    "trinucleotides": MaxTandem(3, 3),
    "repeats": NoRepeat(8),
    "word": AvoidSites(iupac_pattern("GATC")),
    "IUPAC": AvoidSites(iupac_pattern("TATAWR")),
    "EcoRI": AvoidSites(enzyme_pattern("EcoRI")),
    "BsaI": AvoidSites(enzyme_pattern("BsaI")),
    "AvaI": AvoidSites(enzyme_pattern("AvaI")),
}


@pytest.mark.parametrize("rule", CHISEL_RULES.values(), ids=CHISEL_RULES)
@quick
@given(inserts)
def test_a_rule_is_equal_to_dnachisel(rule, texts):
    rules = chisel.specifications([rule], FLANKS, WIDTH)
    assert len(rules) >= 1
    expected = [not chisel.check(text, FLANKS, rules, repair=False).failed for text in texts]
    found = rule.violation(candidates(texts))
    assert (found == 0).tolist() == expected
    assert (found >= 0).all()
    assert mask((rule,), candidates(texts)).tolist() == expected


@quick
@given(inserts)
def test_all_rules_together_are_equal_to_dnachisel(texts):
    some = tuple(CHISEL_RULES[name] for name in ("gc of the insert", "runs", "EcoRI", "repeats"))
    rules = chisel.specifications(some, FLANKS, WIDTH)
    expected = [not chisel.check(text, FLANKS, rules, repair=False).failed for text in texts]
    assert mask(some, candidates(texts)).tolist() == expected


def gc(text):
    return sum(base in "GC" for base in text)


@quick
@given(inserts)
def test_the_spread_of_gc_is_that_of_all_windows(texts):
    found = GcSpread(30, 0.3).violation(candidates(texts))
    for text, value in zip(texts, found, strict=True):
        order = whole(text)
        counts = [gc(order[i : i + 30]) for i in range(len(order) - 29)]
        assert value == pytest.approx(max(max(counts) - min(counts) - 9, 0))


@quick
@given(inserts)
def test_bases_in_repeats_are_those_of_brute_force(texts):
    found = RepeatShare(6, 0.1).violation(candidates(texts))
    for text, value in zip(texts, found, strict=True):
        order = whole(text)
        words = [order[i : i + 6] for i in range(len(order) - 5)]
        canonical = [min(word, reverse(word)) for word in words]
        covered = {
            i + offset
            for i, word in enumerate(canonical)
            if canonical.count(word) > 1
            for offset in range(6)
        }
        assert value == pytest.approx(max(len(covered) - 0.1 * len(order), 0))


def reverse(text):
    return text[::-1].translate(str.maketrans("ACGT", "TGCA"))


@quick
@given(inserts)
def test_a_kept_site_lies_in_the_insert_on_either_strand(texts):
    rule = KeepSite(iupac_pattern("GAWTC"))
    found = rule.violation(candidates(texts))
    for text, value in zip(texts, found, strict=True):
        missing = min(
            sum(base not in allowed for base, allowed in zip(strand[i : i + 5], sites, strict=True))
            for strand in (text, reverse(text))
            for i in range(len(text) - 4)
            for sites in [["G", "A", "AT", "T", "C"]]
        )
        assert value == missing


def test_strict_windows_exclude_the_limits():
    text = "G" * 4 + "A" * 16
    flanks = Flanks("", "")
    assert GcWindow(20, 0.2, 0.9).violation(candidates([text], flanks)) == [0]
    assert GcWindow(20, 0.2, 0.9, strict=True).violation(candidates([text], flanks))[0] > 0


def test_runs_count_on_the_insert_and_into_the_adapters():
    flanks = Flanks()
    assert "TTTTTTT" in ADAPTER_5  # by itself it breaks no rule
    text = "ACGT" * 10
    assert MaxRun(5).violation(candidates([text], flanks)) == [0]
    # The 5' adapter ends with C, the 3' adapter begins with GG.
    longer = ["CCC" + text[3:], text[:-2] + "GG"]
    assert MaxRun(3).violation(candidates(longer, flanks)).tolist() == [1, 1]
    assert MaxRun(4).violation(candidates(longer, flanks)).tolist() == [0, 0]


def test_a_site_over_a_junction_counts_and_one_in_an_adapter_does_not():
    flanks = Flanks()
    over = "GAATTC"
    rule = AvoidSites(iupac_pattern(ADAPTER_5[-3:] + "GG"))
    assert rule.violation(candidates(["GG" + "A" * 30, "A" * 32], flanks)).tolist() == [1, 0]
    inside = AvoidSites(iupac_pattern(ADAPTER_3[2:8]))
    assert inside.violation(candidates(["A" * 32], flanks)).tolist() == [0]
    assert AvoidSites(iupac_pattern(over)).violation(candidates(["A" * 32], flanks)) == [0]


def test_a_site_in_the_fixed_bases_is_an_error():
    rule = AvoidSites(enzyme_pattern("EcoRI"), "--avoid-enzyme")
    check_fixed([rule], [ADAPTER_5, ADAPTER_3])
    with pytest.raises(ValueError, match=r"--avoid-enzyme EcoRI .* the fixed bases AGAATTCA"):
        check_fixed([rule], [ADAPTER_5, "AGAATTCA"])


def test_edits_and_distances_by_hand():
    tokens, start = encode(["ACGTN"])[0], encode(["AGGTN"])[0]
    assert edits(tokens, start) == [1]
    assert edits(tokens, encode(["NGGTN"])[0]) == [1]
    given_promoter = ["ACGT" * 10]
    changed = ["TTTT" + given_promoter[0][4:]]
    rule = MaxEdits(2)
    assert rule.violation(candidates(changed, given=given_promoter)) == [1]
    # A missing base differs from every base.
    short, long = encode(["ACG"])[0], encode(["ACGT"])[0]
    assert distances(short, long).tolist() == [[1]]


@quick
@given(inserts, inserts)
def test_distances_are_equal_to_a_double_loop(left, right):
    found = distances(encode(left)[0], encode(right)[0])
    expected = [[sum(a != b for a, b in zip(x, y, strict=True)) for y in right] for x in left]
    assert found.tolist() == expected
    rule = AwayFrom(30, encode(right)[0], "others")
    lacking = [max(30 - min(row), 0) for row in expected]
    assert rule.violation(candidates(left)).tolist() == lacking


def test_references_of_other_lengths_are_near_at_any_place():
    """The design of 8 bases in a longer reference, or a shorter reference in the design."""
    rule = AwayFrom(4, encode(["GG" + "ACGTTGCA" + "CCC"])[0], "others")
    designs = candidates(["ACGTTGCA", "AGGTTGCT", "TTTTAAAA"])
    # GGACGTTG differs in 7 of 8 bases from TTTTAAAA, CGTTGCAC in 5.
    assert rule.violation(designs).tolist() == [4, 2, 0]
    shorter = AwayFrom(4, encode(["CGTTGC"])[0], "others")
    # The two bases beside it count as different.
    assert shorter.violation(designs).tolist() == [2, 1, 0]
    mixed = candidates(["ACGTTGCA", "CGTTGC"])
    assert rule.violation(mixed).tolist() == [4, 4]
    assert AwayFrom(2, encode(["CGTTGC"])[0], "others").violation(mixed).tolist() == [0, 2]


def test_inserts_of_different_lengths_lie_in_their_own_constructs():
    texts = ["ACGTACGTAA", "ACGTA"]
    both = candidates(texts, Flanks())
    assert decode(both.order, both.ends) == [ADAPTER_5 + text + ADAPTER_3 for text in texts]
    assert decode(both.inserts, both.lengths) == texts
    assert GcRange(0.4, 0.4).violation(both).tolist() == [0, 0]
    assert (both.inserts[1, 5:] == N_TOKEN).all()


def test_a_motif_is_a_site_where_the_scan_finds_one():
    (motif,) = yeast_motifs_named(["REB1"])
    rng = np.random.default_rng(0)
    tokens = rng.integers(4, size=(300, 60), dtype=np.uint8)
    site = encode([motif.consensus])[0][0]
    tokens[::3, 10 : 10 + len(site)] = site
    sites = find_sites(tokens, [motif])
    expected = np.bincount(np.unique(sites.row * 100 + sites.start) // 100, minlength=300)
    rule = AvoidSites(motif_pattern(motif))
    found = rule.violation(Candidates(tokens, np.full(300, 60), Flanks("", "")))
    assert found.tolist() == expected.tolist()
    assert found[0] >= 1


def test_the_best_site_of_a_weak_motif_is_a_site():
    weak = find_pattern("ROX1")
    lengths = [find_pattern(name).width for name in ("REB1", "reb1", "MA0363.3")]
    assert len(set(lengths)) == 1
    best = encode(["".join("ACGT"[i] for i in weak.scores.argmax(axis=0))])[0]
    assert weak.deficits(best).min() <= 0


def test_names_of_motifs_and_enzymes():
    assert find_pattern("tatawr").bases == "TATAWR"
    with pytest.raises(ValueError, match=r"'REBB1' is neither .*did you mean 'REB1'"):
        find_pattern("REBB1")
    with pytest.raises(ValueError, match=r"'EcoR1' is not .*'EcoRI'"):
        enzyme_pattern("EcoR1")
    assert enzyme_pattern("ecori").name == "EcoRI"
    assert enzyme_sites()["NotI"] == "GCGGCCGC"
    several = {name for name, site in enzyme_sites().items() if "|" in site}
    for name, site in enzyme_sites().items():
        assert re.fullmatch("[ACGTRYSWKMBDHVN]+", site) or name in several
    for name in several:
        with pytest.raises(ValueError, match="has several sites; give each of them instead"):
            enzyme_pattern(name)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: GcRange(0.6, 0.4), "--gc takes two percentages, the lower one first"),
        (lambda: GcRange(0.2, 1.5), "such as 30-60; got 20-150"),
        (lambda: MaxRun(0), "--max-run must be at least 1; got 0"),
        (lambda: MaxEdits(0), "--max-edits must be at least 1; got 0"),
        (lambda: GcWindow(1, 0.2, 0.8), "a window has at least 2 bases"),
    ],
)
def test_impossible_numbers_are_errors(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_labels_are_what_the_user_gave():
    assert GcRange(0.3, 0.6).label == "--gc 30-60 (insert)"
    assert MaxRun(5).label == "--max-run 5"
    assert AvoidSites(enzyme_pattern("EcoRI"), "--avoid-enzyme").label == (
        "--avoid-enzyme EcoRI (GAATTC)"
    )
    assert KeepSite(find_pattern("REB1")).label == "--keep REB1"


def test_a_repair_keeps_adapters_and_protected_bases():
    bad = "GAATTC" + "ACGTGTCATTGCCATAGCTT" + "GGTCTC" + "ACTTGCAAGC"
    rules = chisel.specifications(
        [CHISEL_RULES["EcoRI"], CHISEL_RULES["BsaI"], MaxRun(4)], FLANKS, len(bad), stem=10
    )
    repaired = chisel.check(bad, FLANKS, rules, keep=range(6, 26))
    assert repaired.failed == ()
    assert repaired.repaired >= 2
    assert repaired.insert[6:26] == bad[6:26]
    assert repaired == chisel.check(bad, FLANKS, rules, keep=range(6, 26))
    impossible = chisel.check(bad, FLANKS, rules, keep=range(len(bad)))
    assert impossible.failed == ("--forbid EcoRI", "--forbid BsaI")
    assert impossible.insert == bad


def test_hairpins_are_found_by_dnachisel():
    stem = "ACCTGATCGTAGC"
    hairpin = stem + "TTTT" + reverse(stem) + "ACGTACA"
    rules = chisel.specifications([], FLANKS, len(hairpin), stem=11)
    assert chisel.check(hairpin, FLANKS, rules, repair=False).failed
    assert not chisel.check(hairpin, FLANKS, rules).failed
