"""Motif discovery: tests by hand, recovery of planted sites, robustness to composition."""

import dataclasses
import itertools

import numpy as np
import pytest
from scipy.stats import hypergeom

from crmnet.motifs.contrast import (
    composition_strata,
    exact_p,
    extremes,
    find_families,
    minimum_hypergeometric,
    one_of_each_family,
    rank_within_strata,
)
from crmnet.motifs.discover import (
    Candidate,
    DiscoverOptions,
    contrast_motifs,
    differential_motifs,
    group_test,
    ranked_motifs,
    with_p_values,
)
from crmnet.motifs.jaspar import yeast_motifs, yeast_motifs_named
from crmnet.motifs.kmers import KmerIndex
from crmnet.motifs.match import match
from crmnet.motifs.pwm import Motif
from crmnet.motifs.refine import (
    SHAPING_LIMITS,
    best_scores,
    best_threshold,
    erase,
    refine,
    site_strength,
    trim,
    widen,
)
from crmnet.motifs.residual import LabelledSequences, compute_residuals, fit_regression
from crmnet.sequence import encode

pytestmark = pytest.mark.slow

QUICK = DiscoverOptions(n=300, max_candidates=4, max_failures=2)


def random_inserts(n, seed=0, gc=0.5):
    share = [(1 - gc) / 2, gc / 2, gc / 2, (1 - gc) / 2]
    return np.random.default_rng(seed).choice(4, (n, 60), p=share).astype(np.uint8)


def plant(tokens, rows, text, seed=1):
    site = encode([text])[0][0]
    start = np.random.default_rng(seed).integers(0, 60 - len(text), len(rows))
    tokens[np.asarray(rows)[:, None], start[:, None] + np.arange(len(text))] = site


def groups(tokens, top):
    """Two groups of one composition, and the residuals of a regression without motifs."""
    sequences = LabelledSequences(tokens, np.asarray(top, float), np.zeros(len(tokens), int))
    no_features = np.zeros((len(tokens), 0))
    return sequences, compute_residuals(
        sequences, no_features, fit_regression(sequences, no_features)
    )


def site(text, sites=20):
    letters = encode([text])[0][0]
    return Motif(text, text, np.eye(4)[letters].T * sites)


def test_one_stratum_is_the_hypergeometric_test():
    top = np.arange(10) < 4
    hits = np.array([1, 1, 1, 0, 1, 0, 0, 0, 0, 0], dtype=bool)
    assert exact_p(hits, top, np.zeros(10, int)) == pytest.approx(hypergeom.sf(2, 10, 4, 4))


def test_two_strata_by_enumeration():
    rng = np.random.default_rng(2)
    top, stratum, hits = rng.random(8) < 0.5, np.repeat([0, 1], 4), rng.random(8) < 0.5
    seen = (hits & top).sum()
    deals = [
        sum(bool(h) and bool(t) for h, t in zip(hits, (*a, *b), strict=True))
        for a in set(itertools.permutations(top[:4].tolist()))
        for b in set(itertools.permutations(top[4:].tolist()))
    ]
    assert exact_p(hits, top, stratum) == pytest.approx(np.mean(np.array(deals) >= seen))


def test_an_empty_stratum_does_not_change_p():
    top = np.arange(10) < 4
    one, two = (exact_p(top, top, np.full(10, number)) for number in (0, 2))
    assert two == one == pytest.approx(1 / 210)


def test_z_by_hand():
    # 10 of 20 sequences have the feature, 8 of them high. Residuals are ±1/2: their sum is 3.
    # Variances are 1/4: that of the sum is 10/4 minus (10/4)² / (20/4) for the fitted mean.
    _, residuals = groups(np.zeros((20, 1), np.uint8), np.arange(20) < 10)
    assert residuals.z_score(np.arange(2, 12)) == pytest.approx(3 / 1.25**0.5)
    assert residuals.negated().z_score(np.arange(2, 12)) == pytest.approx(-3 / 1.25**0.5)


def test_a_difference_in_composition_alone_is_not_enrichment():
    # The groups differ between strata only, not within them.
    stratum = np.repeat([0, 1], 100)
    top = np.arange(200) % 100 < np.where(stratum == 0, 10, 90)
    sequences = LabelledSequences(np.zeros((200, 1), np.uint8), top.astype(float), stratum)
    residuals = compute_residuals(
        sequences, np.zeros((200, 0)), fit_regression(sequences, np.zeros((200, 0)))
    )
    everywhere = np.r_[0:1, 10:19, 100:145, 190:195]  # a tenth of each group below, half above
    assert residuals.z_score(everywhere) == pytest.approx(0, abs=1e-6)


def test_a_feature_in_the_regression_leaves_no_signal_for_its_copies():
    rng = np.random.default_rng(0)
    is_high = np.arange(400) < 200
    known = (rng.random(400) < np.where(is_high, 0.6, 0.1)).astype(float)
    copy = known * (rng.random(400) < 0.8)  # no information beyond known
    sequences, residuals = groups(np.zeros((400, 1), np.uint8), is_high)
    assert residuals.z_score(np.nonzero(copy)[0]) > 6
    left = compute_residuals(sequences, known[:, None], fit_regression(sequences, known[:, None]))
    assert abs(left.z_score(np.nonzero(copy)[0])) < 2
    assert left.residual.sum() == pytest.approx(0, abs=1e-6)


def test_ranks_have_a_third_of_the_variance_of_groups():
    place = (np.arange(999) + 0.5) / 999
    _, residuals = groups(np.zeros((999, 1), np.uint8), place)
    assert residuals.variance.mean() == pytest.approx(1 / 12, rel=1e-3)
    assert residuals.residual.var() == pytest.approx(1 / 12, rel=1e-3)


def test_minimum_hypergeometric_by_hand():
    # Both hits lead the ranking of four: the tail at rank 2 is 1 in 6, times two hits.
    assert minimum_hypergeometric(np.array([1, 1, 0, 0], bool)) == (pytest.approx(1 / 3), 2)
    assert minimum_hypergeometric(np.zeros(4, bool))[0] == 1


def test_no_cutoff_lies_between_equal_values():
    # Both hits share their value with a rank without one: both in three of four ranks, 1/2.
    hits = np.array([1, 1, 0, 0], bool)
    assert minimum_hypergeometric(hits, [9, 9, 9, 7]) == (1, 3)
    assert minimum_hypergeometric(hits, [9, 9, 8, 7]) == (pytest.approx(1 / 3), 2)
    # A hit in two of six ranks, 1 - 6/15; both in four, 6/15: the smaller one, times two hits.
    hits, values = np.array([1, 0, 0, 1, 0, 0], bool), [5, 5, 4, 4, 3, 3]
    assert minimum_hypergeometric(hits, values) == (pytest.approx(0.8), 4)


def test_minimum_hypergeometric_bounds_the_true_p_value():
    n, n_hits = 9, 4
    orders = [np.isin(np.arange(n), places) for places in itertools.combinations(range(n), n_hits)]
    p = np.array([minimum_hypergeometric(order)[0] for order in orders])
    for limit in (0.05, 0.2, 0.5):
        assert (p <= limit).mean() <= limit


def test_relatives_form_families_and_unrelated_sequences_do_not():
    tokens = random_inserts(40)
    tokens[20:30] = tokens[:10]
    tokens[20:30, 30] = (tokens[20:30, 30] + 1) % 4
    tokens[38:] = 0  # homopolymers are not relatives
    family = find_families(tokens)
    assert (family[20:30] == family[:10]).all()
    assert len(np.unique(family)) == 30


def test_each_family_counts_once_in_each_group():
    expression = np.array([9.0, 8, 7, 6, 5, 4, 3, 2])
    family = np.array([1, 1, 2, 3, 4, 5, 6, 6])
    top, bottom = extremes(expression, family, 2)
    assert top.tolist() == [0, 2] and bottom.tolist() == [7, 5]
    with pytest.raises(ValueError, match=r"more than half .* at most 3 \(option -n\)"):
        extremes(expression, family, 4)


def test_more_sequences_than_half_of_the_families_are_refused_and_none_are_chosen(caplog):
    """Before, three families of two rows each were compared with themselves."""
    expression, family = np.arange(6.0), np.repeat([0, 1, 2], 2)
    with pytest.raises(ValueError, match="of the 3 families; choose an n of at most 1 "):
        extremes(expression, family, 3)
    tokens = random_inserts(400)
    plant(tokens, range(200), "TTACCCGGT")
    caplog.set_level("INFO", logger="crmnet")
    found = differential_motifs(tokens, -np.arange(400.0), np.arange(400))
    assert "there are 400 families: the 200 highest are compared with the 200 lowest" in caplog.text
    assert found[0].enriched == "high"
    with pytest.raises(ValueError, match="n = 201 "):
        differential_motifs(tokens, np.arange(400.0), np.arange(400), DiscoverOptions(n=201))


def test_inserts_of_15_bases_are_searched():
    """Before, they were too short for the windows of :func:`find_families`."""
    tokens = random_inserts(400)[:, :15]
    tokens[:200, 3:12] = encode(["TTACCCGGT"])[0][0]
    family = find_families(tokens)
    assert family.tolist() == list(range(400))
    found = differential_motifs(tokens, -np.arange(400.0), family)
    assert "ACCCGG" in found[0].motif.consensus or "CCGGGT" in found[0].motif.consensus


def test_equal_expression_is_not_ranked_by_the_order_of_the_file():
    equal, family = np.full(1000, 5.0), np.arange(1000)
    first = np.arange(1000) < 500
    top, bottom = extremes(equal, family, 300, seed=1)
    place = rank_within_strata(equal, random_inserts(1000), 10, seed=1)
    for rows in (top, bottom, np.nonzero(place > 0.7)[0]):
        assert 0.4 < first[rows].mean() < 0.6
    assert (extremes(equal, family, 300, seed=1)[0] == top).all()
    assert (extremes(equal, family, 300, seed=2)[0] != top).any()


@pytest.mark.parametrize("plain", [True, False])
def test_equal_expression_gives_no_motifs(plain):
    """Before, a site in the first half of the file was significant, with q of 1e-108."""
    tokens, equal = random_inserts(1000), np.full(1000, 5.0)
    plant(tokens, range(500), "TTACCCGGT")
    options = dataclasses.replace(QUICK, match_composition=not plain)
    assert differential_motifs(tokens, equal, np.arange(1000), options) == []
    assert plain or ranked_motifs(tokens, equal, np.arange(1000), options) == []


def test_a_family_is_represented_by_a_random_row():
    """Before, by its first: in a file sorted by expression the highest row of a family."""
    family = np.repeat(np.arange(300), 5)
    rows = one_of_each_family(family, 0)
    assert (family[rows] == np.arange(300)).all()
    assert 1.8 < (rows % 5).mean() < 2.2
    assert one_of_each_family([7, 3, 5], 0).tolist() == [1, 2, 0]


def test_ranks_within_strata_do_not_correlate_with_composition():
    tokens = np.concatenate([random_inserts(500, 1, 0.3), random_inserts(500, 2, 0.7)])
    expression = np.arange(1000.0)
    place = rank_within_strata(expression, tokens, 10)
    gc = np.isin(tokens, (1, 2)).mean(axis=1)
    assert np.corrcoef(expression, gc)[0, 1] > 0.8
    assert abs(np.corrcoef(place, gc)[0, 1]) < 0.15


def test_best_scores_equal_a_plain_loop_and_no_site_covers_n():
    motif = Motif("M", "M", np.random.default_rng(0).integers(1, 9, (4, 3)).astype(float))
    tokens = random_inserts(5)[:, :8]
    tokens[0, 3] = 4
    matrix = motif.log_odds()
    score, start, reverse = best_scores(tokens, motif)
    for row, letters in enumerate(tokens.tolist()):
        windows = [letters[i : i + 3] for i in range(6)]
        other = [[3 - b if b < 4 else 4 for b in w[::-1]] for w in windows]
        read = [[-99 if 4 in w else sum(matrix[b, i] for i, b in enumerate(w)) for w in strand]
                for strand in (windows, other)]  # fmt: skip
        assert score[row] == pytest.approx(np.max(read), rel=1e-5)
        assert read[int(reverse[row])][start[row]] == pytest.approx(np.max(read), rel=1e-5)


def test_the_best_kmer_is_the_planted_one():
    tokens = random_inserts(400)
    plant(tokens, range(0, 100), "GATTACA")
    kmers = KmerIndex(tokens, 10)
    _, residuals = groups(tokens, np.arange(400) < 200)
    kmer = kmers.take_best(residuals)
    spelled = "".join("ACGTN"[i] for i in kmer.letters)
    assert spelled.strip("N") in ("GATTAC", "ATTACA", "GATTACA", "GTAATC", "TGTAAT", "TGTAATC")
    assert kmer.z > 5 and kmers.contains(kmer).sum() >= 100
    assert kmers.take_best(residuals).letters != kmer.letters  # no k-mer is returned twice
    assert KmerIndex(tokens, 10).take_best(residuals.negated()).z == -kmer.z


def test_kmers_are_the_same_on_both_strands_and_avoid_n():
    tokens = np.stack([encode([text])[0][0] for text in ("GATTACAA", "TTGTAATC", "GATNACAA")])
    kmers = KmerIndex(tokens, 1)
    _, eight = kmers.occurrences[2]
    assert len(eight) == 2 and eight[0] == eight[1]


def test_a_matrix_grows_from_a_kmer_to_the_planted_site():
    tokens, top = random_inserts(1000), np.arange(1000) < 500
    plant(tokens, range(0, 200), "TGACTCATGC")
    _, residuals = groups(tokens, top)
    motif, threshold, z = refine(widen(site("GACTCA"), 4), tokens, residuals, SHAPING_LIMITS, 10)
    assert motif.consensus in ("TGACTCATGC", "GCATGAGTCA") and z > 12
    hits = best_scores(tokens, motif)[0] >= threshold
    assert hits[:200].all() and hits[200:].mean() < 0.03


def test_a_matrix_is_never_wider_than_the_sequences():
    tokens, top = random_inserts(600)[:, :9], np.arange(600) < 300
    tokens[:100, 1:8] = encode(["GATTACA"])[0][0]
    _, residuals = groups(tokens, top)
    motif, _, z = refine(widen(site("GATTACA"), 4), tokens, residuals, SHAPING_LIMITS, 10)
    assert "GATTACA" in motif.consensus and motif.width <= 9 and z > 8


def test_the_threshold_is_where_scores_stop_separating_the_groups():
    score = np.arange(100.0)[::-1]
    _, residuals = groups(np.zeros((100, 1), np.uint8), np.arange(100) < 40)
    z, threshold = best_threshold(score, residuals, 10, min_score=20)
    assert threshold == pytest.approx(60, abs=2) and z > 8


def test_strength_is_0_for_a_weak_site_and_1_for_the_consensus():
    motif = site("GATTACAT")
    tokens = np.stack([encode([t])[0][0] for t in ("CCGATTACATCC", "CCCCCCCCCCCC")])
    strong, weak = site_strength(best_scores(tokens, motif)[0], motif)
    assert strong == pytest.approx(1, abs=1e-5) and weak == 0


def test_erasing_masks_every_site_on_both_strands():
    tokens = encode(["GATTACACCCTGTAATCCC"])[0]
    erase(tokens, site("GATTACA"), 7.0)
    assert "".join("ACGTN"[i] for i in tokens[0]) == "NNNNNNNCCCNNNNNNNCC"


def test_uninformative_edges_are_trimmed():
    assert trim(widen(site("GATTACA"), 3)).consensus == "GATTACA"


def test_a_fragment_of_a_stronger_motif_is_not_confirmed():
    tokens, top = random_inserts(600), np.arange(600) < 300
    plant(tokens, range(0, 100), "TGACTCATGC")
    sequences, _ = groups(tokens, top)
    complete = Candidate(site("TGACTCATGC"), 12.0, True, 9.0)
    fragment = Candidate(site("CTCATGC"), 8.0, True, 7.0)
    alone = with_p_values([fragment], sequences, group_test(sequences))
    both = with_p_values([fragment, complete], sequences, group_test(sequences))
    assert alone[0].p < 1e-20
    assert both[0].p < 1e-20 and both[0].motif.consensus == "TGACTCATGC"
    assert both[1].p > 0.01


def test_planted_factors_are_found_and_named():
    tokens, top = random_inserts(1600), np.arange(1600) < 800
    reb1, rox1 = (m.consensus for m in yeast_motifs_named(["REB1", "ROX1"]))
    plant(tokens, range(0, 150), reb1)
    plant(tokens, range(800, 950), rox1)
    found = contrast_motifs(tokens, top, DiscoverOptions(max_candidates=4, max_failures=2))
    assert [f.enriched for f in found] in (["high", "low"], ["low", "high"])
    best = match([f.motif for f in found], yeast_motifs()).best()
    names = {f.enriched: yeast_motifs()[i].name for f, i in zip(found, best, strict=True)}
    # NSI1's matrix is REB1's with one more base.
    assert names["high"] in ("REB1", "NSI1") and names["low"] == "ROX1"
    for f in found:
        assert f.q < 1e-6 and f.share > 0.15 > f.share_other
        assert f.e == f.motif.evalue


def test_no_motif_is_found_if_only_composition_differs():
    tokens = np.concatenate([random_inserts(400, 3, 0.6), random_inserts(400, 4, 0.5)])
    assert contrast_motifs(tokens, np.arange(800) < 400, QUICK) == []


def test_both_searches_find_the_site_that_drives_expression():
    tokens = random_inserts(2000)
    plant(tokens, range(0, 400), "TTACCCGGT")
    expression = np.random.default_rng(5).normal(0, 1, 2000)
    expression[:400] += 2
    expression += 8 * np.isin(tokens, (1, 2)).mean(axis=1)
    family = np.arange(2000)
    for search in (differential_motifs, ranked_motifs):
        found = search(tokens, expression, family, QUICK)
        assert found[0].enriched == "high"
        assert "TACCCG" in found[0].motif.consensus or "CGGGTA" in found[0].motif.consensus


@pytest.mark.parametrize("wrong", [{"held_out": 1.0}, {"q_value": 0}, {"n": 0}])
def test_invalid_options_are_rejected(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        DiscoverOptions(**wrong)


def test_strata_have_similar_sizes():
    sizes = np.bincount(composition_strata(random_inserts(3000), 6))
    assert len(sizes) == 6 and sizes.min() > 300
