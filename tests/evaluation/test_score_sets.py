"""Sets to score: a model on data, tables of predictions, and the families of the rows."""

import json
import shutil

import numpy as np
import pytest

from crmnet.data.homology import KmerOptions
from crmnet.data.ingest import IngestOptions, ingest
from crmnet.data.leaks import TrainingRows
from crmnet.data.opening import open_data
from crmnet.data.splits import families
from crmnet.evaluation.align import align
from crmnet.evaluation.score_sets import read_score_table, score_file, score_model, score_table
from crmnet.sequence import ADAPTER_3, ADAPTER_5
from crmnet.training.train import train
from support import SHARED, needs_shared, settings, write_rows
from toys import linear_predictor

pytestmark = pytest.mark.slow

# -- a model on a data set --------------------------------------------------------------------


class GCCounter:
    """Stands for a predictor: ``defined`` is the number of G and C, ``complex`` twice that."""

    name = "counter"
    media = ("defined", "complex")
    records = ()
    flanks = "auto"

    def predict_tokens(self, tokens):
        gc = np.isin(tokens, [1, 2]).sum(axis=1, dtype=np.float32)
        return np.stack([gc, 2 * gc], axis=1)

    def medium_index(self, medium):
        return self.media.index(medium)

    def unit(self, medium):
        return {"defined": "sorting bin"}.get(medium)


ROWS = [
    ("GGGG", 4, "defined", "x"),
    ("GGGA", 6, "complex", "x"),
    ("GGAA", 5, "defined", "y"),
    ("GAAA", 1, "complex", "y"),
    ("AAAA", 0, "defined", "z"),
    ("CCCC", 8, "complex", "z"),
]


def two_media(folder, rows=ROWS):
    path = write_rows(folder / "rows.tsv", rows)
    return ingest([path], folder / "tiny", IngestOptions(flanks="none"))


def test_a_model_is_scored_medium_by_medium(tmp_path):
    defined, complex_ = score_model(GCCounter(), two_media(tmp_path))
    assert (defined.name, complex_.name) == ("tiny:defined", "tiny:complex")
    np.testing.assert_array_equal(defined.measured, [4, 5, 0])
    np.testing.assert_array_equal(defined.predicted, [4, 2, 0])
    np.testing.assert_array_equal(complex_.measured, [6, 1, 8])
    np.testing.assert_array_equal(complex_.predicted, [6, 2, 8])
    assert defined.measured.dtype == defined.predicted.dtype == np.float64
    assert (defined.unit, defined.predicted_unit, defined.units_differ) == (
        "sorting bin", "sorting bin", False,
    )  # fmt: skip
    assert (complex_.unit, complex_.predicted_unit, complex_.units_differ) == (
        "sorting bin", None, False,
    )  # fmt: skip


def test_a_guessed_unit_counts_beside_sorting_bins_alone(tmp_path):
    """A file of log2 values from 0 to 17 gave a warning to a model of log2 values."""
    rows = [("ACGTA" * 16, 1), ("GGATC" * 16, 2.5), ("TTGCA" * 16, 4), ("CATTC" * 16, 0)]
    path = write_rows(tmp_path / "s.tsv", rows, "sequence expression")
    predictors = {unit: linear_predictor() for unit in ("sorting bin", "log2", "none")}
    for unit in ("sorting bin", "log2"):
        predictors[unit].units = {"complex": unit}
    expected = {"sorting bin": "sorting bin", "log2": None, "none": "sorting bin"}
    for options in (IngestOptions(), IngestOptions(units=["counts"])):
        with open_data(path, options) as dataset:
            (found,) = align(predictors, [dataset])
        units = {name: scored.unit for name, scored in found.models.items()}
        assert units == (dict.fromkeys(expected, "counts") if options.units else expected)
        differ = [name for name, scored in found.models.items() if scored.units_differ]
        assert differ == (["sorting bin", "log2"] if options.units else [])


def test_a_unit_that_differs_from_the_models_is_noticed(tmp_path):
    write_rows(tmp_path / "a.tsv", [row[:2] for row in ROWS], "sequence expression")
    options = {"media": ("defined",), "flanks": "none"}
    (scored,) = score_file(
        GCCounter(), tmp_path / "a.tsv", IngestOptions(units=["MAUDE score"], **options)
    )
    assert (scored.unit, scored.units_differ) == ("MAUDE score", True)
    (scored,) = score_file(GCCounter(), tmp_path / "a.tsv", IngestOptions(**options))
    assert not scored.units_differ


def test_the_families_of_a_data_set_are_kept(tmp_path):
    dataset = two_media(tmp_path)
    defined, complex_ = score_model(GCCounter(), dataset)
    np.testing.assert_array_equal(defined.family, families(dataset)[::2])
    np.testing.assert_array_equal(complex_.family, families(dataset)[1::2])
    assert len(set(defined.family) | set(complex_.family)) == 3


def test_one_medium_keeps_the_name_of_the_data_set(tmp_path):
    dataset = two_media(tmp_path, [row for row in ROWS if row[2] == "complex"])
    (only,) = score_model(GCCounter(), dataset)
    (titled,) = score_model(GCCounter(), dataset, "title")
    assert (only.name, titled.name) == ("tiny", "title")


def test_a_medium_that_the_model_does_not_know_is_an_error(tmp_path):
    dataset = two_media(tmp_path, [("ACGT", 1, "dream", "x")] * 3)
    with pytest.raises(ValueError, match=r"dream.*defined, complex"):
        score_model(GCCounter(), dataset)


def test_a_file_of_rows_is_scored_like_the_data_set(tmp_path):
    dataset = two_media(tmp_path)
    from_folder = score_file(GCCounter(), dataset.path)
    from_rows = score_file(
        GCCounter(), tmp_path / "rows.tsv", IngestOptions(media=("complex",), flanks="none")
    )
    assert [scored.name for scored in from_rows] == ["rows:defined", "rows:complex"]
    for folder, rows in zip(from_folder, from_rows, strict=True):
        np.testing.assert_array_equal(folder.measured, rows.measured)
        np.testing.assert_array_equal(folder.predicted, rows.predicted)


@pytest.mark.parametrize(("medium", "factor"), [("defined", 1), ("complex", 2)])
def test_a_file_without_media_has_the_named_medium(tmp_path, medium, factor):
    path = write_rows(tmp_path / "rows.tsv", [row[:2] for row in ROWS], "sequence expression")
    (scored,) = score_file(GCCounter(), path, IngestOptions(media=(medium,), flanks="none"))
    np.testing.assert_array_equal(scored.predicted, factor * np.array([4, 3, 2, 1, 0, 4]))


def test_the_first_set_that_is_scored_reports_rejected_rows(tmp_path):
    """They were those of the first medium, also if this was not scored."""
    path = write_rows(tmp_path / "rows.tsv", [*ROWS, ("ACXT", 1, "defined", "x")])
    options = IngestOptions(media=("defined",), max_rejected=0.2)
    both = score_file(GCCounter(), path, options)
    assert [scored.left_out for scored in both] == [1, 0]
    for medium in ("defined", "complex"):
        (scored,) = score_file(GCCounter(), path, options, medium=medium)
        assert (scored.name, scored.left_out) == (f"rows:{medium}", 1)


def test_a_file_has_the_models_first_medium_and_reports_rejected_rows(tmp_path, caplog):
    rows = [*(row[:2] for row in ROWS), ("ACXT", 1)]
    path = write_rows(tmp_path / "rows.tsv", rows, "sequence expression")
    with pytest.raises(ValueError, match="1 of 7 rows were rejected"):
        score_file(GCCounter(), path)
    with caplog.at_level("INFO"):
        (scored,) = score_file(
            GCCounter(), path, IngestOptions(media=("defined",), max_rejected=0.2)
        )
    assert (len(scored.measured), scored.left_out) == (6, 1)
    assert "added adapters to 6 of 6" in caplog.text


# -- tables of measured and predicted values --------------------------------------------------


def table(folder, text, name="table.csv"):
    path = folder / name
    path.write_text(text)
    return path


def test_the_usual_column_names_are_found_in_any_order(tmp_path):
    text = "id,Predicted Expression,Measured Expression\na,1.5,1\nb,2.5,2\nc,3.5,3\n"
    scored = score_table(table(tmp_path, text, "Some_set.v2.csv"))
    assert (scored.name, scored.left_out) == ("Some_set", 0)
    np.testing.assert_array_equal(scored.measured, [1, 2, 3])
    np.testing.assert_array_equal(scored.predicted, [1.5, 2.5, 3.5])
    assert len(set(scored.family)) == 3


def test_columns_may_be_named(tmp_path):
    text = "expression\ttruth\tguess\n9\t1\t4\n9\t2\t5\n9\t3\t6\n"
    scored = score_table(table(tmp_path, text), measured="truth", predicted="Guess")
    np.testing.assert_array_equal(scored.measured, [1, 2, 3])
    np.testing.assert_array_equal(scored.predicted, [4, 5, 6])


@pytest.mark.parametrize(
    ("header", "remedy"),
    [("measured,other", "--predicted"), ("other,predicted", "--measured")],
)
def test_a_missing_column_says_how_to_name_it(tmp_path, header, remedy):
    with pytest.raises(ValueError, match=remedy):
        score_table(table(tmp_path, f"{header}\n1,2\n3,4\n5,6\n"))


def test_a_named_column_that_is_not_there_is_an_error(tmp_path):
    path = table(tmp_path, "measured,predicted\n1,2\n3,4\n5,6\n")
    with pytest.raises(ValueError, match=r"line 1.*'nosuch'.*'measured', 'predicted'"):
        score_table(path, measured="nosuch")


def test_a_text_that_is_not_a_number_names_file_and_line(tmp_path):
    path = table(tmp_path, "measured,predicted\n1,2\n\n3,high\n5,6\n")
    with pytest.raises(ValueError, match=r"table\.csv, line 4: predicted 'high'"):
        score_table(path)


@pytest.mark.parametrize("line", ["3", "3,4,5"])
def test_a_line_with_another_number_of_columns_is_an_error(tmp_path, line):
    path = table(tmp_path, f"measured,predicted\n1,2\n{line}\n5,6\n7,8\n9,10\n")
    with pytest.raises(ValueError, match=r"table\.csv, line 3: \d columns where 2"):
        score_table(path)


def test_rows_without_a_value_are_left_out_and_counted(tmp_path):
    text = "measured,predicted\n1,2\n,3\n4,\nnan,5\n6,inf\n7,8\n\n9,10\n"
    scored = score_table(table(tmp_path, text))
    np.testing.assert_array_equal(scored.measured, [1, 7, 9])
    np.testing.assert_array_equal(scored.predicted, [2, 8, 10])
    assert scored.left_out == 4  # the blank line is no row


def test_a_family_column_groups_the_rows_that_are_scored(tmp_path):
    text = "family,measured,predicted\na,1,2\nb,,3\na,4,5\nc,6,7\n"
    assert score_table(table(tmp_path, text)).family.tolist() == [b"a", b"a", b"c"]


def test_unnamed_families_are_those_of_the_sequence(tmp_path):
    text = "sequence,measured,predicted,family\nAC,1,2,\nGT,3,4,x\nAC,4,5,\n,6,7,\n"
    first, second, third, fourth = score_table(table(tmp_path, text)).family.tolist()
    assert first == third
    assert len({first, second, fourth}) == 3


def test_missing_families_are_not_one_family(tmp_path):
    text = "family,sequence,measured,predicted\nNA,AC,1,2\nnan,GG,3,4\nNA,AC,4,5\nNA,,6,7\n"
    assert first_of_family(score_table(table(tmp_path, text))) == [0, 1, 0, 3]


def test_copies_of_a_sequence_in_a_table_are_related_as_in_a_data_set(tmp_path):
    """Copies in lower case or with adapters were unrelated, so intervals were too narrow."""
    copies = [OTHER, OTHER.lower(), f"{ADAPTER_5}{OTHER}{ADAPTER_3}", OTHER_STRAND, MIDDLE]
    rows = [(text, n, n + n % 2) for n, text in enumerate(copies)]
    path = write_rows(tmp_path / "t.tsv", rows, "sequence expression predicted")
    scored = score_table(path)
    assert first_of_family(scored) == [0, 0, 0, 0, 4]
    assert scored.family.tolist() == [OTHER.encode()] * 4 + [MIDDLE.encode()]
    (of_data,) = score_file(GCCounter(), path, IngestOptions(media=("defined",)))
    assert first_of_family(of_data) == first_of_family(scored)


def test_a_row_without_family_and_sequence_joins_no_family_named_like_its_line(tmp_path):
    """The row on line 5 joined family 5."""
    text = "family,sequence,measured,predicted\n5,AC,1,2\n3,GT,3,4\n6,AC,4,5\n,,6,7\n"
    assert first_of_family(score_table(table(tmp_path, text))) == [0, 1, 2, 3]


def test_sequences_that_are_compared_by_their_first_bases_are_counted(tmp_path, caplog):
    """Long sequences with the same first bases became one family without a message."""
    shared = "ACGTT" * 20
    sequences = [f"{shared}{'A' * 20}", f"{shared}{'C' * 20}", "GGATC" * 16, "TTGCA" * 16]
    rows = "".join(f"{text},{i},{i}\n" for i, text in enumerate(sequences))
    path = table(tmp_path, f"sequence,measured,predicted\n{rows}")
    score_table(path)
    assert not caplog.text  # by the complete sequence
    assert first_of_family(score_table(path, by="sequence")) == [0, 0, 2, 3]
    assert "table.csv: 2 sequences are longer than 112 bases" in caplog.text
    assert "by their first bases; of these the longest are in line 2, 3" in caplog.text


@pytest.mark.parametrize("text", ["", "NA", "#N/A", "None", ".", "nan", "NULL", "n/a"])
def test_values_that_are_missing_are_left_out_and_counted(tmp_path, text):
    rows = [f"{'ACGTT' * 16},{n},{n + n % 2}" for n in range(5)]
    rows += [f"{'GGATC' * 16},{text},2.5", f"{'GGATC' * 16},2.5,{text}"]
    (tmp_path / "t.csv").write_text("\n".join(["sequence,measured,predicted", *rows]) + "\n")
    scored = score_table(tmp_path / "t.csv")
    assert scored.measured.tolist() == [0, 1, 2, 3, 4]
    assert scored.left_out == 2


@pytest.mark.parametrize("text", ["1_0", "high", "0x1", "1,5,2"])
def test_a_damaged_value_in_a_table_names_file_and_line(tmp_path, text):
    rows = ["ACGT\t1\t2", f"ACGT\t{text}\t2"]
    (tmp_path / "t.tsv").write_text("\n".join(["sequence\tmeasured\tpredicted", *rows]) + "\n")
    with pytest.raises(ValueError, match=rf"t\.tsv, line 3: expression '{text}' is not a number"):
        score_table(tmp_path / "t.tsv")


def test_a_table_without_rows_is_too_short(tmp_path):
    with pytest.raises(ValueError, match="0 rows are too few"):
        score_table(table(tmp_path, "measured,predicted\n"))


# -- families of rows ------------------------------------------------------------------------

MIDDLE, OTHER = "TGACCTGATTCGGACATGTC", "CATGAATCCGTCTAGGTACATTGACGCTAACTGGATCCAT"
TILES = [f"ACGTTGCAAGGCTTAACCGA{MIDDLE}", f"{MIDDLE}GGATACCTTGAGCATCGTTA", OTHER]
"""The first two share a word of 20 bases."""
OTHER_STRAND = OTHER[::-1].translate(str.maketrans("ACGT", "TGCA"))


def tile_rows(folder, family=False):
    rows = [(tile, number, number + 0.5) for number, tile in enumerate([*TILES, OTHER_STRAND])]
    header = "sequence expression predicted"
    if family:
        rows, header = [(*row, "same") for row in rows], f"{header} family"
    return write_rows(folder / "tiles.tsv", rows, header)


KINDS = [
    ("family", "sequence", [0, 1, 2, 2]),
    ("sequence", "sequence", [0, 1, 2, 2]),
    ("homology", "homology", [0, 0, 2, 2]),
]


def first_of_family(scored):
    """For each row the first of its relatives."""
    return [scored.family.tolist().index(name) for name in scored.family.tolist()]


@pytest.mark.parametrize(("by", "rule", "relatives"), KINDS)
def test_tiles_are_relatives_by_homology_alone(tmp_path, by, rule, relatives):
    options = IngestOptions(media=("defined",))
    (scored,) = score_file(GCCounter(), tile_rows(tmp_path), options, by=by)
    assert (first_of_family(scored), scored.families_by) == (relatives, rule)


def test_shorter_words_make_more_relatives_and_given_families_are_kept(tmp_path):
    options = IngestOptions(media=("defined",))
    path = tile_rows(tmp_path, family=True)
    (scored,) = score_file(GCCounter(), path, options, by="homology", kmers=KmerOptions(21))
    assert first_of_family(scored) == [0, 1, 2, 2]
    (scored,) = score_file(GCCounter(), path, options)
    assert (first_of_family(scored), scored.families_by) == ([0, 0, 0, 0], "family")


@pytest.mark.parametrize(("by", "relatives"), [(by, found) for by, _, found in KINDS[1:]])
def test_families_of_a_table_are_defined_like_those_of_a_data_set(tmp_path, by, relatives):
    scored = score_table(tile_rows(tmp_path, family=True), by=by)
    assert (first_of_family(scored), scored.families_by) == (relatives, by)


def test_default_families_of_a_table(tmp_path):
    assert score_table(tile_rows(tmp_path, family=True)).families_by == "family"
    assert score_table(tile_rows(tmp_path)).families_by == "sequence"
    path = table(tmp_path, "measured,predicted\n1,2\n3,4\n5,6\n")
    assert score_table(path).families_by == "row"
    with pytest.raises(ValueError, match=r"table\.csv, line 1: no sequence column .* by homology"):
        score_table(path, by="homology")


def test_rows_without_a_sequence_are_families_of_one_row(tmp_path):
    rows = "".join(f"{tile},{i},{i}\n" for i, tile in enumerate(["", *TILES[:2], "", "NN"]))
    path = table(tmp_path, f"sequence,measured,predicted\n{rows}")
    assert first_of_family(score_table(path, by="homology")) == [0, 1, 1, 3, 4]
    assert read_score_table(path).tokens.shape == (5, 112)


def test_a_bad_letter_in_a_table_names_its_line(tmp_path):
    path = table(tmp_path, "sequence,measured,predicted\nACGT,1,2\nACXT,3,4\nACGT,5,6\n")
    with pytest.raises(ValueError, match=r"table\.csv, line 3.*letter 'X' at position 3"):
        score_table(path, by="sequence")


def test_an_unknown_family_rule_lists_the_known_ones(tmp_path):
    with pytest.raises(ValueError, match="family, sequence, homology; got 'tile'"):
        score_table(tile_rows(tmp_path), by="tile")


def test_the_command_reports_the_family_rule(crmnet, tmp_path):
    path = tile_rows(tmp_path)
    words = ["evaluate", "--predictions", path, "--resamples", 10]
    _, out, _ = crmnet(*words)
    assert "intervals resample families by sequence: tiles (3 families of 4 rows)" in out
    status, out, _ = crmnet(*words, "--by", "homology", "-o", tmp_path / "e")
    assert status == 0
    assert "intervals resample families by homology: tiles (2 families of 4 rows)" in out
    found = json.loads((tmp_path / "e" / "metrics.json").read_text())["sets"]["tiles"]
    assert (found["families"], found["families_by"]) == (2, "homology")


@needs_shared
def test_overlapping_native_tiles_are_families_by_homology():
    path = SHARED / "data" / "hq" / "native_complex_validation.tsv.gz"
    scored = score_table(path, measured="replicate_1", predicted="replicate_2", by="homology")
    assert (len(scored.measured), len(set(scored.family.tolist()))) == (8866, 954)


# -- what the model was trained on ------------------------------------------------------------


def write_trained(folder, *sequences):
    return write_rows(folder / "trained.tsv", [(s, 1) for s in sequences], "sequence expression")


def test_rows_seen_in_training_are_marked_in_data_and_in_tables(tmp_path):
    training = ingest([write_trained(tmp_path, OTHER_STRAND)], tmp_path / "trained")
    training = TrainingRows(training.tokens, "trained", "exact")
    options = IngestOptions(media=("defined",))
    (scored,) = score_file(GCCounter(), tile_rows(tmp_path), options, training=training)
    assert scored.seen.rows.tolist() == [False, False, True, True]
    assert scored.take([1, 2, 3]).seen.rows.tolist() == [False, True, True]
    assert score_table(tile_rows(tmp_path), training=training).seen.rows.tolist() == [
        False, False, True, True,
    ]  # fmt: skip
    path = table(tmp_path, "measured,predicted\n1,2\n3,4\n5,6\n")
    with pytest.raises(ValueError, match=r"table\.csv, line 1: no sequence column .* matched with"):
        score_table(path, training=training)


def test_the_command_scores_seen_rows_separately(crmnet, tmp_path):
    rows = [(tile, i, i + i % 2) for i, tile in enumerate(["ACGTTGCA" * 5, *TILES, "TTGCA" * 8])]
    path = write_rows(tmp_path / "test.tsv", rows, "sequence expression predicted")
    words = ["evaluate", "--predictions", path, "--resamples", 10, "-o", tmp_path / "e"]
    status, out, error = crmnet(*words, "--against", write_trained(tmp_path, OTHER, TILES[0]))
    assert status == 0
    assert "test: trained holds 2 of its 5 rows" in error and "only the other 3 show" in error
    assert "not in trained  3  " in out and "in trained      2  too few rows" in out
    found = json.loads((tmp_path / "e" / "metrics.json").read_text())["sets"]["test"]["against"]
    assert (found["data"], found["level"]) == ("trained", "near")
    assert (found["seen"]["n"], found["unseen"]["n"]) == (2, 3)


def test_the_command_warns_of_training_data_in_the_record(crmnet, small_run, assay, tmp_path):
    words = ["evaluate", small_run, assay.path, "--resamples", 10]
    status, _, error = crmnet(*words)
    assert status == 0
    assert f"warning: {assay.path} is the data set that the model was trained on" in error
    other = write_trained(tmp_path, OTHER)
    _, out, error = crmnet(*words, "--against", other, "--level", "exact")
    assert "note: the model's record names other training data than trained" in error
    assert "holds" not in error and "in trained" not in out
    assert "assay:defined: trained holds none of its 305 rows" in out


@pytest.fixture(scope="module")
def dream_run(tmp_path_factory):
    """A run of one medium, dream, with labels in another unit than bins."""
    folder = tmp_path_factory.mktemp("dream")
    rng = np.random.default_rng(0)
    rows = [("".join(rng.choice(list("ACGT"), 80)), i % 12, "dream") for i in range(80)]
    path = write_rows(folder / "rows.tsv", rows, "sequence expression medium")
    dataset = ingest([path], folder / "data", IngestOptions(units=["MAUDE score"]))
    train(settings("epochs=1"), dataset, folder / "run")
    write_rows(folder / "bins.tsv", [row[:2] for row in rows], "sequence expression")
    return folder / "run"


def test_the_assumed_medium_of_a_file_is_reported_and_so_are_differing_units(crmnet, dream_run):
    """A model of one medium scored data of another one without a word."""
    file = dream_run.parent / "bins.tsv"
    status, _, error = crmnet("evaluate", dream_run, file, "--resamples", 10)
    assert status == 0, error
    medium = "rows of files without a medium are scored as dream, the only medium of the model"
    assert medium in error
    assert "measured in" not in error  # nobody stated the unit of the file
    units = "measured in the unit 'sorting bin', predicted in the unit 'MAUDE score'"
    bins = ingest(
        [file], dream_run.parent / "bins", IngestOptions(media=("dream",), units=["sorting bin"])
    ).path
    assert f"warning: bins: {units}" in crmnet("evaluate", dream_run, bins, "--resamples", 10)[2]
    assert medium not in crmnet("evaluate", dream_run, file, "--medium", "dream")[2]
    assert medium not in crmnet("evaluate", dream_run, dream_run.parent / "data")[2]
    words = ["--data", file, "--resamples", 10, "-o", dream_run.parent / "c"]
    status, _, error = crmnet("compare", f"one={dream_run}", f"two={dream_run}", *words)
    assert status == 0 and medium in error and "measured in" not in error
    words = ["--data", bins, "--resamples", 10, "-o", dream_run.parent / "d"]
    _, _, error = crmnet("compare", f"one={dream_run}", f"two={dream_run}", *words)
    assert f"warning: bins, one: {units}" in error and f"warning: bins, two: {units}" in error


def test_missing_test_sets_are_reported_before_the_first_is_scored(crmnet, dream_run, tmp_path):
    status, _, error = crmnet("evaluate", dream_run, dream_run.parent / "bins.tsv", tmp_path / "x")
    assert status == 2 and "x: no such file" in error and "accepted" not in error


def test_a_model_without_a_record_of_its_data_is_evaluated(crmnet, small_run, assay, tmp_path):
    """Imported Keras weights have no fingerprints: KeyError."""
    shutil.copytree(small_run, tmp_path / "run")
    record = json.loads((tmp_path / "run" / "run.json").read_text())
    record["data"] = {"name": "published weights, read from crmnet_model"}
    (tmp_path / "run" / "run.json").write_text(json.dumps(record))
    words = ["--resamples", 10, "--against", write_trained(tmp_path, OTHER)]
    status, out, error = crmnet("evaluate", tmp_path / "run", assay.path, *words)
    assert status == 0 and "assay:complex" in out
    assert "the model's record names no training data" in error


@needs_shared
def test_the_540_random_promoters_among_the_training_rows_are_found():
    hq = SHARED / "data" / "hq" / "complex_train.tsv.gz"
    with open_data(hq) as training:
        rows = TrainingRows(training.tokens, training.name, "exact")
        scored = score_table(SHARED / "data" / "evolution" / "Random_complex.csv", training=rows)
    assert int(scored.seen.rows.sum()) == 540


def test_an_id_that_would_fill_every_output_is_named(tmp_path):
    rows = "".join(f"{'i' * n}\t{n}\t{n}\n" for n in (1, 2, 5000))
    (tmp_path / "t.tsv").write_text("id\tmeasured\tpredicted\n" + rows)
    with pytest.raises(ValueError, match="line 4: the id has 5,000 characters; at most 1,000"):
        score_table(tmp_path / "t.tsv")
