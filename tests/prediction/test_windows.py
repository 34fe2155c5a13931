"""Sequences that are too long for the network: refused, or read by window."""

import itertools

import numpy as np
import polars
import pytest
import torch
from torch import nn

from crmnet.prediction.predictor import Predictor
from crmnet.prediction.profile import Tracks
from crmnet.prediction.table import Reading, predict_file
from crmnet.sequence import ADAPTER_3, ADAPTER_5, decode, encode, too_long, windows

pytestmark = pytest.mark.slow


class CountA(nn.Module):
    """Counts A and T, so that the window that was read is known."""

    def forward(self, x_BCL):
        return torch.stack([x_BCL[:, 0].sum(dim=1), x_BCL[:, 3].sum(dim=1)], dim=1)


@pytest.fixture
def counter():
    return Predictor(CountA(), ["complex", "defined"], torch.device("cpu"))


FLANK_A = (ADAPTER_5 + ADAPTER_3).count("A")
LONG = "A" * 80 + "C" * 840 + "A" * 30 + "G" * 50
"""1,000 bases; the first 80 hold 80 A, the last 80 hold 30."""


def test_python_refuses_what_the_network_cannot_read(counter):
    for call in (counter.predict, counter, counter.assess, counter.prepare):
        with pytest.raises(
            ValueError,
            match="sequence number 2 has 1,000 bases, 1,030 with its adapters; the network reads "
            r"112; pass window='last' .* profile\(sequence, step\)",
        ):
            call(["ACGT" * 20, LONG])


@pytest.mark.parametrize(
    ("text", "flanks", "fits"),
    [
        ("A" * 82, "auto", True),
        ("A" * 83, "auto", False),
        (ADAPTER_5 + "C" * 82 + ADAPTER_3, "auto", True),
        ("N" * 300 + ADAPTER_5 + "C" * 82 + ADAPTER_3 + "N", "auto", True),
        (ADAPTER_5 + "C" * 83 + ADAPTER_3, "auto", False),
        (ADAPTER_5 + "C" * 80 + ADAPTER_3, "add", False),
        ("C" * 112, "none", True),
        ("C" * 113, "none", False),
    ],
)
def test_a_construct_up_to_the_length_of_the_network_is_read_complete(counter, text, flanks, fits):
    assert too_long(*encode([text]), flanks).tolist() == [not fits]
    assert windows(text, "last", flanks)[0].whole == fits
    if fits:
        whole = decode(counter.prepare([text], flanks=flanks))[0]
        assert text.strip("N") in whole and len(whole) <= 112
    else:
        with pytest.raises(ValueError, match="the network reads 112"):
            counter.predict([text], flanks=flanks)


def test_a_window_is_an_end_of_the_insert_with_both_adapters(counter):
    first, last = (
        counter.predict([LONG, "A" * 20], window=end, medium="complex") for end in ("first", "last")
    )
    assert first.tolist() == [80 + FLANK_A, 20 + FLANK_A]  # a sequence that fits stays complete
    assert last.tolist() == [30 + FLANK_A, 20 + FLANK_A]
    construct = "NN" + ADAPTER_5 + LONG + ADAPTER_3
    assert decode(counter.prepare([construct], window="last")) == [
        ADAPTER_5 + LONG[-80:] + ADAPTER_3
    ]
    assert decode(counter.prepare([LONG], window="first", flanks="none")) == [LONG[:112]]
    with pytest.raises(ValueError, match="window must be one of first, last"):
        counter.predict([LONG], window="middle")


def test_positions_count_from_1_on_the_given_sequence():
    construct = "NN" + ADAPTER_5 + "G" * 200 + ADAPTER_3
    spans = [(part.start + 1, part.stop) for part in windows(construct, 50)]
    assert spans == [(20, 99), (70, 149), (120, 199), (140, 219)]
    assert construct[139:219] == "G" * 80 and construct[219:] == ADAPTER_3
    assert [(p.start, p.stop) for p in windows("G" * 100, "last")] == [(20, 100)]


def test_a_profile_reaches_both_ends(counter):
    found = counter.profile(LONG, 300)
    assert found.start.tolist() == [1, 301, 601, 901, 921]
    assert found.end.tolist() == [80, 380, 680, 980, 1000]
    assert found.expression[:, 0].tolist() == [n + FLANK_A for n in (80, 0, 0, 30, 30)]
    assert found.trust is None
    whole = counter.profile("ACGT" * 20)
    assert (whole.start.tolist(), whole.end.tolist()) == ([1], [80])
    np.testing.assert_array_equal(whole.expression, counter.predict(["ACGT" * 20]))
    for step in (0, True, 2.5, np.int64(0), np.True_):
        with pytest.raises(ValueError, match="at least 1 base"):
            counter.profile(LONG, step)
    with pytest.raises(ValueError, match="one sequence as text"):
        counter.profile([LONG])


@pytest.mark.parametrize("kind", [np.int64, np.uint8])
def test_the_step_of_a_profile_may_be_an_integer_of_numpy(counter, kind):
    """It was refused as if it were below 1."""
    expected, found = counter.profile(LONG, 200), counter.profile(LONG, kind(200))
    assert found.start.tolist() == expected.start.tolist() == [1, 201, 401, 601, 801, 921]
    np.testing.assert_array_equal(found.expression, expected.expression)


def test_a_profile_in_several_batches_is_the_same(counter, monkeypatch):
    whole = counter.profile(LONG, 7)
    monkeypatch.setattr("crmnet.prediction.predictor.WINDOWS", 10)
    parts = counter.profile(LONG, 7)
    np.testing.assert_array_equal(parts.expression, whole.expression)
    np.testing.assert_array_equal(parts.start, whole.start)


def test_a_long_record_does_not_pad_the_others(counter, tmp_path, monkeypatch):
    """One record of 230 kb beside 1,000 promoters took 900 MB."""
    from crmnet.sequence import preparation

    widest = []
    real = preparation.prepare
    monkeypatch.setattr(
        preparation, "prepare", lambda t, *more: widest.append(np.size(t)) or real(t, *more)
    )
    text = ">x\n" + "N" * 230_000 + ADAPTER_5 + "A" * 80 + ADAPTER_3 + "\n"
    text += "".join(f">p{i}\n{'A' * (i % 80)}C\n" for i in range(1000))
    (tmp_path / "in.fa").write_text(text)
    blocks = list(predict_file(counter, tmp_path / "in.fa"))
    assert max(widest) < 300_000
    expected = [80 + FLANK_A, *(i % 80 + FLANK_A for i in range(1000))]
    assert np.concatenate([block.expression for block in blocks])[:, 0].tolist() == expected


def test_a_file_of_windows_has_a_row_for_each(counter, tmp_path):
    path = tmp_path / "in.fa"
    path.write_text(f">a\n{LONG}\n>b\n{'A' * 20}\n>c\n{LONG}\n")
    found = list(predict_file(counter, path, reading=Reading(window="last")))
    assert [i for block in found for i in block.ids] == ["a", "b", "c"]
    assert [int(n) for block in found for n in block.start] == [921, 1, 921]
    blocks = list(predict_file(counter, path, reading=Reading(tile=500)))
    assert [i for block in blocks for i in block.ids] == ["a", "a", "a", "b", "c", "c", "c"]
    assert blocks[0].end.tolist() == [80, 580, 1000]
    bad = tmp_path / "bad.fa"
    bad.write_text(f">a\n{LONG}X\n")
    with pytest.raises(ValueError, match=r"'a \(.*line 1\), bases 922–1001': letter 'X'"):
        list(predict_file(counter, bad, reading=Reading(window="last")))
    with pytest.raises(ValueError, match="give one"):
        Reading(window="last", tile=3)


def test_each_sequence_has_its_own_track(counter, tmp_path):
    """Also a long one that begins with the adapter, after a short one that begins before it."""
    (tmp_path / "s.fa").write_text(f">short\n{'ACGTC' * 16}\n>long\n{ADAPTER_5}{'ACGTC' * 40}\n")
    tracks = Tracks()
    for block in predict_file(counter, tmp_path / "s.fa", reading=Reading(tile=50)):
        tracks.add(block)
    found = tracks.finished()
    assert [(t.name, t.start[0], t.end[-1]) for t in found] == [("short", 1, 80), ("long", 18, 217)]


def test_the_command_refuses_tiles_and_draws(crmnet, small_run, tmp_path):
    path, table = tmp_path / "in.fa", tmp_path / "out.tsv"
    path.write_text(f">chr\n{LONG}\n")
    status, _, error = crmnet("predict", small_run, path)
    assert status == 2
    assert f"sequence 'chr ({path}, line 1)' has 1,000 bases" in error
    assert "--window last" in error and "--tile 10" in error
    words = ["predict", small_run, path, "--medium", "complex"]
    status, _, error = crmnet(*words, "--tile", 300, "-o", table)
    assert status == 0, error
    rows = [line.split("\t") for line in table.read_text().splitlines()]
    assert rows[0][:4] == ["id", "start", "end", "expression_complex"]
    assert [row[1:3] for row in rows[1:]] == [
        ["1", "80"], ["301", "380"], ["601", "680"], ["901", "980"], ["921", "1000"],
    ]  # fmt: skip
    assert "start, end: bases of the given sequence, from 1" in error
    graph, picture = tmp_path / "p.bedgraph", tmp_path / "p.png"
    status, _, error = crmnet(*words, "--tile", 300, "-o", graph, "--plot", picture)
    assert status == 0 and "positions count from 0" in error
    assert not any(text in error for text in ("from 1", "low, high", "unlike_training"))
    lines = graph.read_text().splitlines()
    assert lines[0] == 'track type=bedGraph name="expression_complex"'
    spans = [tuple(map(int, line.split("\t")[1:3])) for line in lines[1:]]
    assert spans[0][0] == 0 and spans[-1][1] == 1000
    assert all(before[1] == after[0] for before, after in itertools.pairwise(spans))
    values = [f"{float(line.split()[3]):.3f}" for line in lines[1:]]
    assert values == [row[3] for row in rows[1:]]
    assert picture.read_bytes().startswith(b"\x89PNG")
    for more, message in (
        (["-o", graph], "give --tile STEP"),
        (["--plot", picture], "give --tile STEP"),
        (["--tile", 5, "--plot", tmp_path / "p.txt"], "pictures are written as"),
        (["--tile", 5, "--window", "last"], "give one"),
        (["--tile", 5, "--part-rows", 5, "-o", table], "cannot be combined with --part-rows"),
    ):
        status, _, error = crmnet(*words, *more)
        assert status == 2 and message in error


def test_parts_know_their_windows_and_all_digits(crmnet, small_run, tmp_path):
    path, table = tmp_path / "in.fa", tmp_path / "out.parquet"
    path.write_text(f">a\n{LONG}\n>b\n{'ACGGT' * 16}\n")
    words = ["predict", small_run, path, "--window", "last", "-o"]
    assert crmnet(*words, table, "--part-rows", 1)[0] == 0
    whole = tmp_path / "whole.parquet"
    assert crmnet(*words, whole)[0] == 0
    assert polars.read_parquet(table).equals(polars.read_parquet(whole))
    rounded, full = tmp_path / "r.tsv", tmp_path / "f.tsv"
    assert crmnet(*words, rounded, "--part-rows", 1)[0] == 0
    assert crmnet(*words, full, "--digits", "full")[0] == 0
    exact = polars.read_parquet(whole).to_series(3).to_list()
    for file, digits in ((rounded, 3), (full, 9)):
        found = [line.split("\t")[3] for line in file.read_text().splitlines()[1:]]
        assert [round(float(v), digits) for v in found] == [round(v, digits) for v in exact]
    assert len(rounded.read_text().split("\t")[-1].strip().split(".")[1]) == 3


def test_media_keep_their_names_and_are_grouped(crmnet, small_run, tmp_path):
    (tmp_path / "in.txt").write_text("ACGGT" * 16 + "\n")
    words = ["predict", small_run, tmp_path / "in.txt"]
    for media in (["defined"], ["defined", "complex"], ["complex", "complex"]):
        options = [word for medium in media for word in ("--medium", medium)]
        status, out, error = crmnet(*words, *options)
        assert status == 0, error
        wanted = [f"expression_{medium}" for medium in dict.fromkeys(media)]
        assert out.splitlines()[0].split("\t") == ["id", *wanted]
    status, _, error = crmnet(*words, "--medium", "complex", "--medium", "ypd")
    assert status == 2 and "no medium 'ypd'; the model has" in error


def test_the_header_line_says_what_the_numbers_are(crmnet, tmp_path):
    promoter = "TTACCCGGGTCAAGTACGTGGCGCCATAGCTTGACGTACCCGGGATTAAGCTTGCATGCCTGCAGGTCGACTCTAGAGGA"
    (tmp_path / "in.txt").write_text(f"{promoter}\n{'A' * 80}\n")
    status, out, error = crmnet("predict", "yeast-fast", tmp_path / "in.txt", "--medium", "complex",
                                "--medium", "defined")  # fmt: skip
    assert status == 0, error
    header, ordinary, flagged = (line.split("\t") for line in out.splitlines())
    kinds = ["expression", "low", "high", "percentile"]
    assert header == [
        "id", *(f"{kind}_{medium}" for medium in ("complex", "defined") for kind in kinds),
        "unlike_training",
    ]  # fmt: skip
    assert all(len(value.split(".")[1]) == 3 for value in ordinary[1:9]) and ordinary[9] == ""
    assert flagged[9] == "composition"
    # In complex medium the card has wider intervals of flagged promoters, in defined it has none.
    widths = [float(line[3]) - float(line[2]) for line in (ordinary, flagged)]
    assert widths[1] > widths[0] and flagged[6] == flagged[7] == ""
    for words in ("mean sorting bin, bins 0–17", "90 % interval",
                  "percentile: among 8,866 native 80-base fragments"):  # fmt: skip
        assert words in error


@pytest.mark.parametrize("flanks", ["auto", "add", "none"])
def test_windows_and_preparation_agree_on_what_fits(flanks):
    rng = np.random.default_rng(4)
    texts = []
    for n in [*range(1, 40), *range(60, 130, 3)]:
        insert = "".join(rng.choice(list("ACGTN"), n))
        five, three = (rng.choice([a, "", a[:1] + "A" + a[2:], a[3:]]) for a in
                       (ADAPTER_5, ADAPTER_3))  # fmt: skip
        texts.append("N" * rng.integers(0, 3) + five + insert + three + "n" * rng.integers(0, 3))
    expected = [bool(too_long(*encode([text]), flanks)[0]) for text in texts]
    assert [not windows(text, "first", flanks)[0].whole for text in texts] == expected
    assert 0 < sum(expected) < len(texts)
    assert too_long(*encode(texts), flanks).tolist() == expected


def test_an_explanation_of_a_long_sequence_is_refused(crmnet, small_run, counter, tmp_path):
    from crmnet.interpretation.attribute import attribute

    path = tmp_path / "in.fa"
    path.write_text(f">ok\n{'ACGGT' * 16}\n>chr\n{LONG}\n")
    words = ["explain", small_run, path, "--medium", "complex", "-o", tmp_path / "out"]
    status, _, error = crmnet(*words)
    assert status == 2 and not (tmp_path / "out").exists()
    assert f"sequence 'chr ({path}, line 3)' has 1,000 bases, 1,030 with its adapters" in error
    assert "pass --window last or --window first to explain one end, or --tile 20" in error
    with pytest.raises(ValueError, match="sequence number 1 has 1,000 bases"):
        attribute(counter, [LONG], medium="complex")


@pytest.mark.parametrize("more", [(), ("--part-rows", 2)])
def test_windows_are_not_called_sequences(small_run, tmp_path, crmnet, monkeypatch, more):
    """Of two sequences, "added adapters to 12 of 12 sequences" was printed."""
    file = tmp_path / "in.fa"
    file.write_text(f">long\n{LONG}\n>short\n{'ACGT' * 20}\n")
    words = ("predict", small_run, file)
    if not more:
        monkeypatch.setattr("crmnet.prediction.table.WINDOWS", 3)  # several blocks of a sequence
        for output in ("t.tsv", "t.bedgraph"):
            status, _, error = crmnet(*words, "--tile", 100, "-o", tmp_path / output)
            assert status == 0 and error.splitlines()[:2] == [
                "12 windows of 2 sequences", "added adapters to 12 of 12 windows",
            ]  # fmt: skip
    status, _, error = crmnet(*words, "--window", "last", *more, "-o", tmp_path / "w.tsv")
    assert status == 0 and "2 windows of 2 sequences\nadded adapters to 2 of 2 windows" in error
    file.write_text(f">long\n{LONG}\n")
    assert "1 window of 1 sequence\n" in crmnet(*words, "--window", "first")[2]
