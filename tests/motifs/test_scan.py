"""Sites and their p-values: by hand, by counting all k-mers, and compared with Biopython."""

import itertools

import numpy as np
import pytest
from Bio import motifs as bio
from Bio.Seq import Seq

from crmnet.motifs.jaspar import yeast_motifs_named
from crmnet.motifs.pwm import Motif
from crmnet.motifs.scan import (
    STEPS_PER_BIT,
    ScanOptions,
    find_sites,
    grid_scores,
    p_values,
    q_values,
)
from crmnet.sequence import encode

AT = Motif("AT", "X", np.array([[8.0, 0.0], [0, 0], [0, 0], [0, 8.0]]))


def test_p_values_by_hand():
    # Two columns that score 1 for one base and 0 for the others: 2 in 1/16, 1 in 6/16, 0 in 9/16.
    low, table = p_values(np.array([[1, 0], [0, 0], [0, 1], [0, 0]]))
    assert low == 0
    np.testing.assert_allclose(table, [1, 7 / 16, 1 / 16])


@pytest.mark.parametrize("background", [(0.25,) * 4, (0.4, 0.1, 0.2, 0.3)])
def test_p_values_equal_a_count_of_all_kmers(background):
    rng = np.random.default_rng(3)
    scores = rng.integers(-30, 30, (4, 5))
    low, table = p_values(scores, background)
    kmers = np.array(list(itertools.product(range(4), repeat=5)))
    total = scores[kmers, np.arange(5)].sum(axis=1)
    chance = np.array(background)[kmers].prod(axis=1)
    for score in range(low, total.max() + 1):
        assert table[score - low] == pytest.approx(chance[total >= score].sum(), abs=1e-12)


def test_hits_by_hand():
    tokens, _ = encode(["GGATGG", "GGNTGG", "ATGGGG"])
    hits = find_sites(tokens, [AT], ScanOptions(p_value=1 / 16))
    # AT is palindromic: each hit is found on both strands. The second sequence has an N there.
    assert hits.row.tolist() == [0, 0, 2, 2]
    assert hits.start.tolist() == [2, 2, 0, 0]
    assert hits.end.tolist() == [4, 4, 2, 2]
    assert hits.strand.tolist() == ["+", "-"] * 2
    # (8 + 1/4) / 9 over 1/4, twice.
    np.testing.assert_allclose(hits.score, 2 * np.log2(33 / 9), atol=1 / STEPS_PER_BIT)
    np.testing.assert_allclose(hits.p, 1 / 16)
    # Five starts in two sequences, three in the one with N, on two strands: 26 tests.
    np.testing.assert_allclose(hits.q, 26 / 16 / 4)
    one = find_sites(tokens, [AT], ScanOptions(p_value=1 / 16, both_strands=False))
    assert one.strand.tolist() == ["+", "+"]


def test_a_threshold_that_no_kmer_reaches_gives_no_hits():
    tokens, _ = encode(["ATATAT"])
    assert len(find_sites(tokens, [AT], ScanOptions(p_value=0.01)).row) == 0


def test_scores_and_positions_agree_with_biopython():
    (motif,) = yeast_motifs_named(["REB1"])
    text = "".join("ACGT"[i] for i in np.random.default_rng(0).integers(0, 4, 3000))
    text = text[:500] + motif.consensus + text[500:]
    hits = find_sites(encode([text])[0], [motif], ScanOptions(p_value=1e-3))
    # Biopython computes log-odds from counts: it gets our probabilities with pseudocounts.
    shares = motif.probabilities()
    theirs = bio.Motif("ACGT", counts=dict(zip("ACGT", shares.tolist(), strict=True)))
    pssm = theirs.pssm
    cut = hits.score.min() - 0.2
    found = dict(pssm.search(Seq(text), threshold=cut))
    for place, strand, score in zip(hits.start, hits.strand, hits.score, strict=True):
        place = int(place) if strand == "+" else int(place) - len(text)
        assert found[place] == pytest.approx(score, abs=motif.width / STEPS_PER_BIT)
    assert 500 in hits.start
    ours = {int(p) if s == "+" else int(p) - len(text)
            for p, s in zip(hits.start, hits.strand, strict=True)}  # fmt: skip
    for place in found.keys() - ours:
        assert found[place] < hits.score.min() + motif.width / STEPS_PER_BIT


def test_the_fraction_of_hits_in_random_sequences_is_the_p_value():
    motifs = yeast_motifs_named(["REB1", "MCM1", "GCN4"])
    tokens = np.random.default_rng(1).integers(0, 4, (4000, 60), dtype=np.uint8)
    hits = find_sites(tokens, motifs, ScanOptions(p_value=1e-3))
    for number, motif in enumerate(motifs):
        _, table = p_values(grid_scores(motif, ScanOptions()))
        expected = table[table <= 1e-3].max() * len(tokens) * (61 - motif.width) * 2
        assert abs(len(hits.of_motif(number).row) - expected) < 5 * expected**0.5


def test_q_values_by_hand():
    np.testing.assert_allclose(q_values(np.array([0.02, 0.01, 0.5]), 4), [0.04, 0.04, 2 / 3])


def test_invalid_options_are_rejected():
    with pytest.raises(ValueError, match="p_value"):
        ScanOptions(p_value=0)
    with pytest.raises(ValueError, match="add up to 1"):
        ScanOptions(background=(0.5, 0.5, 0.5, 0.5))


@pytest.mark.parametrize("name", ["REB1", "ABF1", "GCN4"])
def test_p_values_agree_with_biopython(name):
    (motif,) = yeast_motifs_named([name])
    shares = dict(zip("ACGT", motif.probabilities().tolist(), strict=True))
    distribution = bio.Motif("ACGT", counts=shares).pssm.distribution(precision=10_000)
    low, table = p_values(grid_scores(motif, ScanOptions()))
    for p in (1e-2, 1e-3, 1e-4):
        ours = (low + int(np.argmax(table <= p))) / STEPS_PER_BIT
        assert distribution.threshold_fpr(p) == pytest.approx(ours, abs=motif.width / STEPS_PER_BIT)
