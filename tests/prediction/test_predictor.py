import dataclasses

import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch
from torch import nn

from crmnet.prediction import predictor as predictor_module
from crmnet.prediction.predictor import NotFiniteError, Predictor, Rescaled
from crmnet.prediction.table import Reading, predict_file, unit_lines
from crmnet.runs.packed import pack
from crmnet.sequence import ADAPTER_3, ADAPTER_5, one_hot

pytestmark = pytest.mark.slow


class CountBases(nn.Module):
    """Output 0 counts A, output 1 counts T, so that predictions can be checked by hand."""

    def __init__(self):
        super().__init__()
        self.batches = []

    def forward(self, x_BCL):
        self.batches.append(len(x_BCL))
        return torch.stack([x_BCL[:, 0].sum(dim=1), x_BCL[:, 3].sum(dim=1)], dim=1)


@pytest.fixture
def counter():
    return Predictor(CountBases(), ["complex", "defined"], torch.device("cpu"), batch_size=4)


FLANK_A = (ADAPTER_5 + ADAPTER_3).count("A")
FLANK_T = (ADAPTER_5 + ADAPTER_3).count("T")


def test_inserts_get_adapters_and_constructs_keep_theirs(counter):
    insert = "AACAT" * 16
    predicted = counter.predict([insert, ADAPTER_5 + insert + ADAPTER_3])
    assert predicted.tolist() == [[48 + FLANK_A, 16 + FLANK_T]] * 2


def test_flanks_none_does_not_change_the_sequence(counter):
    assert counter.predict(["AAT"], flanks="none").tolist() == [[2, 1]]


def test_one_medium_is_one_column(counter):
    assert counter.predict(["AAT"], flanks="none", medium="defined").tolist() == [1]
    with pytest.raises(ValueError, match="no medium 'ypd'; the model has complex and defined"):
        counter.predict(["AAT"], medium="ypd")


def test_batches_keep_the_order_and_the_size(counter):
    sequences = ["A" * n + "C" for n in range(10)]
    predicted = counter.predict(sequences, flanks="none", medium="complex")
    assert predicted.tolist() == list(range(10))
    assert counter.model.batches == [4, 4, 2]


@pytest.mark.parametrize("size", [-1, 0, 2.5, "a", True, None])
def test_the_batch_size_must_be_a_whole_number(counter, size):
    """Predictions with -1 were memory that nothing had written to."""
    with pytest.raises(ValueError, match="batch_size must be a whole number of at least 1; got"):
        dataclasses.replace(counter, batch_size=size)
    assert type(dataclasses.replace(counter, batch_size=np.int64(3)).batch_size) is int


def test_rescaled_puts_outputs_back_into_units():
    network = Rescaled(nn.Identity(), mean=[8.0, 0.0], sd=[4.0, 0.5])
    assert network(torch.tensor([[1.0, 2.0]])).tolist() == [[12.0, 1.0]]


def test_a_single_string_is_not_a_list_of_sequences(counter):
    with pytest.raises(ValueError, match=r"write \[sequence\]"):
        counter.predict("ACGT")


def test_errors_name_the_sequence_with_an_invalid_letter(counter):
    with pytest.raises(ValueError, match=r"sequence number 2: letter 'X' at position 3"):
        counter.predict(["ACGT", "ACXT"])


@pytest.mark.parametrize(
    "column",
    [pd.Series, lambda v: pd.Series(v, index=[2, 1, 0]), pl.Series, np.array, tuple, iter],
    ids=["pandas", "index", "polars", "numpy", "tuple", "iterator"],
)
def test_columns_are_predicted_in_order(counter, column):
    texts = ["A", "AA", "AAA"]
    predicted = counter.predict(column(texts), flanks="none", medium="complex")
    assert predicted.tolist() == [1, 2, 3]
    assert counter.assess(column(texts), flanks="none").expression[:, 0].tolist() == [1, 2, 3]


def test_errors_in_a_column_count_by_position(counter):
    good = "TTACCCGGGTCAAGTACGT" * 4 + "ACGT"
    bad = good[:-1] + "R"
    for column, message in (
        (pd.Series([good, good, bad], index=[10, 11, 12]), "number 3: letter 'R' at position 80"),
        (pd.Series([good, bad], index=[1, 0]), "number 2: letter 'R'"),
        (pd.Series([good, None], index=[5, 6]), "number 2 is (None|nan), not text"),
    ):
        with pytest.raises(ValueError, match=message):
            counter.predict(column)


def test_calling_a_predictor_is_predicting(counter):
    sequences = ["AAT", "T"]
    np.testing.assert_array_equal(counter(sequences), counter.predict(sequences))
    assert counter(sequences, medium="complex", flanks="none").tolist() == [2, 0]


@pytest.mark.parametrize(
    "numbers",
    [
        np.zeros((2, 112), np.uint8),
        torch.zeros(2, 4, 80),
        [[0, 1, 2]],
        pd.DataFrame([["A"]]).values,
    ],
)
def test_numbers_are_told_what_to_call(counter, numbers):
    for call in (counter.predict, counter, counter.assess):
        with pytest.raises(
            ValueError, match=r"must be text; call predict_tokens for .*module\("
        ) as e:
            call(numbers)
        assert "\n" not in str(e.value)


def test_tokens_of_every_kind(counter):
    tokens = counter.prepare(["AAT", "C"], flanks="none")
    assert tokens.shape == (2, 112)
    for form in (tokens, tokens.tolist(), torch.from_numpy(tokens), tokens.astype(float),
                 pd.DataFrame(tokens, index=[1, 0])):  # fmt: skip
        assert counter.predict_tokens(form).tolist() == [[2, 1], [0, 0]]
    for wrong in (tokens[:, :80], tokens[0], one_hot(torch.from_numpy(tokens))):
        with pytest.raises(ValueError, match=r"tokens must be \(N, 112\)"):
            counter.predict_tokens(wrong)


def test_the_repr_is_one_line_of_facts(counter, small_run):
    assert repr(counter) == (
        "Predictor(name=None, media=['complex', 'defined'], length=112, device='cpu', members=1)"
    )
    trained = Predictor.load(small_run, device="cpu")
    assert repr(trained) == (
        f"Predictor(name='run', media={trained.media}, length=112, device='cpu', members=1)"
    )
    assert repr(Predictor.load("yeast", device=torch.device("cpu"))) == (
        "Predictor(name='yeast', media=['complex', 'defined', 'dream'], length=112, device='cpu', "
        "members=4)"
    )


def test_a_model_may_be_a_path_or_text(small_run):
    sequences = ["ACGTT" * 16]
    expected = Predictor.load(small_run, device="cpu").predict(sequences)
    np.testing.assert_array_equal(
        Predictor.load(str(small_run), device="cpu").predict(sequences), expected
    )


def test_a_device_that_is_not_there_is_named(small_run):
    with pytest.raises(ValueError, match="no device 'cuda:99'"):
        Predictor.load(small_run, device="cuda:99")


def write(path, text):
    path.write_text(text)
    return path


def test_a_repeated_header_in_joined_files_is_ignored(counter, tmp_path):
    path = tmp_path / "joined.tsv"
    path.write_text("id\tsequence\na\tAAT\n\nid\tsequence\nb\tT\n")
    (answered,) = predict_file(counter, path, flanks="none")
    assert answered.ids == ["a", "b"]
    assert answered.expression.tolist() == [[2, 1], [0, 1]]


@pytest.mark.parametrize(
    ("text", "ids"),
    [
        ("AAC\nATC\n", ["1", "2"]),
        (">x one\nAA\nC\n>y\nATC\n", ["x", "y"]),
        ("id\tsequence\nx\tAAC\ny\tATC", ["x", "y"]),
        ("n,Sequence,id\n1,AAC,x\n2,ATC,y\n", ["x", "y"]),
        ("AAC\t3.5\nATC\t7\n", ["1", "2"]),
        ("\n\nAAC\n\nATC\n", ["1", "2"]),
    ],
)
def test_files_of_every_format(counter, tmp_path, text, ids):
    blocks = list(predict_file(counter, write(tmp_path / "in", text), flanks="none"))
    assert [i for block in blocks for i in block.ids] == ids
    assert np.concatenate([b.expression for b in blocks]).tolist() == [[2, 0], [1, 1]]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("AAC\nAXC\n", r"'2 \(.*in, line 2\)': letter 'X' at position 2"),
        (">a\nACGU\n", r"'a \(.*in, line 1\)'.*write T for U"),
        ("id\tsequence\nx\tAAC\ny\n", "line 3: 1 columns where 2"),
        ("", "holds no rows"),
        ("id\tsequence\n", "holds no sequences"),
        (">a\n>b\nAC\n", r"'a .*is empty"),
        (">a\nAC\n>\nAX\n", r"'2 \(.*in, line 3\)'"),
    ],
)
def test_errors_name_file_and_line(counter, tmp_path, text, message):
    with pytest.raises(ValueError, match=message):
        list(predict_file(counter, write(tmp_path / "in", text)))


def test_a_large_file_is_read_in_blocks(counter, tmp_path, monkeypatch):
    monkeypatch.setattr("crmnet.data.reading.BLOCK_BYTES", 1000)
    path = write(tmp_path / "in", "ACGT\n" * 3000)
    sizes = [len(block.ids) for block in predict_file(counter, path)]
    assert sum(sizes) == 3000
    assert max(sizes) <= 201


def test_precision_is_chosen_and_checked(small_run):
    exact, rounded = (Predictor.load(small_run, precision=p) for p in ("fp32", "bf16"))
    sequences = ["ACGTT" * 16, "TTACC" * 16]
    assert not np.array_equal(exact.predict(sequences), rounded.predict(sequences))
    np.testing.assert_allclose(rounded.predict(sequences), exact.predict(sequences), rtol=0.05)
    with pytest.raises(ValueError, match="fp32, bf16; got 'int8'"):
        Predictor.load(small_run, precision="int8")


def test_known_units_are_named(counter):
    assert list(unit_lines(counter, counter.media)) == []
    knowing = dataclasses.replace(
        counter, media=["complex+defined", "dream"],
        units={"complex+defined": "sorting bin", "dream": "MAUDE score"},
    )  # fmt: skip
    assert list(unit_lines(knowing, ["defined"])) == [
        "expression_defined: mean sorting bin, bins 0–17"
    ]
    assert list(unit_lines(knowing, ["dream"])) == [
        "expression_dream: MAUDE score, the unit of the training labels"
    ]
    both = list(unit_lines(knowing, knowing.media))
    assert [line.split(":")[0] for line in both] == [
        "expression_complex+defined", "expression_dream",
    ]  # fmt: skip
    unknown = dataclasses.replace(counter, units={"complex": "unknown"})
    assert list(unit_lines(unknown, ["complex"])) == []


def test_the_input_is_never_overwritten(crmnet, small_run, tmp_path):
    file = tmp_path / "s.fa"
    file.write_text(">one\n" + "ACGT" * 20 + "\n")
    status, _, error = crmnet("predict", small_run, file, "-o", file)
    assert status == 2 and "is the input and would be lost" in error
    assert file.read_text().startswith(">one")


@pytest.mark.parametrize("packed", [False, True])
def test_predictions_are_those_of_changed_weights(small_run, tmp_path, packed):
    """A stale copy of the network answered even after ``predictor.model`` had changed."""
    model = small_run
    if packed:
        model = tmp_path / "m.safetensors"
        pack([small_run], model)
    predictor = Predictor.load(model)
    texts = ["ACGTT" * 16, "GGATC" * 16]
    before, name, fast = predictor.predict(texts), predictor.identity, predictor.fast
    assert predictor.fast is fast  # made once while nothing changes
    for parameter in predictor.model.parameters():
        parameter.data *= 0  # torch counts no version of a change of .data
    found = predictor.predict(texts)
    assert (found != before).all()
    tokens = predictor.prepare(texts)
    with torch.inference_mode():
        expected = predictor.model(one_hot(torch.from_numpy(tokens)))
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    assert predictor.identity != name
    if packed:
        np.testing.assert_allclose(predictor.predict_with_spread(tokens)[0], expected, rtol=1e-5)


def _replaced(model):
    weight = next(model.parameters())
    weight.data = weight.data + 1


def _in_place(model):
    with torch.no_grad():
        next(model.parameters()).mul_(-1)


def _in_place_through_data(model):
    next(model.parameters()).data.neg_()


def _one_value_through_data(model):
    largest = max(model.parameters(), key=len)
    largest.data.view(-1)[len(largest.view(-1)) // 2] += 0.5


def _order_through_data(model):
    largest = max(model.parameters(), key=torch.numel)
    largest.data.copy_(largest.data.flip(0).clone())


def _loaded(model):
    model.load_state_dict({name: value + 1 for name, value in model.state_dict().items()})


def _by_optimiser(model):
    optimiser = torch.optim.SGD(model.parameters(), lr=0.1)
    sum(parameter.sum() for parameter in model.parameters()).backward()
    optimiser.step()


def _new_parameter(model):
    module = next(m for m in model.modules() if isinstance(m, nn.Linear))
    module.weight = nn.Parameter(module.weight.detach() + 1)


@pytest.mark.parametrize(
    "change",
    [
        _replaced, _in_place, _in_place_through_data, _one_value_through_data,
        _order_through_data, _loaded, _by_optimiser, _new_parameter,
    ],
)  # fmt: skip
def test_every_way_to_change_weights_is_seen(small_run, change):
    predictor = Predictor.load(small_run)
    texts = ["ACGTT" * 16, "GGATC" * 16]
    predictor.predict(texts)
    name, fast = predictor.identity, predictor.fast
    change(predictor.model)
    found = predictor.predict(texts)
    assert predictor.fast is not fast and predictor.changed
    assert predictor.identity != name
    with torch.inference_mode():
        expected = predictor.model(one_hot(torch.from_numpy(predictor.prepare(texts))))
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


def test_weights_are_read_completely_only_if_something_changed(small_run, monkeypatch):
    """A checksum of all weights took 8 ms in each call of ``predict`` with ``yeast``."""
    predictor = Predictor.load(small_run)
    calls, complete = [], predictor_module.state_of
    monkeypatch.setattr(
        predictor_module, "state_of", lambda model: calls.append(1) or complete(model)
    )
    fast = predictor.fast
    for _ in range(3):
        predictor.predict(["ACGTT" * 16])
    assert not calls
    predictor.model.load_state_dict(predictor.model.state_dict())  # the same weights
    predictor.predict(["ACGTT" * 16])
    assert len(calls) == 1
    assert predictor.fast is fast and not predictor.changed


class Overflows(nn.Module):
    """Half precision holds numbers up to 65,504: seven C overflow."""

    def forward(self, x_BCL):
        return (x_BCL[:, 1].sum(dim=1, keepdim=True).half() * 1e4).float()


def test_a_prediction_that_is_not_finite_is_an_error_that_names_the_row(tmp_path):
    """Infinity went into the table."""
    predictor = Predictor(Overflows(), ["complex"], torch.device("cpu"), batch_size=2)
    texts = ["AAT", "CAT", "ACT", "CCCCCCCT", "CCCCCCCC"]
    with pytest.raises(NotFiniteError, match="sequence number 4 is not a finite number") as error:
        predictor.predict(texts, flanks="none")
    assert error.value.row == 3
    file = tmp_path / "s.fa"
    file.write_text("".join(f">p{n}\n{text}\n" for n, text in enumerate(texts)))
    with pytest.raises(ValueError, match=r"sequence p3 \(.*s.fa, line 7\) is not a finite number"):
        list(predict_file(predictor, file, flanks="none"))
    file.write_text(">long\n" + "A" * 150 + "C" * 80 + "\n")
    with pytest.raises(ValueError, match=r"long \(.*s.fa, line 1\), bases 101–180 is not a finite"):
        list(predict_file(predictor, file, reading=Reading(tile=50)))


def test_an_overflow_ends_a_command_with_one_line(small_run, tmp_path, crmnet, monkeypatch):
    overflowing = Predictor(Overflows(), ["complex"], torch.device("cpu"))
    monkeypatch.setattr(Predictor, "load", lambda *_, **__: overflowing)
    file = tmp_path / "s.fa"
    file.write_text(f">fine\n{'A' * 80}\n>over\n{'C' * 80}\n")
    status, _, error = crmnet("predict", small_run, file, "-o", tmp_path / "o.tsv")
    assert status == 2 and "over (" in error and "line 3) is not a finite number" in error
    assert len(error.splitlines()) == 1 and not (tmp_path / "o.tsv").exists()


def test_what_is_no_base_and_unknown_choices_are_errors(counter):
    """A letter outside ACGTN was predicted as N, and window=10 gave more rows than sequences."""
    tokens = counter.prepare(["ACGT"] * 6)
    tokens[5, 2] = 255
    for predict in (counter.predict_tokens, counter.assess_tokens):
        with pytest.raises(ValueError, match="got 255 at position 3 of sequence number 6"):
            predict(tokens)
    for sequences in ([], ["ACGT" * 40]):
        for wrong in (10, "middle"):
            with pytest.raises(ValueError, match=f"must be one of first, last; got {wrong!r}"):
                counter.predict(sequences, window=wrong)
        with pytest.raises(ValueError, match="flanks must be one of auto, add, none; got 'foo'"):
            counter.predict(sequences, flanks="foo")
