"""Alignment of models and tables: rows matched by sequence, shared families, seen rows left out."""

import json

import numpy as np
import pytest

from crmnet.data.homology import KmerOptions
from crmnet.data.ingest import IngestOptions
from crmnet.data.leaks import TrainingRows
from crmnet.data.opening import open_all_data
from crmnet.evaluation.align import PredictionTable, align
from crmnet.evaluation.compare import compare
from crmnet.evaluation.score_sets import score_model, score_table
from crmnet.prediction.predictor import Predictor
from crmnet.sequence import ADAPTER_3, ADAPTER_5, encode, prepare
from support import ingest_rows, write_rows
from toys import linear_predictor

INSERTS = ["ACGT" * 20, "TTGCA" * 16, "GGATC" * 16, "CATTC" * 16, "AGGTA" * 16]


def table(path, order, shift=0.0, name="predicted"):
    rows = [f"{INSERTS[i]},{i},{i + shift + i % 2}\n" for i in order]
    path.write_text(f"sequence,measured,{name}\n" + "".join(rows))
    return path


def test_tables_are_matched_by_sequence(tmp_path):
    tables = [
        PredictionTable("a", "s", table(tmp_path / "a.csv", [0, 1, 2, 3, 4])),
        PredictionTable("b", "s", table(tmp_path / "b.csv", [4, 2, 0, 3], shift=0.5)),
    ]
    (found,) = align({}, [], tables)
    assert found.left_out == 1
    assert found.models["b"].measured.tolist() == [0, 2, 3, 4]
    assert found.models["b"].predicted.tolist() == [0.5, 2.5, 4.5, 4.5]


def test_all_models_have_the_families_of_the_first(tmp_path, crmnet):
    tiles = [INSERTS[0][:40] + INSERTS[1][:40], INSERTS[1][:40] + INSERTS[2][:40], *INSERTS[3:]]
    for model in "ab":
        rows = "".join(f"{s},{i},{i + i % 2}\n" for i, s in enumerate(tiles))
        (tmp_path / f"{model}.csv").write_text(f"sequence,measured,predicted\n{rows}")
    tables = [PredictionTable(model, "s", tmp_path / f"{model}.csv") for model in "ab"]
    (found,) = align({}, [], tables, by="homology", kmers=KmerOptions(20, min_triplets=1))
    assert {s.families_by for s in found.models.values()} == {"homology"}
    assert [len(set(s.family.tolist())) for s in found.models.values()] == [3, 3]
    result = compare(found, resamples=20)
    assert (result.families, result.families_by) == (3, "homology")
    words = [f"--predictions={model}@s={tmp_path / model}.csv" for model in "ab"]
    status, out, _ = crmnet("compare", *words, "--resamples", 10, "-o", tmp_path / "c")
    assert status == 0
    assert "n = 4, 4 families (by sequence); 95 % intervals from 10 resamples" in out


def test_rows_that_training_data_hold_are_left_out_for_all(tmp_path, crmnet):
    files = [table(tmp_path / f"{m}.csv", order) for m, order in (("a", range(5)), ("b", range(4)))]
    tables = [PredictionTable(file.stem, "s", file) for file in files]
    (tmp_path / "trained.tsv").write_text(f"sequence\texpression\n{INSERTS[1]}\t3\n")
    with open_all_data([tmp_path / "trained.tsv"], ["complex"], IngestOptions()) as (trained,):
        training = TrainingRows(trained.tokens, trained.name)
        (found,) = align({}, [], tables, without=[training])
    assert (found.left_out, found.seen, found.without) == (1, 1, "trained")
    assert all(s.measured.tolist() == [0, 2, 3] for s in found.models.values())
    words = [f"--predictions={file.stem}@s={file}" for file in files]
    words += ["--without", tmp_path / "trained.tsv", "--resamples", 10, "-o", tmp_path / "c"]
    status, out, _ = crmnet("compare", *words)
    assert status == 0
    assert "1 rows left out that not all models have, 1 rows left out that trained holds" in out
    found = json.loads((tmp_path / "c" / "compare.json").read_text())["sets"]["s"]
    assert found["without"] == {"data": "trained", "rows": 1}


def test_training_rows_that_cannot_be_left_out_are_an_error(tmp_path):
    training = TrainingRows(prepare(*encode(INSERTS[:3]))[0], "trained")
    tables = [PredictionTable("a", "s", table(tmp_path / "a.csv", range(5)))]
    with pytest.raises(
        ValueError, match="s: trained holds 3 of its 5 rows; the other 2 are too few"
    ):
        align({}, [], tables, without=[training])
    (tmp_path / "b.csv").write_text("measured,predicted\n1,1\n2,2\n3,3\n")
    with pytest.raises(ValueError, match=r"b\.csv, line 1: no sequence column"):
        align({}, [], [PredictionTable("b", "s", tmp_path / "b.csv")], without=[training])


def long_rows(n, seed=0):
    """Inserts of 105 bases, which with adapters are longer than the network reads."""
    return ["".join(row) for row in np.random.default_rng(seed).choice(list("ACGT"), (n, 105))]


def test_training_rows_of_a_file_are_found_in_a_set_without_adapters(small_run, tmp_path, crmnet):
    """The file got adapters and was cut, so that none of its rows was left out."""
    rows = [(insert, n) for n, insert in enumerate(long_rows(12))]
    data = ingest_rows(write_rows(tmp_path / "d.tsv", rows, "sequence expression"), tmp_path / "d")
    trained = write_rows(tmp_path / "trained.tsv", rows[:5], "sequence expression")
    words = ["compare", small_run, "--data", data.path, "--resamples", 10, "-o", tmp_path / "c"]
    status, _, error = crmnet(*words, "--without", trained)
    assert status == 0, error
    found = json.loads((tmp_path / "c" / "compare.json").read_text())["sets"]["d"]
    assert (found["n"], found["without"]) == (7, {"data": "trained", "rows": 5})


@pytest.mark.parametrize("around", [("", ""), (ADAPTER_5, ADAPTER_3)])
def test_a_table_of_bare_sequences_is_matched_with_a_set_without_adapters(tmp_path, around):
    """Its sequences got adapters, so that none was the same: they are read as the set was."""
    inserts = [row[:80] for row in long_rows(3)] + [row[:70] for row in long_rows(3, seed=1)]
    if around == ("", ""):
        inserts += long_rows(3, seed=2)
    rows = [(insert.join(around), n) for n, insert in enumerate(inserts)]
    data = ingest_rows(write_rows(tmp_path / "d.tsv", rows, "sequence expression"), tmp_path / "d")
    # evaluate writes inserts
    answers = [(insert, n, n + n % 2) for n, insert in reversed(list(enumerate(inserts)))]
    path = write_rows(tmp_path / "T.tsv", answers, "sequence measured predicted")
    (found,) = align({"m": linear_predictor()}, [data], [PredictionTable("T", "d", path)])
    assert found.left_out == 0 and found.models["T"].measured.tolist() == list(range(len(inserts)))
    seen = TrainingRows.of(data, "exact")
    with pytest.raises(ValueError, match=f"d holds {len(rows)} of its {len(rows)} rows"):
        align({}, [], [PredictionTable("T", "new", path)], without=[seen])
    assert score_table(path, training=seen).seen.rows.all()


def test_repeated_sequences_are_matched_in_turn(tmp_path):
    order = [0, 0, 1, 2, 0]
    tables = [PredictionTable(m, "s", table(tmp_path / f"{m}.csv", order)) for m in "ab"]
    (found,) = align({}, [], tables)
    assert len(found.models["a"].measured) == 5


def measured_twice(path, rows):
    lines = [f"{INSERTS[i]},{measured},{predicted}" for i, measured, predicted in rows]
    path.write_text("\n".join(["sequence,measured,predicted", *lines]) + "\n")
    return path


def test_repeated_measurements_are_matched_by_their_values(tmp_path):
    """Tables of the same rows in another order were refused."""
    rows = [(0, 1.5, 1), (0, 2.5, 2), (1, 3, 3), (2, 4, 4), (2, 4, 5), (3, 6, 6)]
    a = measured_twice(tmp_path / "a.csv", rows)
    b = measured_twice(tmp_path / "b.csv", [rows[i] for i in (5, 1, 3, 0, 4, 2)])
    (found,) = align({}, [], [PredictionTable("a", "s", a), PredictionTable("b", "s", b)])
    for scored in found.models.values():
        assert scored.measured.tolist() == [1.5, 2.5, 3, 4, 4, 6]
        assert scored.predicted.tolist() == [1, 2, 3, 4, 5, 6]


def test_a_measurement_that_one_table_lacks_is_left_out_for_all(tmp_path):
    rows = [(0, 1.5, 1), (0, 2.5, 2), (1, 3, 3), (2, 4, 4), (3, 6, 6)]
    a = measured_twice(tmp_path / "a.csv", rows)
    b = measured_twice(tmp_path / "b.csv", rows[:0:-1])
    tables = [PredictionTable("a", "s", a), PredictionTable("b", "s", b)]
    for order in (tables, tables[::-1]):
        (found,) = align({}, [], order)
        assert found.left_out == 1
        assert sorted(found.models["a"].measured.tolist()) == [2.5, 3, 4, 6]


def test_tables_of_other_measurements_are_refused(tmp_path):
    other = table(tmp_path / "b.csv", [0, 1, 2, 3])
    other.write_text(other.read_text().replace(",3,", ",7,"))
    tables = [
        PredictionTable("a", "s", table(tmp_path / "a.csv", [0, 1, 2, 3])),
        PredictionTable("b", "s", other),
    ]
    with pytest.raises(ValueError, match="b has 7 measured where a has 3"):
        align({}, [], tables)


def test_tables_without_sequences_must_be_as_long(tmp_path):
    (tmp_path / "a.csv").write_text("measured,predicted\n1,1\n2,2\n3,3\n4,5\n")
    (tmp_path / "b.csv").write_text("measured,predicted\n1,1\n2,2\n3,3\n")
    pair = [
        PredictionTable("a", "s", tmp_path / "a.csv"),
        PredictionTable("b", "s", tmp_path / "b.csv"),
    ]
    with pytest.raises(ValueError, match="files of 3, 4 rows without sequences"):
        align({}, [], pair)
    mixed = [pair[0], PredictionTable("c", "s", table(tmp_path / "c.csv", [0, 1, 2]))]
    with pytest.raises(ValueError, match="some files have a sequence column and some do not"):
        align({}, [], mixed)


def test_rows_without_a_value_are_counted_if_all_tables_lack_them(tmp_path):
    """0 were reported."""
    for model in "ab":
        path = table(tmp_path / f"{model}.csv", range(5))
        path.write_text(path.read_text().replace(",1,2.0", ",1,").replace(",3,4.0", ",,4.0"))
    tables = [PredictionTable(model, "s", tmp_path / f"{model}.csv") for model in "ab"]
    (found,) = align({}, [], tables)
    assert found.left_out == 2
    assert [s.measured.tolist() for s in found.models.values()] == [[0, 2, 4]] * 2


def test_rows_without_sequences_are_matched_by_their_place_in_the_file(tmp_path):
    """They were matched by their place among the rows with values."""
    (tmp_path / "a.csv").write_text("measured,predicted\n1,1\n2,\n3,3\n4,4\n5,5\n")
    (tmp_path / "b.csv").write_text("measured,predicted\n1,7\n2,8\n3,\n4,9\n5,6\n")
    tables = [PredictionTable(model, "s", tmp_path / f"{model}.csv") for model in "ab"]
    (found,) = align({}, [], tables)
    assert found.left_out == 2
    assert [s.measured.tolist() for s in found.models.values()] == [[1, 4, 5]] * 2
    assert found.models["b"].predicted.tolist() == [7, 9, 6]


def test_nothing_to_compare_is_an_error():
    with pytest.raises(ValueError, match="nothing to compare"):
        align({}, [])


def test_runs_and_tables_are_aligned_on_a_file(small_run, tmp_path, crmnet):
    measured = "".join(f"{s}\t{i}\n" for i, s in enumerate(INSERTS))
    (tmp_path / "s.tsv").write_text("sequence\texpression\n" + measured)
    answers = table(tmp_path / "a.csv", [3, 1, 0, 2, 4])
    predictor = Predictor.load(small_run, device="cpu")
    with open_all_data([tmp_path / "s.tsv"], ["complex"], IngestOptions()) as datasets:
        (found,) = align({"run": predictor}, datasets, [PredictionTable("table", "s", answers)])
    np.testing.assert_allclose(
        found.models["run"].predicted, predictor.predict(INSERTS, medium="complex"), rtol=1e-5
    )
    assert found.models["table"].measured.tolist() == [0, 1, 2, 3, 4]
    status, out, _ = crmnet(
        "compare", f"mine={small_run}", "--data", tmp_path / "s.tsv", "--medium", "complex",
        "--predictions", f"theirs@s={answers}", "--resamples", 20, "-o", tmp_path / "c",
    )  # fmt: skip
    assert status == 0
    assert "| mine |" in out and "| theirs |" in out
    assert (tmp_path / "c" / "compare.png").is_file()


def test_aligned_sets_hold_units_and_the_family_rule(small_run, assay):
    predictor = Predictor.load(small_run, device="cpu")
    expected = {scored.name: scored for scored in score_model(predictor, assay)}
    found = align({"run": predictor}, [assay])
    assert [one.name for one in found] == list(expected)
    for one in found:
        scored, wanted = one.models["run"], expected[one.name]
        assert scored.unit == scored.predicted_unit == "sorting bin"
        assert scored.families_by == "family"
        for field in ("unit", "predicted_unit", "families_by"):
            assert getattr(scored, field) == getattr(wanted, field)
        for field in ("measured", "predicted", "family"):
            np.testing.assert_array_equal(getattr(scored, field), getattr(wanted, field))


def test_two_sets_of_one_name_are_refused(small_run, assay):
    predictor = Predictor.load(small_run, device="cpu")
    with pytest.raises(ValueError, match="two sets are named 'assay:"):
        align({"run": predictor}, [assay, assay])


def test_a_table_names_one_medium_of_a_data_set_with_several(tmp_path):
    """The table became a set of its own, which was compared with nothing, without a message."""
    rows = [(insert, n, m) for m in ("mine", "other") for n, insert in enumerate(INSERTS)]
    data = ingest_rows(
        write_rows(tmp_path / "two.tsv", rows, "sequence expression medium"), tmp_path / "two"
    )
    answers = table(tmp_path / "a.csv", range(5))
    with pytest.raises(ValueError, match="SET must be one of two:mine, two:other; got two"):
        align({}, [data], [PredictionTable("T", "two", answers)])
    (found,) = align({}, [data], [PredictionTable("T", "two:other", answers)])
    assert found.name == "two:other"
