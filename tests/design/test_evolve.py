"""Evolvability and robustness, counted by hand on linear models."""

import numpy as np
import polars as pl
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from crmnet.design.evolve import EPSILON, evolve
from crmnet.design.evolve_tables import percentile_among, read_robustness
from crmnet.design.neighbours import neighbours
from crmnet.prediction.predictor import Predictor
from crmnet.sequence import ADAPTER_3, ADAPTER_5, LENGTH, decode, encode
from support import quick


class Linear(nn.Module):
    """Sum of one weight for each base and position: ``(B, 4, L)`` → ``(B, M)``."""

    def __init__(self, *weights):
        super().__init__()
        self.weights = nn.Parameter(torch.tensor(np.array(weights), dtype=torch.float32))

    def forward(self, x_BCL):
        return torch.einsum("bcl,mcl->bm", x_BCL, self.weights)


def weights(length, **bases):
    """``(4, length)``: the weight of a base at every position, else 0."""
    return np.array([[bases.get(base, 0.0)] * length for base in "ACGT"])


def constructs(*weights_of_base):
    """A predictor of constructs whose expression is a sum over all bases."""
    model = Linear(*[weights(LENGTH, **w) for w in weights_of_base])
    media = ["complex", "defined"][: len(weights_of_base)]
    return Predictor(model.eval(), media, torch.device("cpu"))


def test_neighbours_are_ordered_by_position_and_base():
    tokens = encode(["CN", "TA"])[0]
    found = neighbours(tokens, np.ones((2, 2), bool))
    assert decode(found.tokens, [2] * 9) == ["AN", "GN", "TN", "AA", "CA", "GA", "TC", "TG", "TT"]
    assert found.row.tolist() == [0] * 3 + [1] * 6
    assert found.position.tolist() == [0] * 6 + [1] * 3


def test_evolvability_by_hand():
    # G adds 1, T takes 0.1: AG has 1; A>C 0, A>G +1, A>T -0.1; G>A -1, G>C -1, G>T -1.1.
    found = evolve(Linear(weights(2, G=1.0, T=-0.1)), ["AG"])
    assert found.expression.tolist() == [[1.0]]
    np.testing.assert_allclose(
        found.changes[0, 0], [[np.nan, 0, 1, -0.1], [-1, -1, np.nan, -1.1]], atol=1e-6
    )
    np.testing.assert_allclose(found.vectors[0, 0], [-1.1, -1, -1, -0.1, 0, 1], atol=1e-6)
    assert found.mutants.tolist() == [6]
    assert found.neutral.tolist() == [[2]]
    assert found.robustness.tolist() == [[2 / 6]]
    np.testing.assert_allclose(found.percentiles([0, 50, 100])[0, 0], [-1.1, -0.55, 1], atol=1e-6)
    assert found.extreme_changes(1) == [["1A>G"]]
    assert found.extreme_changes(-1) == [["2G>T"]]


def test_a_change_of_exactly_epsilon_is_not_neutral():
    model = Linear(weights(1, C=0.5, G=0.25))
    assert evolve(model, ["A"], epsilon=0.25).neutral.tolist() == [[1]]
    assert evolve(model, ["A"], epsilon=0.26).neutral.tolist() == [[2]]
    assert evolve(model, ["A"], epsilon=0.51).neutral.tolist() == [[3]]
    assert evolve(model, ["A"]).epsilon == EPSILON == 0.1616


def test_an_insert_of_80_bases_has_240_mutants_and_adapters_do_not_mutate():
    predictor, insert = constructs({"G": 1.0}), "ACGT" * 20
    found = evolve(predictor, [insert, ADAPTER_5 + insert + ADAPTER_3])
    assert found.mutants.tolist() == [240, 240]
    assert found.vectors.shape == (2, 1, 240)
    np.testing.assert_array_equal(found.changes[0], found.changes[1])
    # Positions count on the given sequence: the insert of a construct begins at 18.
    assert found.first.tolist() == [1, 18]
    # Each G loses 1 by 3 mutations; each of the 60 other bases gains 1 by one: 120 are neutral.
    assert found.robustness[:, 0].tolist() == [0.5, 0.5]


def test_n_short_and_long_inserts_have_their_true_number_of_mutants():
    predictor = constructs({"G": 1.0})
    texts = ["A" * 10 + "N" * 5 + "A" * 5, "A", "A" * 82, "N" * 20]
    found = evolve(predictor, texts)
    assert found.mutants.tolist() == [45, 3, 246, 0]
    assert found.vectors.shape == (4, 1, 246)
    # Of the three mutations of an A, only that to G changes expression.
    np.testing.assert_allclose(found.robustness[:3, 0], 2 / 3)
    assert np.isnan(found.robustness[3, 0])
    assert found.extreme_changes(1)[0][3] == ""
    assert np.isfinite(found.vectors[:, 0]).sum(axis=1).tolist() == [45, 3, 246, 0]
    table = found.to_table()
    assert table["bases"].to_list() == [15, 1, 82, 0]
    assert np.isnan(table["robustness_complex"][3])


def test_all_media_at_once_or_one():
    predictor = constructs({"G": 1.0}, {"C": 0.1})
    both = evolve(predictor, ["ACGT"])
    assert both.media == ["complex", "defined"]
    # Complex: 9 of the 12 changes touch no G... 3 remove the G, 3 add one: 6 are neutral.
    assert both.robustness.tolist() == [[0.5, 1.0]]
    one = evolve(predictor, ["ACGT"], medium="defined")
    assert one.media == ["defined"]
    np.testing.assert_array_equal(one.changes[:, 0], both.changes[:, 1])


def test_chunks_do_not_matter(monkeypatch):
    predictor = constructs({"G": 1.0, "A": 0.3})
    texts = ["ACGTN"[: 1 + n % 5] * (1 + n % 7) for n in range(9)]
    once = evolve(predictor, texts)
    monkeypatch.setattr("crmnet.design.evolve.AT_ONCE", 2)
    chunked = evolve(predictor, texts, ids=list("abcdefghi"))
    np.testing.assert_array_equal(once.changes, chunked.changes)
    np.testing.assert_array_equal(once.inserts, chunked.inserts)
    assert chunked.ids == list("abcdefghi")


@quick
@given(st.lists(st.text("ACGTN", min_size=1, max_size=12), min_size=1, max_size=4))
def test_evolvability_equals_predictions_of_mutants_one_by_one(texts):
    predictor = constructs({"G": 1.0, "C": -0.4, "T": 0.17})
    found = evolve(predictor, texts, epsilon=0.3)
    for row, text in enumerate(texts):
        before = predictor.predict([text])[0]
        changes = [
            predictor.predict([text[:at] + base + text[at + 1 :]])[0] - before
            for at, old in enumerate(text) if old != "N"
            for base in "ACGT" if base != old
        ]  # fmt: skip
        here = found.changes[row, 0].ravel()
        np.testing.assert_allclose(here[~np.isnan(here)], changes, atol=1e-5)
        if changes:
            expected = np.mean(np.abs(np.round(changes, 4)) < 0.3)
            assert found.robustness[row, 0] == pytest.approx(expected)


def test_tokens_and_text_agree_and_the_mode_of_a_module_is_kept():
    model = nn.Sequential(Linear(weights(4, G=1.0)), nn.Dropout(0.9))
    model[0].eval()
    found = evolve(model, ["ACGT", "GGGG"])
    assert (model.training, model[0].training, model[1].training) == (True, False, True)
    np.testing.assert_array_equal(found.changes, evolve(model, encode(["ACGT", "GGGG"])[0]).changes)
    assert found.media == ["output"]
    assert evolve(Linear(weights(4), weights(4)), ["ACGT"]).media == ["output_1", "output_2"]


def test_the_long_table_names_every_substitution():
    found = evolve(constructs({"G": 1.0}), [ADAPTER_5 + "AN" + ADAPTER_3], ids=["p"])
    table = found.changes_table()
    assert table.columns == ["id", "position", "reference", "alternative", "delta_complex"]
    assert table.rows() == [("p", 18, "A", "C", 0.0), ("p", 18, "A", "G", 1.0),
                            ("p", 18, "A", "T", 0.0)]  # fmt: skip


def test_percentiles_among_others_count_equal_values_half():
    assert percentile_among([0, 1, 2, 9, np.nan], [1, 2, 2, np.nan, 3]).tolist()[:4] == [
        0, 12.5, 50, 100
    ]  # fmt: skip
    assert np.isnan(percentile_among([np.nan], [1.0])).all()


@pytest.mark.parametrize("epsilon", [0, -1, np.nan, np.inf])
def test_epsilon_is_above_zero(epsilon):
    with pytest.raises(ValueError, match="epsilon must be a number above 0"):
        evolve(Linear(weights(1)), ["A"], epsilon=epsilon)


def test_bad_sequences_are_refused():
    with pytest.raises(ValueError, match="one length; got 1 to 2 bases"):
        evolve(Linear(weights(2)), ["A", "AC"])
    with pytest.raises(ValueError, match="1 ids for 2 sequences"):
        evolve(Linear(weights(1)), ["A", "C"], ids=["a"])
    with pytest.raises(ValueError, match="letter 'X' at position 2"):
        evolve(constructs({}), ["AX"])
    with pytest.raises(ValueError, match="has 83 bases"):
        evolve(constructs({}), ["A" * 83])
    assert evolve(constructs({"G": 1.0}), ["A" * 90], window="last").mutants.tolist() == [240]


def test_results_cannot_be_changed():
    found = evolve(Linear(weights(1)), ["A"])
    with pytest.raises(AttributeError):
        found.epsilon = 1.0
    assert isinstance(found.to_table(), pl.DataFrame)


def reference(path, ids, epsilon="0.1"):
    """A table of robustness: of three mutants of each promoter, one changes expression little."""
    rows = "".join(f"{name}\t{epsilon}\t3\t1\t{name}\n" for name in ids)
    path.write_text(f"id\tepsilon\tmutants\tneutral_complex\tlowest_complex\n{rows}")
    return path


def test_a_reference_may_mix_ids_of_digits_and_of_letters(tmp_path):
    path = reference(tmp_path / "r.tsv", [*range(100_000, 100_200), "YAL001C"])
    found = read_robustness(path, ["complex"], 0.1)
    np.testing.assert_allclose(found["complex"], [1 / 3] * 201)
    pl.read_csv(path, separator="\t", infer_schema_length=None).write_parquet(
        tmp_path / "r.parquet"
    )
    again = read_robustness(tmp_path / "r.parquet", ["complex"], 0.1)
    np.testing.assert_array_equal(again["complex"], found["complex"])


@pytest.mark.parametrize("epsilon", ["small", ""])
def test_a_reference_without_a_number_as_epsilon_is_refused(tmp_path, epsilon):
    path = reference(tmp_path / "r.tsv", ["1"], epsilon)
    with pytest.raises(ValueError, match=r"r\.tsv is not a table of crmnet evolve robustness"):
        read_robustness(path, ["complex"], 0.1)
