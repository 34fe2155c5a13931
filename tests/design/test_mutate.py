"""Effects of variants against predictions of mutants that are made by hand."""

import numpy as np
import pytest
import torch
from torch import nn

from crmnet.design.effects import MutateOptions
from crmnet.design.epistasis import epistasis
from crmnet.design.mutate import delete_tiles, mutate, saturate
from crmnet.interpretation.attribute import AttributeOptions, attribute
from crmnet.models.ensemble import Ensemble
from crmnet.prediction.predictor import Predictor
from crmnet.prediction.random_effects import RandomVariants
from crmnet.sequence import ADAPTER_3, ADAPTER_5, encode
from small_models import Additive, Views, additive_predictor

TEXT = "TTACCCGGGTCAAGTACGTGGCGCCATAGCTTGACGTACCCGGGATTAAGCTTGCATGCCTGCAGGTCGACTCTAGAGGA"
CONSTRUCT = ADAPTER_5 + TEXT + ADAPTER_3
FEW = MutateOptions(sites=False, random=RandomVariants(3, 4))


@pytest.fixture(scope="module")
def fast():
    return Predictor.load("yeast-fast", device="cpu")


def by_hand(text):
    """Names and texts of all substitutions, as loops over positions and bases."""
    return {
        f"{i + 1}{old}>{new}": text[:i] + new + text[i + 1 :]
        for i, old in enumerate(text)
        for new in "ACGT"
        if new != old
    }


def test_saturation_equals_predictions_of_mutants_made_by_hand(fast):
    found = saturate(fast, [TEXT], options=FEW)
    mutants = by_hand(TEXT)
    assert found.variants == list(mutants) and len(found) == 240
    expected = fast.predict(list(mutants.values()))
    reference = fast.predict([TEXT])
    np.testing.assert_allclose(found.effects.variant, expected, atol=1e-5)
    np.testing.assert_allclose(found.effects.reference, np.repeat(reference, 240, 0), atol=1e-5)
    np.testing.assert_allclose(found.effects.delta, expected - reference, atol=1e-5)


def test_saturation_equals_explain_by_mutagenesis(fast):
    """An attribution is minus the mean effect of the three other bases."""
    options = AttributeOptions("ism", beyond_composition=False)
    explained = attribute(fast, [TEXT], medium="defined", options=options).values[0].sum(axis=0)
    delta = saturate(fast, [TEXT], medium="defined", options=FEW).effects.delta
    assert delta.shape == (240, 1)
    np.testing.assert_allclose(-delta.reshape(80, 3).mean(axis=1), explained[17:97], atol=1e-5)


def test_inserts_and_constructs_have_equal_effects_and_their_own_positions(fast):
    found = saturate(fast, [TEXT, CONSTRUCT], options=FEW)
    assert found.row.tolist() == [0] * 240 + [1] * 240
    assert found.context[::240] == ["insert", "construct"]
    np.testing.assert_array_equal(found.effects.delta[:240], found.effects.delta[240:])
    assert (found.variants[0], found.variants[240]) == ("1T>A", "18T>A")


def test_a_change_in_an_adapter_keeps_the_adapters():
    """With adapters added to a mutant that has lost its own, the contexts would differ."""
    model = additive_predictor()
    names = ["1_4del", "1T>A+2G>A+3C>A", "18_97del"]
    found = mutate(model, [CONSTRUCT], names, options=FEW)
    texts = [CONSTRUCT[4:], "AAA" + CONSTRUCT[3:], ADAPTER_5 + ADAPTER_3]
    expected = model.predict(texts, flanks="none")
    np.testing.assert_allclose(found.effects.variant, expected, atol=1e-5)


@pytest.mark.parametrize(
    ("name", "insert", "flags"),
    [
        ("3_6del", "TT" + TEXT[6:], ""),  # the 3' adapter follows
        ("35insAC", TEXT[:35] + "AC" + TEXT[35:], ""),  # 82 bases fit
        ("35insACGT", TEXT[2:35] + "ACGT" + TEXT[35:], "distal_cut"),  # 84 lose two at their start
        ("0insACGT", "GT" + TEXT, "distal_cut"),
        ("1_4del+80insACGT", TEXT[4:] + "ACGT", ""),
    ],
)
def test_insertions_and_deletions_by_hand(name, insert, flags):
    model = additive_predictor()
    found = mutate(model, [TEXT], [name], options=FEW)
    np.testing.assert_allclose(found.effects.variant, model.predict([insert], flanks="add"),
                               atol=1e-5)  # fmt: skip
    np.testing.assert_allclose(found.effects.reference, model.predict([TEXT]), atol=1e-5)
    assert found.effects.flags == [flags]


@pytest.mark.parametrize(
    ("name", "construct"),
    [
        ("5insACGT", ADAPTER_5[:5] + "ACGT" + ADAPTER_5[5:] + TEXT[2:] + ADAPTER_3),
        ("17insACGT", ADAPTER_5 + "GT" + TEXT + ADAPTER_3),
        ("5insAC+18insACGT", ADAPTER_5[:5] + "AC" + ADAPTER_5[5:] + "T" + TEXT[1:] + ADAPTER_3),
        ("1_2del+20insACGTA", ADAPTER_5[2:] + TEXT[1:3] + "ACGTA" + TEXT[3:] + ADAPTER_3),
    ],
)
def test_an_insertion_into_a_given_adapter_takes_bases_from_the_insert(name, construct):
    model = additive_predictor()
    found = mutate(model, [CONSTRUCT], [name], options=FEW)
    expected = model.predict([construct], flanks="none")
    np.testing.assert_allclose(found.effects.variant, expected, atol=1e-5)
    assert found.effects.flags == ["distal_cut"]


def test_tiled_deletions_by_hand():
    model = additive_predictor()
    found = delete_tiles(model, [TEXT[:24]], 10, options=FEW)
    assert found.variants == ["1_10del", "11_20del", "15_24del"]
    texts = [TEXT[10:24], TEXT[:10] + TEXT[20:24], TEXT[:14]]
    np.testing.assert_allclose(found.effects.variant, model.predict(texts), atol=1e-5)
    with pytest.raises(ValueError, match="deletions of 24 bases leave nothing of inserts of at"):
        delete_tiles(model, [TEXT[:24]], 24)
    with pytest.raises(ValueError, match="must be at least 1; got 0 and 0"):
        delete_tiles(model, [TEXT], 0)


def test_epistasis_of_all_pairs_equals_a_double_loop():
    model, text = additive_predictor(power=2), "TACG"
    (found,) = epistasis(model, [text], options=FEW)
    singles = by_hand(text)
    wild, names = model.predict([text])[0], list(singles)
    single = {name: model.predict([mutant])[0] - wild for name, mutant in singles.items()}
    expected, deltas = {}, []
    for i, first in enumerate(names):
        for second in names[i + 1 :]:
            if first[0] == second[0]:
                continue
            position = int(second[0]) - 1
            both = singles[first][:position] + second[-1] + singles[first][position + 1 :]
            delta = model.predict([both])[0] - wild
            expected[f"{first}+{second}"] = delta - single[first] - single[second]
            deltas.append(delta)
    assert found.pairs.variants == list(expected)
    assert len(expected) == 6 * 9  # pairs of four positions, three bases at each
    np.testing.assert_allclose(found.values, list(expected.values()), atol=1e-4)
    np.testing.assert_allclose(found.pairs.effects.delta, deltas, atol=1e-4)
    matrix = found.matrix("b")
    np.testing.assert_array_equal(matrix, matrix.T)
    assert np.isnan(matrix).sum() == 4 * 9  # two substitutions of one position
    first, second = names.index("1T>A"), names.index("3C>G")
    assert matrix[first, second] == pytest.approx(expected["1T>A+3C>G"][1], abs=1e-4)


def test_additive_effects_have_no_epistasis_and_80_bases_have_28440_pairs():
    (found,) = epistasis(additive_predictor(), [TEXT], medium="a", options=FEW)
    assert len(found.pairs) == 28_440
    assert np.abs(found.values).max() < 1e-4
    assert found.positions.tolist() == np.repeat(np.arange(1, 81), 3).tolist()
    table = found.to_table()
    assert table.columns[3:10] == [
        "expression_reference_a",
        "expression_variant_a",
        "delta_a",
        "delta_low_a",
        "delta_high_a",
        "delta_percentile_a",
        "epistasis_a",
    ]
    with pytest.raises(ValueError, match="fewer than two bases to change"):
        epistasis(additive_predictor(), ["ANNN"])


def test_blocks_do_not_change_the_result(monkeypatch):
    model = additive_predictor(power=2)
    texts = [TEXT, TEXT[::-1], TEXT[:50]]
    whole = saturate(model, texts, options=FEW)
    monkeypatch.setattr("crmnet.design.mutate.CHUNK", 100)
    parts = saturate(model, texts, options=FEW)
    assert parts.variants == whole.variants and parts.row.tolist() == whole.row.tolist()
    np.testing.assert_allclose(parts.effects.delta, whole.effects.delta, atol=1e-5)


def test_lists_of_variants_for_each_sequence():
    model = additive_predictor()
    found = mutate(model, [TEXT, TEXT[1:]], [["1T>A"], ["1T>C", "2A>C"]], ids=["x", "y"],
                   options=FEW)  # fmt: skip
    assert found.ids == ["x", "y", "y"] and found.row.tolist() == [0, 1, 1]
    with pytest.raises(ValueError, match="1 lists of variants do not fit 2 sequences"):
        mutate(model, [TEXT, TEXT], [["1T>A"]])
    with pytest.raises(ValueError, match="variants must be a list of texts"):
        mutate(model, [TEXT], "1T>A")
    with pytest.raises(ValueError, match="sequence 'y': '1T>' is not a variant"):
        mutate(model, [TEXT, TEXT], [["1T>A"], ["1T>"]], ids=["x", "y"])
    with pytest.raises(ValueError, match="2T>C of sequence 'y': base 2 is A, not T"):
        mutate(model, [TEXT, TEXT[1:]], [["1T>A"], ["2T>C"]], ids=["x", "y"])


@pytest.mark.parametrize("ids", [["x"], ["x", "y", "z"], []])
def test_every_sequence_needs_an_id(ids):
    for sequences in (encode(["ACGT", "ACGT"])[0], ["ACGT", "ACGT"]):
        with pytest.raises(ValueError, match=f"{len(ids)} ids for 2 sequences; give one for each"):
            mutate(Additive(), sequences, ["1A>C"], ids=ids)


def test_padding_outside_the_adapters_cannot_be_changed():
    model = additive_predictor()
    found = mutate(model, ["NN" + CONSTRUCT + "NNN"], ["20T>A"], options=FEW)
    plain = mutate(model, [CONSTRUCT], ["18T>A"], options=FEW)
    np.testing.assert_array_equal(found.effects.delta, plain.effects.delta)
    for name in ("2N>A", "114N>A"):
        with pytest.raises(ValueError, match="lies in the N padding outside the construct"):
            mutate(model, ["NN" + CONSTRUCT + "NNN"], [name])


def test_an_unknown_base_can_become_known():
    found = mutate(additive_predictor(), ["ACGN"], ["4N>T"], options=FEW)
    expected = additive_predictor().predict(["ACGT"])
    np.testing.assert_allclose(found.effects.variant, expected, atol=1e-5)


# -- any module --------------------------------------------------------------------------------


def test_a_module_gets_the_given_bases_alone():
    module = Additive().train()
    found = mutate(module, ["ACGTACGT"], ["3G>T", "3insAA", "1_2del"], options=FEW)
    assert found.media == ("output_1", "output_2")
    texts = ["ACTTACGT", "ACGAATACGT"[:10], "GTACGT"]
    for row, text in enumerate(["ACTTACGT", "ACGAATACGT", "GTACGT"]):
        x = nn.functional.one_hot(torch.from_numpy(encode([text])[0]).long(), 4).transpose(1, 2)
        expected = module(x.float())[0].numpy()
        np.testing.assert_allclose(found.effects.variant[row], expected, atol=1e-5)
    assert len(texts) == 3 and module.training  # its mode is restored
    with pytest.raises(ValueError, match="outputs have no names"):
        mutate(module, ["ACGT"], ["1A>C"], medium="a")


def test_a_module_of_a_predictor_equals_the_predictor(fast):
    module = fast.module("complex", insert_only=True)
    names = ["1T>A", "35insAC", "3_6del"]
    found = mutate(module, [TEXT], names, options=FEW)
    expected = mutate(fast, [TEXT], names, medium="complex", options=FEW)
    assert found.media == ("output",)
    np.testing.assert_allclose(found.effects.delta, expected.effects.delta, atol=1e-4)


def test_tokens_keep_their_width(fast):
    tokens = fast.prepare([TEXT])
    found = saturate(fast, tokens, medium="dream", options=FEW)
    expected = saturate(fast, [CONSTRUCT], medium="dream", options=FEW)
    np.testing.assert_array_equal(found.effects.delta, expected.effects.delta)
    padded = encode(["ACGTNN"])[0]
    found = mutate(Additive(), padded, ["3insT", "1del"], options=FEW)
    wanted = mutate(Additive(), ["ACGTNN"], ["3insT+6del", "1del"], options=FEW)
    np.testing.assert_allclose(found.effects.variant, wanted.effects.variant, atol=1e-5)


# -- uncertainty -------------------------------------------------------------------------------


def ensemble():
    members = [Views(seed).eval() for seed in range(3)]
    return Predictor(Ensemble(members, reverse_complement=True).eval(), ["a", "b"],
                     torch.device("cpu"))  # fmt: skip


def test_the_interval_is_that_of_the_difference():
    """Its spread is the one of the members' differences, not that of either prediction."""
    from crmnet.runs.model_card import ModelCard
    from crmnet.statistics.differences import Differences
    from crmnet.statistics.uncertainty import Interval

    model = ensemble()
    interval = Interval(base=0.5, slope=2.0, quantile=1.5, rows=9, families=9)
    known = Differences(level=0.9, data={"name": "d"}, intervals={"b": interval})
    model.card = ModelCard.model_construct(differences=known, calibration=None)
    found = mutate(model, [TEXT], ["1T>A", "35_38del"], options=FEW)
    views = [model.predict_views(model.prepare([text])).values[:, 0]
             for text in (TEXT, "A" + TEXT[1:], TEXT[:34] + TEXT[38:])]  # fmt: skip
    for row, variant in enumerate(views[1:]):
        spread = (variant - views[0]).std(axis=0)[1]
        half = 1.5 * (0.5 + 2.0 * spread)
        delta = (variant - views[0]).mean(axis=0)[1]
        effects = found.effects
        assert effects.delta[row, 1] == pytest.approx(delta, abs=1e-5)
        assert effects.high[row, 1] - effects.delta[row, 1] == pytest.approx(half, rel=1e-4)
        assert effects.delta[row, 1] - effects.low[row, 1] == pytest.approx(half, rel=1e-4)
    assert np.isnan(found.effects.low[:, 0]).all()  # medium a has no interval


def test_percentiles_are_ranks_among_random_variants():
    """The effects of an additive model on random sequences are those of its weights."""
    model = additive_predictor()
    options = MutateOptions(sites=False, random=RandomVariants(200, 15))
    found = saturate(model, [TEXT], medium="a", options=options)
    rng = np.random.default_rng(5)
    weights = model.model.weights[0].numpy()
    old, shift, position = rng.integers(0, 4, 40_000), rng.integers(1, 4, 40_000), \
        rng.integers(17, 97, 40_000)  # fmt: skip
    random = np.abs(weights[(old + shift) % 4, position] - weights[old, position])
    expected = 100 * (random[:, None] < np.abs(found.effects.delta[:, 0])).mean(axis=0)
    assert np.abs(found.effects.percentile[:, 0] - expected).max() < 4
    again = saturate(model, [TEXT], medium="a", options=options)
    np.testing.assert_array_equal(found.effects.percentile, again.effects.percentile)


# -- sites and tables --------------------------------------------------------------------------


def test_sites_are_gained_and_lost_by_name(fast):
    """TTACCCGG is a site of REB1."""
    text = "AGCTAGCTTACCCGGAGCTAGCT".ljust(80, "C")
    broken = text.replace("ACCC", "ATCC")
    position = broken.index("ATCC") + 2
    options = MutateOptions(random=RandomVariants(3, 4))
    lost = mutate(fast, [text], [f"{position}C>T"], options=options).effects
    assert "REB1" in lost.lost[0].split(";") and "REB1" not in lost.gained[0].split(";")
    gained = mutate(fast, [broken], [f"{position}T>C"], options=options).effects
    assert (gained.gained, gained.lost) == (lost.lost, lost.gained)
    moved = mutate(fast, [broken[:40] + "TTACCCGG" + broken[48:]], [f"{position}T>C+44C>T"],
                   options=options).effects  # fmt: skip
    assert "REB1" in moved.gained[0].split(";") and "REB1" in moved.lost[0].split(";")
    gone = mutate(fast, [text], [f"{position}_{position + 2}del"], options=options).effects
    assert "REB1" in gone.lost[0].split(";")


def test_the_table_has_a_row_for_each_variant(fast):
    found = mutate(fast, [TEXT], ["1T>A", "35_38del"], medium="complex", options=FEW)
    table = found.to_table()
    assert table.columns == [
        "id", "variant", "context", "expression_reference_complex", "expression_variant_complex",
        "delta_complex", "delta_low_complex", "delta_high_complex", "delta_percentile_complex",
        "sites_gained", "sites_lost", "flags",
    ]  # fmt: skip
    assert table["variant"].to_list() == ["1T>A", "35_38del"]
    assert table["flags"].to_list() == ["", "variant:length"]
    np.testing.assert_array_equal(table["delta_complex"].to_numpy(), found.of("complex"))


def test_a_sequence_without_a_known_base_has_no_variants(fast):
    with pytest.raises(ValueError, match="no sequence has a base that can be changed"):
        saturate(fast, ["NNNN"])


def test_every_part_of_a_module_keeps_its_mode():
    module = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Dropout(0.5), torch.nn.Linear(32, 1))
    module.train()
    module[1].eval()  # as for a frozen part
    saturate(module, ["ACGTACGT"], options=MutateOptions(sites=False))
    assert [part.training for part in (module, *module)] == [True, True, False, True]
