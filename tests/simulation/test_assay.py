"""The simulated assay compared with its own truth."""

import csv
import dataclasses
import json
import subprocess
import sys
from collections import defaultdict

import numpy as np
import pytest

from crmnet import sequence
from crmnet.data.ingest import IngestOptions, ingest
from crmnet.simulation import assay as simulation
from crmnet.simulation.assay import AssayOptions, simulate, sort_cells
from crmnet.simulation.cell import FACTORS, MEDIA, TRACT_NAME, Binding, Cell, find_true_sites

pytestmark = pytest.mark.slow

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
def many_cells(tmp_path_factory):
    """Many cells for each promoter, so that labels are close to the true expression."""
    folder = tmp_path_factory.mktemp("many_cells") / "made"
    return simulate(AssayOptions(200, seed=2, cells=400), folder)


def rows_of(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file, delimiter="\t"))


def sites_of(dataset):
    """(row of the data set, site) of every true site."""
    return [(int(s["id"][1:]), s) for s in rows_of(dataset.path / "truth" / "sites.tsv")]


def files_of(folder):
    return {p.relative_to(folder): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


# -- sorting ----------------------------------------------------------------------------------


def test_measurements_have_the_expected_mean_and_spread():
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


def test_one_cell_gives_integer_labels(tmp_path):
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


def test_the_folder_contains_the_documented_files(assay):
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
    expected = [sequence.ADAPTER_5 + row["sequence"] + sequence.ADAPTER_3 for row in raw]
    assert sequence.decode(np.asarray(assay.tokens)) == expected


def test_true_expression_matches_the_tokens(assay, cell):
    true = rows_of(assay.path / "truth" / "promoters.tsv")
    binding = cell.binding(np.asarray(assay.tokens))
    for number, medium in enumerate(MEDIA):
        written = [float(row[f"expression_{medium}"]) for row in true]
        np.testing.assert_allclose(cell.expression(binding, number), written, atol=1e-4)


def test_sites_are_at_the_listed_positions(assay, cell):
    factors = [factor.name for factor in cell.factors]
    checked = 0
    for row, site in sites_of(assay):
        if site["factor"] == TRACT_NAME:
            continue
        number = factors.index(site["factor"])
        window = assay.tokens[row, int(site["start"]) : int(site["end"])]
        strands = {"+": window, "-": np.array([3, 2, 1, 0, 4])[window[::-1]]}
        padded = np.vstack([cell.matrices[number], np.full(cell.widths[number], np.nan)])
        padded = np.nan_to_num(padded)  # N scores 0
        score = {s: padded[w, np.arange(len(w))].sum() for s, w in strands.items()}
        # Bound 0.2 of the time: K·w = 0.25, of which the better strand has at least half. The
        # logarithm of w is 0.35 times the score minus the best score.
        least = np.log(0.125 / max(cell.factors[number].concentration)) / 0.35
        assert score[site["strand"]] - cell.best[number] >= least - 1e-4
        assert score[site["strand"]] >= max(score.values()) - 1e-4
        checked += 1
    assert checked > 200


def test_tract_sites_are_complete_runs_of_a_or_t(assay):
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
    """One promoter's binding, and the same without the site."""
    intact = Binding(*(part[row : row + 1] for part in binding))
    weight, tract = intact.weight.copy(), intact.tract.copy()
    if site["factor"] == TRACT_NAME:
        tract[0, int(site["start"]) : int(site["end"]) - 5] = 0
    else:
        factor = [f.name for f in cell.factors].index(site["factor"])
        weight[0, factor, int(site["start"])] = 0
    return intact, intact._replace(weight=weight, tract=tract)


def test_the_effect_of_a_site_is_its_knock_out(assay, cell):
    binding = cell.binding(np.asarray(assay.tokens))
    sites = sites_of(assay)
    assert {TRACT_NAME, "REB1", "UME6"} <= {site["factor"] for _, site in sites}
    for row, site in sites[:300]:
        intact, knocked_out = without_site(cell, binding, row, site)
        for number, medium in enumerate(MEDIA):
            effect = cell.expression(intact, number)[0] - cell.expression(knocked_out, number)[0]
            assert float(site[f"effect_{medium}"]) == pytest.approx(effect, abs=1e-4)


def test_the_occupancy_of_a_site_is_its_highest_over_the_media(assay, cell):
    binding = cell.binding(np.asarray(assay.tokens))
    occupancy = np.max([cell.occupancy(binding, medium) for medium in range(len(MEDIA))], axis=0)
    factors = [factor.name for factor in cell.factors]
    for row, site in sites_of(assay):
        if site["factor"] != TRACT_NAME:
            here = occupancy[row, factors.index(site["factor"]), int(site["start"])]
            assert float(site["occupancy"]) == pytest.approx(here, abs=1e-5)


def truth_of(dataset):
    true = rows_of(dataset.path / "truth" / "promoters.tsv")
    return np.array([[float(row[f"expression_{medium}"]) for medium in MEDIA] for row in true])


def test_labels_are_the_true_expression_in_the_medium_of_the_row(many_cells):
    columns = [MEDIA.index(many_cells.media[number]) for number in many_cells.medium]
    own = truth_of(many_cells)[np.arange(len(many_cells)), columns]
    middle = (own > 5) & (own < 12)  # none of their cells is clipped at bins 0 and 17
    assert middle.sum() > 50
    away = np.abs(many_cells.labels[middle] - own[middle])
    assert away.max() < 5 * SD_OF_A_CELL / np.sqrt(400)


def test_both_media_are_measured_and_differ(many_cells):
    assert sorted(many_cells.media) == sorted(MEDIA)
    true = truth_of(many_cells)
    assert (np.abs(true[:, 0] - true[:, 1]) > 0.2).mean() > 0.5


def members(dataset):
    """Family → rows, from the raw rows."""
    found = defaultdict(list)
    for number, row in enumerate(rows_of(dataset.path / "assay.tsv")):
        found[row["family"]].append(number)
    return found


def test_native_like_families_are_an_ancestor_and_close_mutants(assay):
    native = {name: rows for name, rows in members(assay).items() if name.startswith("native")}
    assert sorted(map(len, native.values())) == [4] * 15  # 20 % of 300
    for rows in native.values():
        tokens = np.asarray(assay.tokens[rows])
        differences = (tokens[:, None] != tokens).sum(axis=2)
        assert differences.max(axis=1).min() <= 3, "no member is close to all others"
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
def test_all_promoters_from_one_source(tmp_path, share, sources):
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


def test_blocks_are_joined_without_gaps(tmp_path, monkeypatch):
    monkeypatch.setattr(simulation, "BLOCK_SIZE", 20)
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


def test_sites_of_a_later_block_have_its_ids(tmp_path, monkeypatch, cell):
    monkeypatch.setattr(simulation, "BLOCK_SIZE", 20)
    dataset = simulate(AssayOptions(45), tmp_path / "made")
    found = find_true_sites(cell, cell.binding(np.asarray(dataset.tokens)))
    written = [(row, site["factor"], int(site["start"])) for row, site in sites_of(dataset)]
    assert sorted(written) == sorted(zip(found.row, found.name, found.start, strict=True))


def test_all_parameters_of_the_cell_are_written(assay):
    described = json.loads((assay.path / "truth" / "cell.json").read_text())
    assert described["options"] == dataclasses.asdict(AssayOptions(300, seed=1))
    assert [factor["name"] for factor in described["factors"]] == [f.name for f in FACTORS]
    assert all(factor["matrix"].startswith("MA") for factor in described["factors"])
    assert described["media"] == list(MEDIA)


# -- what is rejected -------------------------------------------------------------------------


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
def test_invalid_options_are_rejected_by_name(name, value):
    with pytest.raises(ValueError, match=f"^{name} must be"):
        AssayOptions(**{name: value})


def test_an_existing_folder_is_not_changed(tmp_path):
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


@pytest.mark.parametrize("existing", [False, True])
def test_an_interruption_leaves_existing_files_unchanged(tmp_path, existing):
    if existing:
        simulate(AssayOptions(5), tmp_path / "made")
    before = files_of(tmp_path)

    def fail(promoters):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        simulate(AssayOptions(6), tmp_path / "made", overwrite=True, progress=fail)
    assert files_of(tmp_path) == before
    assert [p.name for p in tmp_path.iterdir()] == ["made"] * existing


KILL = """
import os, signal, sys
from crmnet.simulation.assay import AssayOptions, simulate
kill = lambda done: os.kill(os.getpid(), signal.SIGKILL)
simulate(AssayOptions(20), sys.argv[1], progress=kill)
"""


def test_a_rerun_removes_what_a_killed_simulation_left(tmp_path):
    subprocess.run([sys.executable, "-c", KILL, str(tmp_path / "out")])
    left = sorted(path.name for path in tmp_path.iterdir())
    assert left == [".out.lock", ".out.partial"]
    simulate(AssayOptions(20), tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_a_simulated_assay_can_be_ingested_again_but_not_over_itself(tmp_path):
    made = simulate(AssayOptions(20), tmp_path / "s")
    with pytest.raises(ValueError, match=r"s holds the input .*assay\.tsv, which would be lost"):
        ingest(tmp_path / "s" / "assay.tsv", tmp_path / "s", IngestOptions(overwrite=True))
    assert (tmp_path / "s" / "assay.tsv").is_file()
    again = ingest(tmp_path / "s" / "assay.tsv", tmp_path / "t", IngestOptions(flanks="add"))
    assert again.fingerprint == made.fingerprint
