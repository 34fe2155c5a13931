"""Discovery: counts by hand, planted sites come back, composition and families do not fool it."""

import itertools

import numpy as np
import pytest
from scipy.stats import hypergeom

from crmnet.motifs.contrast import (
    composition_strata,
    exact_p,
    extremes,
    minimum_hypergeometric,
    relatives,
    without_composition,
)
from crmnet.motifs.discover import (
    Candidate,
    DiscoverOptions,
    contrast_motifs,
    differential,
    group_test,
    ranked,
    with_p_values,
)
from crmnet.motifs.jaspar import yeast_motifs, yeast_motifs_named
from crmnet.motifs.kmers import Words
from crmnet.motifs.match import match
from crmnet.motifs.pwm import Motif
from crmnet.motifs.refine import (
    SHAPING,
    best_cut,
    best_scores,
    erase,
    refine,
    strength,
    trim,
    widen,
)
from crmnet.motifs.residual import Sequences, fit, rest_of
from crmnet.sequence import encode

QUICK = DiscoverOptions(n=300, most=4, patience=2)


def random_inserts(n, seed=0, gc=0.5):
    share = [(1 - gc) / 2, gc / 2, gc / 2, (1 - gc) / 2]
    return np.random.default_rng(seed).choice(4, (n, 60), p=share).astype(np.uint8)


def plant(tokens, rows, text, seed=1):
    site = encode([text])[0][0]
    start = np.random.default_rng(seed).integers(0, 60 - len(text), len(rows))
    tokens[np.asarray(rows)[:, None], start[:, None] + np.arange(len(text))] = site


def groups(tokens, top):
    """Two groups, all of one composition, and what is to be explained of them at first."""
    sequences = Sequences(tokens, np.asarray(top, float), np.zeros(len(tokens), int))
    nothing = np.zeros((len(tokens), 0))
    return sequences, rest_of(sequences, nothing, fit(sequences, nothing))


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


def test_an_empty_stratum_says_nothing():
    top = np.arange(10) < 4
    one, two = (exact_p(top, top, np.full(10, number)) for number in (0, 2))
    assert two == one == pytest.approx(1 / 210)


def test_z_by_hand():
    # 10 of 20 have it, 8 of the 10 high ones. Residuals are 1/2 and variances 1/4: the sum is 3,
    # and 10/4 less what the group's own mean takes, (10/4)² / (20/4), is its variance.
    _, rest = groups(np.zeros((20, 1), np.uint8), np.arange(20) < 10)
    assert rest.z_of(np.arange(2, 12)) == pytest.approx(3 / 1.25**0.5)
    assert rest.turned().z_of(np.arange(2, 12)) == pytest.approx(-3 / 1.25**0.5)


def test_composition_alone_is_no_enrichment():
    # All difference lies between strata, none within.
    stratum = np.repeat([0, 1], 100)
    top = np.arange(200) % 100 < np.where(stratum == 0, 10, 90)
    sequences = Sequences(np.zeros((200, 1), np.uint8), top.astype(float), stratum)
    rest = rest_of(sequences, np.zeros((200, 0)), fit(sequences, np.zeros((200, 0))))
    everywhere = np.r_[0:1, 10:19, 100:145, 190:195]  # a tenth of each group below, half above
    assert rest.z_of(everywhere) == pytest.approx(0, abs=1e-6)


def test_what_is_explained_is_no_longer_there():
    rng = np.random.default_rng(0)
    height = np.arange(400) < 200
    known = (rng.random(400) < np.where(height, 0.6, 0.1)).astype(float)
    shadow = known * (rng.random(400) < 0.8)  # says nothing that known does not
    sequences, rest = groups(np.zeros((400, 1), np.uint8), height)
    assert rest.z_of(np.nonzero(shadow)[0]) > 6
    left = rest_of(sequences, known[:, None], fit(sequences, known[:, None]))
    assert abs(left.z_of(np.nonzero(shadow)[0])) < 2
    assert left.residual.sum() == pytest.approx(0, abs=1e-6)


def test_ranks_scatter_a_third_as_much_as_groups():
    place = (np.arange(999) + 0.5) / 999
    _, rest = groups(np.zeros((999, 1), np.uint8), place)
    assert rest.variance.mean() == pytest.approx(1 / 12, rel=1e-3)
    assert rest.residual.var() == pytest.approx(1 / 12, rel=1e-3)


def test_minimum_hypergeometric_by_hand():
    # Both hits first of four: the tail at the second rank is 1 in 6, times two hits.
    assert minimum_hypergeometric(np.array([1, 1, 0, 0], bool)) == (pytest.approx(1 / 3), 2)
    assert minimum_hypergeometric(np.zeros(4, bool))[0] == 1


def test_minimum_hypergeometric_bounds_the_true_p_value():
    n, have = 9, 4
    orders = [np.isin(np.arange(n), places) for places in itertools.combinations(range(n), have)]
    p = np.array([minimum_hypergeometric(order)[0] for order in orders])
    for limit in (0.05, 0.2, 0.5):
        assert (p <= limit).mean() <= limit


def test_relatives_are_found_and_strangers_are_not():
    tokens = random_inserts(40)
    tokens[20:30] = tokens[:10]
    tokens[20:30, 30] = (tokens[20:30, 30] + 1) % 4
    tokens[38:] = 0  # two runs of A share no origin
    family = relatives(tokens)
    assert (family[20:30] == family[:10]).all()
    assert len(np.unique(family)) == 30


def test_each_family_counts_once_at_an_end():
    expression = np.array([9.0, 8, 7, 6, 5, 4, 3, 2])
    family = np.array([1, 1, 2, 3, 4, 5, 6, 6])
    top, bottom = extremes(expression, family, 2)
    assert top.tolist() == [0, 2] and bottom.tolist() == [7, 5]
    with pytest.raises(ValueError, match="more than half"):
        extremes(expression, family, 4)


def test_ranks_without_composition_do_not_follow_it():
    tokens = np.concatenate([random_inserts(500, 1, 0.3), random_inserts(500, 2, 0.7)])
    expression = np.arange(1000.0)
    place = without_composition(expression, tokens, 10)
    gc = np.isin(tokens, (1, 2)).mean(axis=1)
    assert np.corrcoef(expression, gc)[0, 1] > 0.8
    assert abs(np.corrcoef(place, gc)[0, 1]) < 0.15


def test_best_scores_equal_a_loop_and_no_site_covers_n():
    motif = Motif("M", "M", np.random.default_rng(0).integers(1, 9, (4, 3)).astype(float))
    tokens = random_inserts(5)[:, :8]
    tokens[0, 3] = 4
    matrix = motif.log_odds()
    score, start, turned = best_scores(tokens, motif)
    for row, letters in enumerate(tokens.tolist()):
        windows = [letters[i : i + 3] for i in range(6)]
        other = [[3 - b if b < 4 else 4 for b in w[::-1]] for w in windows]
        read = [[-99 if 4 in w else sum(matrix[b, i] for i, b in enumerate(w)) for w in strand]
                for strand in (windows, other)]  # fmt: skip
        assert score[row] == pytest.approx(np.max(read), rel=1e-5)
        assert read[int(turned[row])][start[row]] == pytest.approx(np.max(read), rel=1e-5)


def test_the_best_word_is_the_planted_one():
    tokens = random_inserts(400)
    plant(tokens, range(0, 100), "GATTACA")
    words = Words(tokens, 10)
    _, rest = groups(tokens, np.arange(400) < 200)
    word = words.best(rest)
    spelled = "".join("ACGTN"[i] for i in word.letters)
    assert spelled.strip("N") in ("GATTAC", "ATTACA", "GATTACA", "GTAATC", "TGTAAT", "TGTAATC")
    assert word.z > 5 and words.having(word).sum() >= 100
    assert words.best(rest).letters != word.letters  # no word is offered twice
    assert Words(tokens, 10).best(rest.turned()).z == -word.z


def test_words_are_the_same_on_both_strands_and_avoid_n():
    tokens = np.stack([encode([text])[0][0] for text in ("GATTACAA", "TTGTAATC", "GATNACAA")])
    words = Words(tokens, 1)
    _, eight = words.found[2]
    assert len(eight) == 2 and eight[0] == eight[1]


def test_a_matrix_grows_from_its_sites_to_what_was_planted():
    tokens, top = random_inserts(1000), np.arange(1000) < 500
    plant(tokens, range(0, 200), "TGACTCATGC")
    _, rest = groups(tokens, top)
    motif, threshold, z = refine(widen(site("GACTCA"), 4), tokens, rest, SHAPING, 10)
    assert motif.consensus in ("TGACTCATGC", "GCATGAGTCA") and z > 12
    hits = best_scores(tokens, motif)[0] >= threshold
    assert hits[:200].all() and hits[200:].mean() < 0.03


def test_a_matrix_never_grows_wider_than_the_sequences():
    tokens, top = random_inserts(600)[:, :9], np.arange(600) < 300
    tokens[:100, 1:8] = encode(["GATTACA"])[0][0]
    _, rest = groups(tokens, top)
    motif, _, z = refine(widen(site("GATTACA"), 4), tokens, rest, SHAPING, 10)
    assert "GATTACA" in motif.consensus and motif.width <= 9 and z > 8


def test_the_cut_is_where_sites_stop_telling_groups_apart():
    score = np.arange(100.0)[::-1]
    _, rest = groups(np.zeros((100, 1), np.uint8), np.arange(100) < 40)
    z, threshold = best_cut(score, rest, 10, floor=20)
    assert threshold == pytest.approx(60, abs=2) and z > 8


def test_strength_is_nothing_for_a_weak_site_and_one_for_the_consensus():
    motif = site("GATTACAT")
    tokens = np.stack([encode([t])[0][0] for t in ("CCGATTACATCC", "CCCCCCCCCCCC")])
    strong, weak = strength(best_scores(tokens, motif)[0], motif)
    assert strong == pytest.approx(1, abs=1e-5) and weak == 0


def test_erasing_covers_every_site_on_both_strands():
    tokens = encode(["GATTACACCCTGTAATCCC"])[0]
    erase(tokens, site("GATTACA"), 7.0)
    assert "".join("ACGTN"[i] for i in tokens[0]) == "NNNNNNNCCCNNNNNNNCC"


def test_edges_that_say_nothing_are_cut_off():
    assert trim(widen(site("GATTACA"), 3)).consensus == "GATTACA"


def test_a_fragment_of_a_better_motif_is_not_confirmed_beside_it():
    tokens, top = random_inserts(600), np.arange(600) < 300
    plant(tokens, range(0, 100), "TGACTCATGC")
    sequences, _ = groups(tokens, top)
    whole = Candidate(site("TGACTCATGC"), 12.0, True, 9.0)
    fragment = Candidate(site("CTCATGC"), 8.0, True, 7.0)
    alone = with_p_values([fragment], sequences, group_test(sequences))
    both = with_p_values([fragment, whole], sequences, group_test(sequences))
    assert alone[0].p < 1e-20
    assert both[0].p < 1e-20 and both[0].motif.consensus == "TGACTCATGC"
    assert both[1].p > 0.01


def test_planted_factors_come_back_under_their_names():
    tokens, top = random_inserts(1600), np.arange(1600) < 800
    reb1, rox1 = (m.consensus for m in yeast_motifs_named(["REB1", "ROX1"]))
    plant(tokens, range(0, 150), reb1)
    plant(tokens, range(800, 950), rox1)
    found = contrast_motifs(tokens, top, DiscoverOptions(most=4, patience=2))
    assert [f.enriched for f in found] in (["high", "low"], ["low", "high"])
    best = match([f.motif for f in found], yeast_motifs()).best()
    names = {f.enriched: yeast_motifs()[i].name for f, i in zip(found, best, strict=True)}
    # NSI1's matrix is REB1's, a base longer.
    assert names["high"] in ("REB1", "NSI1") and names["low"] == "ROX1"
    for f in found:
        assert f.q < 1e-6 and f.share > 0.15 > f.share_other
        assert f.e == f.motif.evalue


def test_nothing_is_found_where_only_composition_differs():
    tokens = np.concatenate([random_inserts(400, 3, 0.6), random_inserts(400, 4, 0.5)])
    assert contrast_motifs(tokens, np.arange(800) < 400, QUICK) == []


def test_both_ways_of_ranking_find_what_drives_expression():
    tokens = random_inserts(2000)
    plant(tokens, range(0, 400), "TTACCCGGT")
    expression = np.random.default_rng(5).normal(0, 1, 2000)
    expression[:400] += 2
    expression += 8 * np.isin(tokens, (1, 2)).mean(axis=1)
    family = np.arange(2000)
    for search in (differential, ranked):
        found = search(tokens, expression, family, QUICK)
        assert found[0].enriched == "high"
        assert "TACCCG" in found[0].motif.consensus or "CGGGTA" in found[0].motif.consensus


@pytest.mark.parametrize("wrong", [{"held_out": 1.0}, {"q_value": 0}, {"n": 0}])
def test_bad_options_are_refused(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        DiscoverOptions(**wrong)


def test_strata_are_about_equal_in_size():
    sizes = np.bincount(composition_strata(random_inserts(3000), 6))
    assert len(sizes) == 6 and sizes.min() > 300
