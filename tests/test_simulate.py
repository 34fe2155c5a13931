"""The simulated cell against closed forms, and the simulated assay against its own truth."""

import csv
import dataclasses
import json
from collections import defaultdict

import numpy as np
import pytest

from crmnet import sequence
from crmnet import simulate as simulation
from crmnet.simulate import (
    FACTORS,
    MEDIA,
    TRACT_NAME,
    AssayOptions,
    Binding,
    Cell,
    Factor,
    find_sites,
    simulate,
    sort_cells,
)

COMPLEX, DEFINED = 0, 1
INSERT_START, INSERT_END = 17, 97
SD_OF_A_CELL = np.sqrt(1.3**2 + 1 / 12)
"""Normal spread around the mean, and the rounding to whole bins."""


@pytest.fixture(scope="module")
def cell():
    return Cell()


@pytest.fixture(scope="module")
def assay(tmp_path_factory):
    return simulate(AssayOptions(300, seed=1), tmp_path_factory.mktemp("assay") / "made")


@pytest.fixture(scope="module")
def crowded(tmp_path_factory):
    """Many cells for each promoter, so that labels are close to the truth."""
    folder = tmp_path_factory.mktemp("crowded") / "made"
    return simulate(AssayOptions(200, seed=2, cells=400), folder)


def rows_of(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file, delimiter="\t"))


def sites_of(dataset):
    """(row of the data set, site) of every true site."""
    return [(int(s["id"][1:]), s) for s in rows_of(dataset.path / "truth" / "sites.tsv")]


def files_of(folder):
    return {p.relative_to(folder): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def logistic(x):
    return 1 / (1 + np.exp(-x))


def logit(expression):
    """What went into the curve that gave bins from 0 to 17."""
    share = np.float64(expression) / 17
    return np.log(share / (1 - share))


# -- the cell, one factor and one place at a time ---------------------------------------------


def offer(weight=0.0, start=40, forward=1.0, windows=0, gc=0.0):
    """What one promoter offers to one factor: a single place of that weight."""
    weights, strand = np.zeros((1, 1, 112), np.float32), np.ones((1, 1, 112), np.float32)
    weights[0, 0, start], strand[0, 0, start] = weight, forward
    tract = np.zeros((1, 112), np.float32)
    tract[0, :windows] = 1
    return Binding(weights, strand, tract, np.array([gc], np.float32))


def added_logit(lone, medium=COMPLEX, **place):
    """Logit of expression with the place less that without it."""
    with_it = lone.expression(offer(**place), medium)
    return logit(with_it[0]) - logit(lone.expression(offer(), medium)[0])


def test_accessibility_of_bare_dna_is_the_base():
    lone = Cell((Factor("MCM1", (1.0, 1.0)),))
    assert lone.accessibility(offer(), COMPLEX) == pytest.approx([logistic(-0.6)])


@pytest.mark.parametrize(("windows", "opened"), [(1, 0.25), (3, 0.75), (6, 1.5), (20, 1.5)])
def test_tracts_open_chromatin_up_to_a_limit(windows, opened):
    lone = Cell((Factor("MCM1", (1.0, 1.0)),))
    found = lone.accessibility(offer(windows=windows), COMPLEX)
    assert found == pytest.approx([logistic(-0.6 + opened)])


def test_an_opener_opens_by_its_occupancy_in_each_medium():
    lone = Cell((Factor("REB1", (0.0, 0.0), concentration=(1.0, 4.0), opening=2.0),))
    place = offer(weight=0.5)  # bound 0.5 / 1.5 of the time, and 2 / 3
    assert lone.accessibility(place, COMPLEX) == pytest.approx([logistic(-0.6 + 2 / 3)])
    assert lone.accessibility(place, DEFINED) == pytest.approx([logistic(-0.6 + 4 / 3)])


def test_an_opener_binds_whatever_the_chromatin():
    lone = Cell((Factor("REB1", (1.0, 1.0), concentration=(3.0, 3.0), opening=2.0),))
    assert lone.occupancy(offer(weight=1.0), COMPLEX)[0, 0, 40] == pytest.approx(0.75)


def test_the_others_bind_as_far_as_chromatin_is_open():
    lone = Cell((Factor("MCM1", (1.0, 1.0), concentration=(3.0, 3.0)),))
    open_share = logistic(-0.6 + 0.5)
    found = lone.occupancy(offer(weight=1.0, windows=2), COMPLEX)[0, 0]
    assert found[40] == pytest.approx(3 * open_share / (1 + 3 * open_share))
    assert np.count_nonzero(found) == 1


@pytest.mark.parametrize(("medium", "base"), [(COMPLEX, -1.2), (DEFINED, -3.2)])
def test_expression_of_bare_dna_by_hand(medium, base):
    lone = Cell((Factor("MCM1", (1.0, 1.0)),))
    by_hand = 17 * logistic(base + 1.5 * (logistic(-0.6) - 0.5))
    assert lone.expression(offer(), medium) == pytest.approx([by_hand])


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


def test_composition_is_that_of_the_insert_and_n_counts_as_half(cell):
    inserts = ["G" * 80, "AT" * 40, "ACGT" * 20, "N" * 80, "GGNN" * 20]
    whole, _ = sequence.prepare(*sequence.encode(inserts), "add")
    assert cell.binding(whole).gc == pytest.approx([0.5, -0.5, 0, 0, 0.25])


def test_a_weak_site_loses_a_share_of_its_score(cell):
    # One matrix, the consensus and the same with one base changed: the rest of the weight is e to
    # the 0.35 × what the changed base scores less.
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
def test_the_effect_falls_with_the_distance_from_its_best_place(reaches):
    lone = Cell((Factor("MCM1", (2.0, 2.0), distance=37.0, reach=10.0),))
    start = INSERT_END - 37 - lone.motifs[0].width // 2 + 10 * reaches
    bound = logistic(-0.6) * 0.8 / (1 + 0.8 * logistic(-0.6))
    found = added_logit(lone, weight=1.0, start=start)
    assert lone.motifs[0].width % 2 == 0  # so that the middle is a whole position
    assert found == pytest.approx(2.0 * bound * np.exp(-(reaches**2) / 2), rel=1e-3)


def test_media_have_effects_of_their_own():
    lone = Cell((Factor("MCM1", (1.0, -2.0), reach=1e9),))
    bound = logistic(-0.6) * 0.8 / (1 + 0.8 * logistic(-0.6))
    assert added_logit(lone, COMPLEX, weight=1.0) == pytest.approx(bound, rel=1e-4)
    assert added_logit(lone, DEFINED, weight=1.0) == pytest.approx(-2 * bound, rel=1e-4)


# -- the cell and sequences -------------------------------------------------------------------


def construct(insert):
    return sequence.prepare(*sequence.encode([insert]), "add")[0]


def with_site(site, start):
    """An insert of N, which nothing binds, but for one site."""
    return construct("N" * start + site + "N" * (80 - start - len(site)))


def best_start(factor, width):
    return min(80 - width, max(0, round(80 - factor.distance - width / 2)))


@pytest.mark.parametrize("factor", FACTORS, ids=lambda factor: factor.name)
def test_a_planted_consensus_does_what_its_factor_does(cell, factor):
    motif = cell.motifs[cell.factors.index(factor)]
    planted = cell.binding(with_site(motif.consensus, best_start(factor, motif.width)))
    planted = planted._replace(gc=np.zeros(1, np.float32))  # the factor alone, not its bases
    bare = cell.binding(construct("N" * 80))
    for medium in range(len(MEDIA)):
        change = cell.expression(planted, medium)[0] - cell.expression(bare, medium)[0]
        assert change * factor.effect[medium] > 0


@pytest.mark.parametrize("factor", FACTORS, ids=lambda factor: factor.name)
def test_a_planted_consensus_has_an_effect_worth_learning(cell, factor):
    motif = cell.motifs[cell.factors.index(factor)]
    start = best_start(factor, motif.width)
    found = find_sites(cell, cell.binding(with_site(motif.consensus, start)))
    sites = zip(found.name, found.start, strict=True)
    here = list(sites).index((factor.name, INSERT_START + start))
    assert (np.sign(found.effect[here]) == np.sign(factor.effect)).all()
    assert np.abs(found.effect[here]).max() > 0.3


@pytest.mark.parametrize(("turned", "strand"), [(False, "+"), (True, "-")])
def test_a_planted_consensus_is_found_where_it_was_planted(cell, turned, strand):
    site = next(m for m in cell.motifs if m.name == "REB1").consensus
    if turned:
        site = site[::-1].translate(str.maketrans("ACGT", "TGCA"))
    found = find_sites(cell, cell.binding(with_site(site, 30)))
    here = found.name.index("REB1")
    assert (found.start[here], found.end[here]) == (INSERT_START + 30, INSERT_START + 39)
    assert (found.strand[here], found.row[here]) == (strand, 0)


def test_a_consensus_weighs_one(cell):
    number = [m.name for m in cell.motifs].index("REB1")
    binding = cell.binding(with_site(cell.motifs[number].consensus, 30))
    forward = binding.weight * binding.forward  # the other strand binds a little as well
    assert forward[0, number, INSERT_START + 30] == pytest.approx(1, rel=1e-5)
    assert binding.weight[0, number].argmax() == INSERT_START + 30
    assert binding.forward[0, number, INSERT_START + 30] == pytest.approx(1, abs=1e-3)


@pytest.mark.parametrize("base", "ACGT")
def test_tract_windows_begin_where_six_a_or_t_do(cell, base):
    tokens, _ = sequence.encode(["CG" + base * 8 + "CG"])
    windows = cell.binding(tokens).tract[0]
    expected = [0, 0, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0] if base in "AT" else [0] * 12
    if base in "CG":  # the runs of C and G are longer, and still no tracts
        assert not windows.any()
    assert windows.tolist() == expected


def test_accessibility_grows_with_a_poly_a_tract(cell):
    lengths = [0, 6, 7, 8, 9]
    inserts = np.concatenate([with_site("A" * n, 20) for n in lengths])
    found = cell.accessibility(cell.binding(inserts), COMPLEX)
    assert (np.diff(found) > 0).all()


def test_a_tract_is_a_site_over_its_whole_length(cell):
    found = find_sites(cell, cell.binding(with_site("T" * 9, 20)))
    here = found.name.index(TRACT_NAME)
    assert (found.start[here], found.end[here]) == (INSERT_START + 20, INSERT_START + 29)
    assert (found.strand[here], found.occupancy[here]) == (".", 1)


def test_touching_tracts_are_two_sites(cell):
    found = find_sites(cell, cell.binding(with_site("A" * 7 + "T" * 6, 20)))
    tracts = [i for i, name in enumerate(found.name) if name == TRACT_NAME]
    assert [(found.start[i] - 37, found.end[i] - 37) for i in tracts] == [(0, 7), (7, 13)]


def test_the_tract_of_the_adapter_is_no_site_of_the_insert(cell):
    assert "TTTTTT" in sequence.ADAPTER_5
    assert TRACT_NAME not in find_sites(cell, cell.binding(construct("N" * 80))).name


# -- sorting ----------------------------------------------------------------------------------


def test_many_cells_have_the_mean_and_spread_they_should():
    n, cells = 4000, 4
    measured = sort_cells(np.full(n, 8.3, np.float32), np.full(n, cells), np.random.default_rng(0))
    sd = SD_OF_A_CELL / np.sqrt(cells)
    assert abs(measured.mean() - 8.3) < 5 * sd / np.sqrt(n)
    assert abs(measured.std() - sd) < 5 * sd / np.sqrt(2 * n)


def test_each_promoter_is_measured_by_its_own_cells():
    cells = np.array([3000, 1, 2000])
    measured = sort_cells(np.array([4.0, 9.0, 13.0]), cells, np.random.default_rng(1))
    assert abs(measured[0] - 4) < 5 * SD_OF_A_CELL / np.sqrt(3000)
    assert abs(measured[2] - 13) < 5 * SD_OF_A_CELL / np.sqrt(2000)
    assert measured[1] == round(float(measured[1]))


def test_cells_stay_within_the_bins():
    true = np.repeat([-3.0, 0.0, 17.0, 20.0], 500)
    measured = sort_cells(true, np.ones(2000, dtype=np.int64), np.random.default_rng(2))
    assert set(measured[:500]) <= {0, 1, 2, 3}
    assert (measured.min(), measured.max()) == (0, 17)


def test_one_cell_gives_whole_labels(tmp_path):
    labels = simulate(AssayOptions(50, seed=3, cells=1), tmp_path / "one").labels
    assert (labels == np.rint(labels)).all()
    assert len(set(labels.tolist())) > 3


# -- the assay --------------------------------------------------------------------------------


def test_same_seed_same_files(tmp_path):
    first = simulate(AssayOptions(60, seed=5), tmp_path / "first")
    again = simulate(AssayOptions(60, seed=5), tmp_path / "again")
    assert first.fingerprint == again.fingerprint
    assert files_of(first.path) == files_of(again.path)


def test_another_seed_gives_another_assay(tmp_path):
    first = simulate(AssayOptions(60, seed=5), tmp_path / "first")
    other = simulate(AssayOptions(60, seed=6), tmp_path / "other")
    assert first.fingerprint != other.fingerprint
    assert not (first.tokens == other.tokens).all(axis=1).any()


def test_the_folder_holds_what_is_promised(assay):
    names = {str(name) for name in files_of(assay.path)}
    truth = {f"truth/{name}" for name in ("promoters.tsv", "sites.tsv", "cell.json")}
    assert names - truth == {
        *(f"{column}.npy" for column in ("tokens", "labels", "medium", "family", "weight")),
        "manifest.json",
        "rejected.tsv",
        "assay.tsv",
    }
    assert truth <= names


def test_rows_of_data_set_assay_and_truth_are_in_the_same_order(assay):
    raw = rows_of(assay.path / "assay.tsv")
    true = rows_of(assay.path / "truth" / "promoters.tsv")
    ids = [f"p{number}" for number in range(300)]
    assert [row["id"] for row in raw] == [row["id"] for row in true] == ids
    assert [row["source"] for row in raw] == [row["source"] for row in true]
    np.testing.assert_array_equal(assay.labels, [np.float32(row["expression"]) for row in raw])
    assert [assay.media[number] for number in assay.medium] == [row["medium"] for row in raw]
    np.testing.assert_array_equal(assay.weight, [float(row["cells"]) for row in raw])


def test_tokens_are_the_inserts_in_their_adapters(assay):
    raw = rows_of(assay.path / "assay.tsv")
    wanted = [sequence.ADAPTER_5 + row["sequence"] + sequence.ADAPTER_3 for row in raw]
    assert sequence.decode(np.asarray(assay.tokens)) == wanted


def test_true_expression_is_that_of_the_tokens(assay, cell):
    true = rows_of(assay.path / "truth" / "promoters.tsv")
    binding = cell.binding(np.asarray(assay.tokens))
    for number, medium in enumerate(MEDIA):
        written = [float(row[f"expression_{medium}"]) for row in true]
        np.testing.assert_allclose(cell.expression(binding, number), written, atol=1e-4)


def test_sites_are_where_they_say(assay, cell):
    factors = [factor.name for factor in cell.factors]
    checked = 0
    for row, site in sites_of(assay):
        if site["factor"] == TRACT_NAME:
            continue
        number = factors.index(site["factor"])
        window = assay.tokens[row, int(site["start"]) : int(site["end"])]
        strands = {"+": window, "-": np.array([3, 2, 1, 0, 4])[window[::-1]]}
        padded = np.vstack([cell.matrices[number], np.full(cell.widths[number], np.nan)])
        padded = np.nan_to_num(padded)  # N counts nothing
        score = {s: padded[w, np.arange(len(w))].sum() for s, w in strands.items()}
        # Bound 0.2 of the time: K·w = 0.25, of which the better strand has at least half; and the
        # logarithm of w is 0.35 times what the score lacks.
        least = np.log(0.125 / max(cell.factors[number].concentration)) / 0.35
        assert score[site["strand"]] - cell.best[number] >= least - 1e-4
        assert score[site["strand"]] >= max(score.values()) - 1e-4
        checked += 1
    assert checked > 200


def test_tract_sites_are_whole_runs_of_a_or_t(assay):
    checked = 0
    for row, site in sites_of(assay):
        if site["factor"] != TRACT_NAME:
            continue
        start, end = int(site["start"]), int(site["end"])
        letters = sequence.decode(np.asarray(assay.tokens[row : row + 1]))[0]
        assert letters[start:end] in ("A" * (end - start), "T" * (end - start))
        assert end - start >= 6
        assert letters[start - 1] != letters[start] != letters[end]
        checked += 1
    assert checked > 10


def test_sites_touch_the_insert_and_are_in_order(assay):
    found = [(row, int(site["start"]), int(site["end"])) for row, site in sites_of(assay)]
    assert found == sorted(found, key=lambda site: site[:2])
    assert all(start < INSERT_END and end > INSERT_START for _, start, end in found)


def without_site(cell, binding, row, site):
    """One promoter's binding, and the same with the site taken away."""
    whole = Binding(*(part[row : row + 1] for part in binding))
    weight, tract = whole.weight.copy(), whole.tract.copy()
    if site["factor"] == TRACT_NAME:
        tract[0, int(site["start"]) : int(site["end"]) - 5] = 0
    else:
        factor = [f.name for f in cell.factors].index(site["factor"])
        weight[0, factor, int(site["start"])] = 0
    return whole, whole._replace(weight=weight, tract=tract)


def test_the_effect_of_a_site_is_its_knock_out(assay, cell):
    binding = cell.binding(np.asarray(assay.tokens))
    sites = sites_of(assay)
    assert {TRACT_NAME, "REB1", "UME6"} <= {site["factor"] for _, site in sites}
    for row, site in sites[:300]:
        whole, without = without_site(cell, binding, row, site)
        for number, medium in enumerate(MEDIA):
            effect = cell.expression(whole, number)[0] - cell.expression(without, number)[0]
            assert float(site[f"effect_{medium}"]) == pytest.approx(effect, abs=1e-4)


def test_the_occupancy_of_a_site_is_its_highest_over_the_media(assay, cell):
    binding = cell.binding(np.asarray(assay.tokens))
    occupancy = np.max([cell.occupancy(binding, medium) for medium in range(len(MEDIA))], axis=0)
    factors = [factor.name for factor in cell.factors]
    for row, site in sites_of(assay):
        if site["factor"] != TRACT_NAME:
            here = occupancy[row, factors.index(site["factor"]), int(site["start"])]
            assert float(site["occupancy"]) == pytest.approx(here, abs=1e-5)


@pytest.mark.parametrize("concentration", [(1.0, 20.0), (20.0, 1.0)])
def test_a_site_of_either_medium_is_listed_with_its_higher_occupancy(concentration):
    # An opener binds whatever the chromatin: 20 / 21 of the time in the richer medium.
    lone = Cell((Factor("REB1", (1.0, 1.0), concentration=concentration, opening=1.0),))
    found = find_sites(lone, offer(weight=1.0))
    assert (found.name, found.start.tolist()) == (["REB1"], [40])
    assert found.occupancy == pytest.approx([20 / 21])


def truth_of(dataset):
    true = rows_of(dataset.path / "truth" / "promoters.tsv")
    return np.array([[float(row[f"expression_{medium}"]) for medium in MEDIA] for row in true])


def test_labels_are_the_truth_of_the_rows_own_medium(crowded):
    columns = [MEDIA.index(crowded.media[number]) for number in crowded.medium]
    own = truth_of(crowded)[np.arange(len(crowded)), columns]
    middle = (own > 5) & (own < 12)  # no cell of these is cut off at bins 0 and 17
    assert middle.sum() > 50
    away = np.abs(crowded.labels[middle] - own[middle])
    assert away.max() < 5 * SD_OF_A_CELL / np.sqrt(400)


def test_both_media_are_measured_and_differ(crowded):
    assert sorted(crowded.media) == sorted(MEDIA)
    true = truth_of(crowded)
    assert (np.abs(true[:, 0] - true[:, 1]) > 0.2).mean() > 0.5


def test_a_factor_of_starvation_acts_more_in_defined_medium(cell):
    consensus = next(m for m in cell.motifs if m.name == "GCN4").consensus
    bare = cell.binding(construct("N" * 80))
    planted = cell.binding(with_site(consensus, 10))._replace(gc=bare.gc)
    change = [
        cell.expression(planted, medium)[0] - cell.expression(bare, medium)[0]
        for medium in range(len(MEDIA))
    ]
    assert change[DEFINED] - 1 > change[COMPLEX] > 0


def members(dataset):
    """Family → rows, from the raw rows."""
    found = defaultdict(list)
    for number, row in enumerate(rows_of(dataset.path / "assay.tsv")):
        found[row["family"]].append(number)
    return found


def test_native_like_families_are_an_ancestor_and_near_mutants(assay):
    native = {name: rows for name, rows in members(assay).items() if name.startswith("native")}
    assert sorted(map(len, native.values())) == [4] * 15  # 20 % of 300
    for rows in native.values():
        tokens = np.asarray(assay.tokens[rows])
        differences = (tokens[:, None] != tokens).sum(axis=2)
        assert differences.max(axis=1).min() <= 3, "no member is near to all the others"
        assert differences.max() > 0


def test_random_promoters_have_no_relatives(assay):
    sizes = [len(rows) for name, rows in members(assay).items() if name.startswith("random")]
    assert sizes == [1] * 240


def test_the_data_set_keeps_the_families(assay):
    names = [row["family"] for row in rows_of(assay.path / "assay.tsv")]
    _, by_name = np.unique(names, return_inverse=True)
    _, by_number = np.unique(assay.family, return_inverse=True)
    assert len(set(zip(by_name, by_number, strict=True))) == by_name.max() + 1


@pytest.mark.parametrize(("share", "sources"), [(0.0, {"random"}), (1.0, {"native-like"})])
def test_all_of_one_source(tmp_path, share, sources):
    dataset = simulate(AssayOptions(10, native_share=share), tmp_path / "made")
    assert {row["source"] for row in rows_of(dataset.path / "assay.tsv")} == sources
    assert len(dataset) == 10


def test_native_like_promoters_are_rich_in_a_and_t(tmp_path):
    dataset = simulate(AssayOptions(400, native_share=0.5, sites=0), tmp_path / "made")
    native = np.array(
        [row["source"] == "native-like" for row in rows_of(dataset.path / "assay.tsv")]
    )
    inserts = np.asarray(dataset.tokens[:, INSERT_START:INSERT_END])
    at_rich = np.isin(inserts, [0, 3]).mean(axis=1)
    assert at_rich[native].mean() > 0.6
    assert abs(at_rich[~native].mean() - 0.5) < 5 * 0.5 / np.sqrt(200 * 80)


def test_blocks_join_without_a_seam(tmp_path, monkeypatch):
    monkeypatch.setattr(simulation, "BLOCK", 20)
    seen = []
    dataset = simulate(AssayOptions(50, native_share=0.3), tmp_path / "made", progress=seen.append)
    assert seen == [20, 40, 50]
    ids = [row["id"] for row in rows_of(dataset.path / "assay.tsv")]
    assert ids == [f"p{number}" for number in range(50)]
    # Six native-like promoters in a block of 20 and three in one of 10: families of 4 + 2 and 3.
    native = [rows for name, rows in members(dataset).items() if name.startswith("native")]
    assert sorted(map(len, native)) == [2, 2, 3, 4, 4]
    assert all(max(rows) // 20 == min(rows) // 20 for rows in native)
    assert len({bytes(row) for row in np.asarray(dataset.tokens)}) > 45


def test_sites_of_a_later_block_carry_its_ids(tmp_path, monkeypatch, cell):
    monkeypatch.setattr(simulation, "BLOCK", 20)
    dataset = simulate(AssayOptions(45), tmp_path / "made")
    found = find_sites(cell, cell.binding(np.asarray(dataset.tokens)))
    written = [(row, site["factor"], int(site["start"])) for row, site in sites_of(dataset)]
    assert sorted(written) == sorted(zip(found.row, found.name, found.start, strict=True))


def test_the_cell_is_described_whole(assay):
    described = json.loads((assay.path / "truth" / "cell.json").read_text())
    assert described["options"] == dataclasses.asdict(AssayOptions(300, seed=1))
    assert [factor["name"] for factor in described["factors"]] == [f.name for f in FACTORS]
    assert all(factor["matrix"].startswith("MA") for factor in described["factors"])
    assert described["media"] == list(MEDIA)


# -- what is refused --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("promoters", 0),
        ("native_share", -0.1),
        ("native_share", 1.1),
        ("native_share", float("nan")),
        ("cells", 0),
        ("seed", -1),
        ("sites", -0.5),
        ("sites", float("nan")),
    ],
)
def test_impossible_options_are_refused_by_name(name, value):
    with pytest.raises(ValueError, match=f"^{name} must be"):
        AssayOptions(**{name: value})


def test_an_existing_folder_is_left_alone(tmp_path):
    (tmp_path / "made").mkdir()
    (tmp_path / "made" / "mine.txt").write_text("precious")
    with pytest.raises(FileExistsError, match="--overwrite"):
        simulate(AssayOptions(5), tmp_path / "made")
    assert {str(p): b for p, b in files_of(tmp_path).items()} == {"made/mine.txt": b"precious"}


def test_overwrite_replaces_the_folder(tmp_path):
    simulate(AssayOptions(5, seed=1), tmp_path / "made")
    (tmp_path / "made" / "old.txt").write_text("old")
    again = simulate(AssayOptions(7, seed=1), tmp_path / "made", overwrite=True)
    assert len(again) == 7
    assert not (tmp_path / "made" / "old.txt").exists()


@pytest.mark.parametrize("there", [False, True])
def test_a_failure_on_the_way_leaves_what_was_there(tmp_path, there):
    if there:
        simulate(AssayOptions(5), tmp_path / "made")
    before = files_of(tmp_path)

    def fail(promoters):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        simulate(AssayOptions(6), tmp_path / "made", overwrite=True, progress=fail)
    assert files_of(tmp_path) == before
    assert [p.name for p in tmp_path.iterdir()] == ["made"] * there
