"""The simulated cell compared with closed forms, and on sequences with known sites."""

import numpy as np
import pytest

from crmnet import sequence
from crmnet.simulation.cell import (
    FACTORS,
    MEDIA,
    TRACT_NAME,
    Binding,
    Cell,
    Factor,
    find_true_sites,
)

COMPLEX, DEFINED = 0, 1
INSERT_START, INSERT_END = 17, 97


@pytest.fixture(scope="module")
def cell():
    return Cell()


def logistic(x):
    return 1 / (1 + np.exp(-x))


def logit(expression):
    """Inverse of the logistic curve that gives bins from 0 to 17."""
    share = np.float64(expression) / 17
    return np.log(share / (1 - share))


# -- the cell, one factor and one position at a time ------------------------------------------


def one_site(weight=0.0, start=40, forward=1.0, windows=0, gc=0.0):
    """Binding of one factor to one promoter: a single position with this weight."""
    weights, strand = np.zeros((1, 1, 112), np.float32), np.ones((1, 1, 112), np.float32)
    weights[0, 0, start], strand[0, 0, start] = weight, forward
    tract = np.zeros((1, 112), np.float32)
    tract[0, :windows] = 1
    return Binding(weights, strand, tract, np.array([gc], np.float32))


def added_logit(lone, medium=COMPLEX, **site):
    """Logit of expression with the site minus that without it."""
    with_site = lone.expression(one_site(**site), medium)
    return logit(with_site[0]) - logit(lone.expression(one_site(), medium)[0])


def test_accessibility_without_sites_is_the_base_value():
    lone = Cell((Factor("MCM1", (1.0, 1.0)),))
    assert lone.accessibility(one_site(), COMPLEX) == pytest.approx([logistic(-0.6)])


@pytest.mark.parametrize(("windows", "opened"), [(1, 0.25), (3, 0.75), (6, 1.5), (20, 1.5)])
def test_tracts_open_chromatin_up_to_a_limit(windows, opened):
    lone = Cell((Factor("MCM1", (1.0, 1.0)),))
    found = lone.accessibility(one_site(windows=windows), COMPLEX)
    assert found == pytest.approx([logistic(-0.6 + opened)])


def test_an_opener_opens_by_its_occupancy_in_each_medium():
    lone = Cell((Factor("REB1", (0.0, 0.0), concentration=(1.0, 4.0), opening=2.0),))
    site = one_site(weight=0.5)  # bound 0.5 / 1.5 of the time, and 2 / 3
    assert lone.accessibility(site, COMPLEX) == pytest.approx([logistic(-0.6 + 2 / 3)])
    assert lone.accessibility(site, DEFINED) == pytest.approx([logistic(-0.6 + 4 / 3)])


def test_an_opener_binds_independent_of_chromatin():
    lone = Cell((Factor("REB1", (1.0, 1.0), concentration=(3.0, 3.0), opening=2.0),))
    assert lone.occupancy(one_site(weight=1.0), COMPLEX)[0, 0, 40] == pytest.approx(0.75)


def test_other_factors_bind_according_to_accessibility():
    lone = Cell((Factor("MCM1", (1.0, 1.0), concentration=(3.0, 3.0)),))
    accessibility = logistic(-0.6 + 0.5)
    found = lone.occupancy(one_site(weight=1.0, windows=2), COMPLEX)[0, 0]
    assert found[40] == pytest.approx(3 * accessibility / (1 + 3 * accessibility))
    assert np.count_nonzero(found) == 1


@pytest.mark.parametrize(("medium", "base"), [(COMPLEX, -1.2), (DEFINED, -3.2)])
def test_expression_without_sites_by_hand(medium, base):
    lone = Cell((Factor("MCM1", (1.0, 1.0)),))
    by_hand = 17 * logistic(base + 1.5 * (logistic(-0.6) - 0.5))
    assert lone.expression(one_site(), medium) == pytest.approx([by_hand])


@pytest.mark.parametrize("gc", [-0.25, 0.1])
def test_composition_adds_to_the_logit(gc):
    lone = Cell((Factor("MCM1", (1.0, 1.0)),))
    assert added_logit(lone, gc=gc) == pytest.approx(20 * gc, rel=1e-4)


def test_nothing_binds_over_n(cell):
    number = [f.name for f in cell.factors].index("REB1")
    site, width = cell.motifs[number].consensus, cell.motifs[number].width
    weight = cell.binding(with_site(site, 30)).weight[0, number]
    inside = weight[INSERT_START : INSERT_END - width + 1]
    assert np.nonzero(inside)[0].tolist() == [30]
    assert weight[0] > 0  # in the adapter, whose bases are known
    assert not cell.binding(np.full((1, 112), 4, np.uint8)).weight.any()


def test_composition_is_that_of_the_insert_and_n_counts_one_half(cell):
    inserts = ["G" * 80, "AT" * 40, "ACGT" * 20, "N" * 80, "GGNN" * 20]
    constructs, _ = sequence.prepare(*sequence.encode(inserts), "add")
    assert cell.binding(constructs).gc == pytest.approx([0.5, -0.5, 0, 0, 0.25])


def test_a_weak_site_loses_a_fraction_of_its_score(cell):
    # The consensus and the same with one base changed: the ratio of the weights is e to the power
    # of 0.35 × the difference of the scores.
    number = cell.factors.index(next(f for f in FACTORS if f.name == "RAP1"))
    motif, matrix = cell.motifs[number], cell.matrices[number]
    place = int(np.argmin(matrix.max(axis=0) - np.median(matrix, axis=0)))
    best, other = np.argsort(matrix[:, place])[[-1, -2]]
    changed = motif.consensus[:place] + "ACGT"[other] + motif.consensus[place + 1 :]
    assert motif.consensus[place] == "ACGT"[best]
    bindings = [cell.binding(with_site(site, 30)) for site in (motif.consensus, changed)]
    weights = [(b.weight * b.forward)[0, number, INSERT_START + 30] for b in bindings]
    lost = matrix[best, place] - matrix[other, place]
    assert np.log(weights[0] / weights[1]) == pytest.approx(0.35 * lost, rel=1e-4)


@pytest.mark.parametrize(("forward", "factor"), [(1.0, 1.0), (0.0, 0.25), (0.5, 0.625)])
def test_the_reverse_strand_counts_as_configured(forward, factor):
    lone = Cell((Factor("MCM1", (2.0, 2.0), reach=1e9, reverse=0.25),))
    bound = logistic(-0.6) * 0.8 / (1 + 0.8 * logistic(-0.6))
    found = added_logit(lone, weight=1.0, forward=forward)
    assert found == pytest.approx(2.0 * bound * factor, rel=1e-4)


@pytest.mark.parametrize("reaches", [-1, 0, 1, 2])
def test_the_effect_decays_with_the_distance_from_its_best_position(reaches):
    lone = Cell((Factor("MCM1", (2.0, 2.0), distance=37.0, reach=10.0),))
    start = INSERT_END - 37 - lone.motifs[0].width // 2 + 10 * reaches
    bound = logistic(-0.6) * 0.8 / (1 + 0.8 * logistic(-0.6))
    found = added_logit(lone, weight=1.0, start=start)
    assert lone.motifs[0].width % 2 == 0  # so that the middle is a whole position
    assert found == pytest.approx(2.0 * bound * np.exp(-(reaches**2) / 2), rel=1e-3)


def test_effects_differ_between_media():
    lone = Cell((Factor("MCM1", (1.0, -2.0), reach=1e9),))
    bound = logistic(-0.6) * 0.8 / (1 + 0.8 * logistic(-0.6))
    assert added_logit(lone, COMPLEX, weight=1.0) == pytest.approx(bound, rel=1e-4)
    assert added_logit(lone, DEFINED, weight=1.0) == pytest.approx(-2 * bound, rel=1e-4)


# -- the cell and sequences -------------------------------------------------------------------


def construct(insert):
    return sequence.prepare(*sequence.encode([insert]), "add")[0]


def with_site(site, start):
    """An insert of N, which nothing binds, except for one site."""
    return construct("N" * start + site + "N" * (80 - start - len(site)))


def best_start(factor, width):
    return min(80 - width, max(0, round(80 - factor.distance - width / 2)))


@pytest.mark.parametrize("factor", FACTORS, ids=lambda factor: factor.name)
def test_a_planted_consensus_changes_expression_as_its_factor_does(cell, factor):
    motif = cell.motifs[cell.factors.index(factor)]
    planted = cell.binding(with_site(motif.consensus, best_start(factor, motif.width)))
    planted = planted._replace(
        gc=np.zeros(1, np.float32)
    )  # the effect of the factor, not of its bases
    bare = cell.binding(construct("N" * 80))
    for medium in range(len(MEDIA)):
        change = cell.expression(planted, medium)[0] - cell.expression(bare, medium)[0]
        assert change * factor.effect[medium] > 0


@pytest.mark.parametrize("factor", FACTORS, ids=lambda factor: factor.name)
def test_a_planted_consensus_has_a_large_effect(cell, factor):
    motif = cell.motifs[cell.factors.index(factor)]
    start = best_start(factor, motif.width)
    found = find_true_sites(cell, cell.binding(with_site(motif.consensus, start)))
    sites = zip(found.name, found.start, strict=True)
    here = list(sites).index((factor.name, INSERT_START + start))
    assert (np.sign(found.effect[here]) == np.sign(factor.effect)).all()
    assert np.abs(found.effect[here]).max() > 0.3


@pytest.mark.parametrize(("reverse", "strand"), [(False, "+"), (True, "-")])
def test_a_planted_consensus_is_found_where_it_was_planted(cell, reverse, strand):
    site = next(m for m in cell.motifs if m.name == "REB1").consensus
    if reverse:
        site = site[::-1].translate(str.maketrans("ACGT", "TGCA"))
    found = find_true_sites(cell, cell.binding(with_site(site, 30)))
    here = found.name.index("REB1")
    assert (found.start[here], found.end[here]) == (INSERT_START + 30, INSERT_START + 39)
    assert (found.strand[here], found.row[here]) == (strand, 0)


def test_a_consensus_has_weight_one(cell):
    number = [m.name for m in cell.motifs].index("REB1")
    binding = cell.binding(with_site(cell.motifs[number].consensus, 30))
    forward = binding.weight * binding.forward  # the other strand binds a little as well
    assert forward[0, number, INSERT_START + 30] == pytest.approx(1, rel=1e-5)
    assert binding.weight[0, number].argmax() == INSERT_START + 30
    assert binding.forward[0, number, INSERT_START + 30] == pytest.approx(1, abs=1e-3)


@pytest.mark.parametrize("base", "ACGT")
def test_tract_windows_start_at_runs_of_six_a_or_t(cell, base):
    tokens, _ = sequence.encode(["CG" + base * 8 + "CG"])
    windows = cell.binding(tokens).tract[0]
    expected = [0, 0, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0] if base in "AT" else [0] * 12
    if base in "CG":  # runs of C or G are not tracts
        assert not windows.any()
    assert windows.tolist() == expected


def test_accessibility_grows_with_a_poly_a_tract(cell):
    lengths = [0, 6, 7, 8, 9]
    inserts = np.concatenate([with_site("A" * n, 20) for n in lengths])
    found = cell.accessibility(cell.binding(inserts), COMPLEX)
    assert (np.diff(found) > 0).all()


def test_a_tract_is_a_site_over_its_complete_length(cell):
    found = find_true_sites(cell, cell.binding(with_site("T" * 9, 20)))
    here = found.name.index(TRACT_NAME)
    assert (found.start[here], found.end[here]) == (INSERT_START + 20, INSERT_START + 29)
    assert (found.strand[here], found.occupancy[here]) == (".", 1)


def test_adjacent_tracts_are_two_sites(cell):
    found = find_true_sites(cell, cell.binding(with_site("A" * 7 + "T" * 6, 20)))
    tracts = [i for i, name in enumerate(found.name) if name == TRACT_NAME]
    assert [(found.start[i] - 37, found.end[i] - 37) for i in tracts] == [(0, 7), (7, 13)]


def test_the_tract_of_the_adapter_is_not_a_site_of_the_insert(cell):
    assert "TTTTTT" in sequence.ADAPTER_5
    assert TRACT_NAME not in find_true_sites(cell, cell.binding(construct("N" * 80))).name


@pytest.mark.parametrize("concentration", [(1.0, 20.0), (20.0, 1.0)])
def test_a_site_of_either_medium_is_listed_with_its_higher_occupancy(concentration):
    # An opener binds independent of chromatin: 20 / 21 of the time at the higher concentration.
    lone = Cell((Factor("REB1", (1.0, 1.0), concentration=concentration, opening=1.0),))
    found = find_true_sites(lone, one_site(weight=1.0))
    assert (found.name, found.start.tolist()) == (["REB1"], [40])
    assert found.occupancy == pytest.approx([20 / 21])


def test_a_starvation_factor_acts_more_in_defined_medium(cell):
    consensus = next(m for m in cell.motifs if m.name == "GCN4").consensus
    bare = cell.binding(construct("N" * 80))
    planted = cell.binding(with_site(consensus, 10))._replace(gc=bare.gc)
    change = [
        cell.expression(planted, medium)[0] - cell.expression(bare, medium)[0]
        for medium in range(len(MEDIA))
    ]
    assert change[DEFINED] - 1 > change[COMPLEX] > 0
