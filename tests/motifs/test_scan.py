"""Sites and their p-values: by hand, by counting all k-mers, and compared with Biopython."""

import csv
import gzip
import io
import itertools
import re
import subprocess
import sys

import numpy as np
import polars
import pytest
from Bio import motifs as bio
from Bio.Seq import Seq

from crmnet.motifs.formats import as_meme
from crmnet.motifs.jaspar import yeast_motifs, yeast_motifs_named
from crmnet.motifs.pwm import Motif
from crmnet.motifs.scan import (
    STEPS_PER_BIT,
    ScanOptions,
    find_sites,
    grid_scores,
    p_values,
    q_values,
    scan_file,
)
from crmnet.sequence import ADAPTER_3, ADAPTER_5, encode
from support import assert_rounded

pytestmark = pytest.mark.slow

AT = Motif("AT", "X", np.array([[8.0, 0.0], [0, 0], [0, 0], [0, 8.0]]))


def test_p_values_by_hand():
    # Two columns that score 1 for one base and 0 for the others: 2 in 1/16, 1 in 6/16, 0 in 9/16.
    low, table = p_values(np.array([[1, 0], [0, 0], [0, 1], [0, 0]]))
    assert low == 0
    np.testing.assert_allclose(table, [1, 7 / 16, 1 / 16])


@pytest.mark.parametrize("background", [(0.25,) * 4, (0.4, 0.1, 0.2, 0.3)])
def test_p_values_equal_a_count_of_all_kmers(background):
    rng = np.random.default_rng(3)
    scores = rng.integers(-30, 30, (4, 5))
    low, table = p_values(scores, background)
    kmers = np.array(list(itertools.product(range(4), repeat=5)))
    total = scores[kmers, np.arange(5)].sum(axis=1)
    chance = np.array(background)[kmers].prod(axis=1)
    for score in range(low, total.max() + 1):
        assert table[score - low] == pytest.approx(chance[total >= score].sum(), abs=1e-12)


def test_hits_by_hand():
    tokens, _ = encode(["GGATGG", "GGNTGG", "ATGGGG"])
    hits = find_sites(tokens, [AT], ScanOptions(p_value=1 / 16))
    # AT is palindromic: each hit is found on both strands. The second sequence has an N there.
    assert hits.row.tolist() == [0, 0, 2, 2]
    assert hits.start.tolist() == [2, 2, 0, 0]
    assert hits.end.tolist() == [4, 4, 2, 2]
    assert hits.strand.tolist() == ["+", "-"] * 2
    # (8 + 1/4) / 9 over 1/4, twice.
    np.testing.assert_allclose(hits.score, 2 * np.log2(33 / 9), atol=1 / STEPS_PER_BIT)
    np.testing.assert_allclose(hits.p, 1 / 16)
    # Five starts in two sequences, three in the one with N, on two strands: 26 tests.
    np.testing.assert_allclose(hits.q, 26 / 16 / 4)
    one = find_sites(tokens, [AT], ScanOptions(p_value=1 / 16, both_strands=False))
    assert one.strand.tolist() == ["+", "+"]


def test_a_threshold_that_no_kmer_reaches_gives_no_hits():
    tokens, _ = encode(["ATATAT"])
    assert len(find_sites(tokens, [AT], ScanOptions(p_value=0.01)).row) == 0


def test_scores_and_positions_agree_with_biopython():
    (motif,) = yeast_motifs_named(["REB1"])
    text = "".join("ACGT"[i] for i in np.random.default_rng(0).integers(0, 4, 3000))
    text = text[:500] + motif.consensus + text[500:]
    hits = find_sites(encode([text])[0], [motif], ScanOptions(p_value=1e-3))
    # Biopython computes log-odds from counts: it gets our probabilities with pseudocounts.
    shares = motif.probabilities()
    theirs = bio.Motif("ACGT", counts=dict(zip("ACGT", shares.tolist(), strict=True)))
    pssm = theirs.pssm
    cut = hits.score.min() - 0.2
    found = dict(pssm.search(Seq(text), threshold=cut))
    for place, strand, score in zip(hits.start, hits.strand, hits.score, strict=True):
        place = int(place) if strand == "+" else int(place) - len(text)
        assert found[place] == pytest.approx(score, abs=motif.width / STEPS_PER_BIT)
    assert 500 in hits.start
    ours = {int(p) if s == "+" else int(p) - len(text)
            for p, s in zip(hits.start, hits.strand, strict=True)}  # fmt: skip
    for place in found.keys() - ours:
        assert found[place] < hits.score.min() + motif.width / STEPS_PER_BIT


def test_the_fraction_of_hits_in_random_sequences_is_the_p_value():
    motifs = yeast_motifs_named(["REB1", "MCM1", "GCN4"])
    tokens = np.random.default_rng(1).integers(0, 4, (4000, 60), dtype=np.uint8)
    hits = find_sites(tokens, motifs, ScanOptions(p_value=1e-3))
    for number, motif in enumerate(motifs):
        _, table = p_values(grid_scores(motif, ScanOptions()))
        expected = table[table <= 1e-3].max() * len(tokens) * (61 - motif.width) * 2
        assert abs(len(hits.of_motif(number).row) - expected) < 5 * expected**0.5


def test_q_values_by_hand():
    np.testing.assert_allclose(q_values(np.array([0.02, 0.01, 0.5]), 4), [0.04, 0.04, 2 / 3])


def test_invalid_options_are_rejected():
    with pytest.raises(ValueError, match="p_value"):
        ScanOptions(p_value=0)
    with pytest.raises(ValueError, match="add up to 1"):
        ScanOptions(background=(0.5, 0.5, 0.5, 0.5))


@pytest.mark.parametrize("name", ["REB1", "ABF1", "GCN4"])
def test_p_values_agree_with_biopython(name):
    (motif,) = yeast_motifs_named([name])
    shares = dict(zip("ACGT", motif.probabilities().tolist(), strict=True))
    distribution = bio.Motif("ACGT", counts=shares).pssm.distribution(precision=1_000)
    low, table = p_values(grid_scores(motif, ScanOptions()))
    for p in (1e-2, 1e-3, 1e-4):
        ours = (low + int(np.argmax(table <= p))) / STEPS_PER_BIT
        assert distribution.threshold_fpr(p) == pytest.approx(ours, abs=motif.width / STEPS_PER_BIT)


SITE = "CCGGGTAAC"
REBBY = Motif("rebby", "M1", np.eye(4)[encode([SITE])[0][0]].T * 16 + 1)


def naive_sites(texts, motif, p_value):
    """Sites with p- and q-values by definition: all k-mers counted, all tests ranked."""
    scores, width = grid_scores(motif, ScanOptions()), motif.width
    kmers = np.array(list(itertools.product(range(4), repeat=width)))
    chance = scores[kmers, np.arange(width)].sum(axis=1)
    tests = []
    for row, text in enumerate(texts):
        for start in range(len(text) - width + 1):
            window = ["ACGTN".index(letter) for letter in text[start : start + width].upper()]
            if 4 not in window:
                for strand in "+-":
                    read = window if strand == "+" else [3 - base for base in reversed(window)]
                    score = scores[read, np.arange(width)].sum()
                    tests.append(((chance >= score).mean(), row, start, strand))
    ranked = sorted(tests)
    found, q = {}, 1.0
    for rank, (p, row, start, strand) in reversed(list(enumerate(ranked, 1))):
        q = min(q, p * len(ranked) / rank)
        if p <= p_value:
            found[row, start, strand] = (p, q)
    return found


@pytest.mark.parametrize("chunk", [1, 7, 40, 1 << 12])
def test_sites_of_a_file_equal_brute_force_for_any_chunk_size(tmp_path, monkeypatch, chunk):
    monkeypatch.setattr("crmnet.motifs.scan.CHUNK_SIZE", chunk)
    rng = np.random.default_rng(2)
    texts = ["".join(rng.choice(list("ACGTacgtN"), n)) for n in (60, 3, 1, 35, 17, 4)]
    (tmp_path / "s.fa").write_text("".join(f">s{n}\n{t}\n" for n, t in enumerate(texts)))
    motifs = [Motif("X", "X", rng.integers(0, 20, (4, width)) + 1) for width in (5, 3)]
    found = scan_file(tmp_path / "s.fa", motifs, ScanOptions(p_value=0.2))
    for number, motif in enumerate(motifs):
        naive = naive_sites(texts, motif, 0.2)
        hits = found.hits.of_motif(number)
        keys = list(zip(hits.row.tolist(), hits.start.tolist(), hits.strand.tolist(), strict=True))
        assert keys == sorted(naive, key=lambda key: (key[0], key[1], key[2] == "-"))
        np.testing.assert_allclose(hits.p, [naive[key][0] for key in keys])
        # Only tests below the threshold are ranked: q is exact where a larger p does not lower it.
        exact = [min(naive[key][1], 1) for key in keys]
        np.testing.assert_array_less(exact - hits.q, 1e-12)
        np.testing.assert_allclose(hits.q[hits.p < 0.1], np.array(exact)[hits.p < 0.1])
        np.testing.assert_array_equal(hits.end, hits.start + motif.width)


def table(text):
    return list(csv.DictReader(io.StringIO(text), delimiter="\t"))


@pytest.fixture
def rebby(tmp_path):
    (tmp_path / "rebby.meme").write_text(as_meme([REBBY]))
    return tmp_path / "rebby.meme"


@pytest.mark.parametrize("q", ["nan", "-1", "0", "5"])
def test_a_q_value_is_above_0_and_at_most_1(crmnet, tmp_path, q):
    (tmp_path / "s.fa").write_text(f">a\n{'ACGT' * 20}\n")
    status, printed, err = crmnet("motifs", "scan", tmp_path / "s.fa", "--q-value", q)
    assert (status, printed) == (2, "")
    assert f"--q-value must be above 0 and at most 1; got {q}" in err


def test_all_sites_of_a_chromosome_are_found(crmnet, tmp_path, rebby):
    """150,000 bases of A and T with five sites; starts count from 1."""
    bases = np.random.default_rng(0).choice([b"A", b"T"], 150_000)
    starts = [500, 99_000, 99_995, 120_000, 149_991]
    for start in starts:
        bases[start : start + 9] = [letter.encode() for letter in SITE]
    (tmp_path / "chr.fa.gz").write_bytes(gzip.compress(b">chr\n" + b"".join(bases) + b"\n"))
    status, printed, err = crmnet("motifs", "scan", tmp_path / "chr.fa.gz", "--motifs", rebby,
                                  "--digits", "full")  # fmt: skip
    assert status == 0 and "count from 1" in err
    sites = [row for row in table(printed) if float(row["p"]) < 4e-6]
    assert [int(row["start"]) for row in sites] == [start + 1 for start in starts]
    assert [int(row["end"]) for row in sites] == [start + 9 for start in starts]
    assert {row["strand"] for row in sites} == {"+"}
    # 149,992 starts on two strands.
    assert float(sites[0]["q"]) == pytest.approx(4.0**-9 * 299_984 / 5)


def test_ten_thousand_promoters_take_less_than_200_mb_besides_torch(tmp_path, rebby):
    bases = np.random.default_rng(0).choice(list("ACGT"), (10_000, 80))
    (tmp_path / "s.fa").write_text("".join(f">{n}\n{''.join(b)}\n" for n, b in enumerate(bases)))
    code = (
        "import sys, torch; from crmnet import cli; from crmnet.process import peak_resident\n"
        "before = peak_resident()\n"
        "try: cli.main()\n"
        "finally: print(peak_resident() - before, file=sys.stderr)"
    )
    run = [sys.executable, "-c", code, "motifs", "scan", tmp_path / "s.fa", "--motifs", rebby]
    done = subprocess.run([*run, "-o", tmp_path / "o.tsv"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert int(done.stderr.split()[-1]) < 0.2e9
    assert (tmp_path / "o.tsv").stat().st_size > 100


@pytest.mark.parametrize("text", ["NNNNNNNN", "A", "N" * 30, "ACGTACGT"])
def test_sequences_without_room_for_a_site_give_an_empty_table(crmnet, tmp_path, rebby, text):
    (tmp_path / "s.fa").write_text(f">one\n{text}\n")
    status, printed, err = crmnet("motifs", "scan", tmp_path / "s.fa", "--motifs", rebby)
    assert (status, len(printed.splitlines())) == (0, 1), err


INSERT = "A" * 30 + SITE + "A" * 41


@pytest.mark.parametrize(
    ("text", "flanks", "start"),
    [
        (INSERT, "none", 31),
        (INSERT, "auto", 31),
        (INSERT, "add", 31),
        ("N" * 20 + INSERT + "N" * 5, "auto", 51),
        (ADAPTER_5 + INSERT + ADAPTER_3, "auto", 48),
        ("NN" + ADAPTER_5 + INSERT + ADAPTER_3, "auto", 50),
        (ADAPTER_5 + INSERT + ADAPTER_3, "add", 48),
    ],
)
def test_positions_are_those_of_the_given_sequence(crmnet, tmp_path, rebby, text, flanks, start):
    (tmp_path / "s.fa").write_text(f">one\n{text}\n")
    status, printed, err = crmnet("motifs", "scan", tmp_path / "s.fa", "--motifs", rebby,
                                  "--flanks", flanks)  # fmt: skip
    assert status == 0
    (site,) = [row for row in table(printed) if float(row["p"]) < 4e-6]
    assert (int(site["start"]), int(site["end"])) == (start, start + 8)
    assert text[start - 1 : start + 8] == SITE
    added = flanks == "add" or (flanks == "auto" and ADAPTER_5 not in text)
    assert ("added adapters to 1 of 1 sequences" in err) == added
    assert site.get("reaches_adapter") == (None if flanks == "none" else "")


def test_sites_that_reach_into_an_added_adapter_are_marked(tmp_path):
    """GGTTA of the 3' adapter completes a site; a site in an adapter alone is not reported."""
    across = "GTAAACC" + ADAPTER_3[:5]
    motif = Motif("X", "X", np.eye(4)[encode([across])[0][0]].T * 16 + 1)
    alone = Motif("Y", "Y", np.eye(4)[encode([ADAPTER_3[:9]])[0][0]].T * 16 + 1)
    text = "A" * 20 + "GTAAACC"
    (tmp_path / "s.fa").write_text(f">one\n{text}\n")
    found = scan_file(tmp_path / "s.fa", [motif, alone], ScanOptions(p_value=1e-5), "auto")
    assert (found.hits.motif.tolist(), found.hits.start.tolist()) == ([0], [20])
    assert found.hits.end.tolist() == [27] and found.reaches_adapter.tolist() == ["3'"]
    # Windows of 12 bases with at least one of the 27 given bases: 38, on two strands.
    assert found.hits.q[0] == pytest.approx(found.hits.p[0] * 76)
    left = Motif("Z", "Z", np.eye(4)[encode([ADAPTER_5[-7:] + "AAA"])[0][0]].T * 16 + 1)
    found = scan_file(tmp_path / "s.fa", [left], ScanOptions(p_value=1e-5), "add")
    assert found.hits.start.tolist() == [0] and found.hits.end.tolist() == [3]
    assert found.reaches_adapter.tolist() == ["5'"]


def test_a_motif_that_no_sequence_can_reach_is_named(crmnet, tmp_path):
    (tmp_path / "at.meme").write_text(as_meme([AT, REBBY]))
    (tmp_path / "s.fa").write_text(">one\nATATATAT\n")
    status, printed, err = crmnet("motifs", "scan", tmp_path / "s.fa", "--motifs",
                                  tmp_path / "at.meme")  # fmt: skip
    assert (status, len(printed.splitlines())) == (0, 1)
    assert re.search("^X: too short or too weak for a site of p 0.0001", err, re.MULTILINE)


def test_jaspar_is_the_default_of_scan_and_stdin_is_a_file(crmnet, tmp_path, rebby, monkeypatch):
    (tmp_path / "s.fa").write_text(f">one\n{INSERT}\n")
    status, printed, _ = crmnet("motifs", "scan", tmp_path / "s.fa")
    assert status == 0 and "REB1" in {row["name"] for row in table(printed)}
    status, _, err = crmnet("motifs", "scan", "-", "--motifs", "-")
    assert status == 2 and "stdin can be read only once" in err
    run = [sys.executable, "-m", "crmnet", "motifs", "scan", tmp_path / "s.fa", "--motifs", "-"]
    with rebby.open() as stdin:
        done = subprocess.run(run, stdin=stdin, capture_output=True, text=True, check=True)
    assert [row["motif"] for row in table(done.stdout)] == ["M1"]


def test_a_letter_that_is_no_base_is_named_with_file_and_line(tmp_path):
    (tmp_path / "s.fa").write_text(">one\nACGT\n>two\nACGR\n")
    for flanks in ("none", "auto"):
        with pytest.raises(
            ValueError, match=r"two \(.*s\.fa, line 3\).*letter 'R' at position 4 of 4"
        ):
            scan_file(tmp_path / "s.fa", [REBBY], flanks=flanks)


def test_a_motif_file_in_place_of_sequences_is_an_error_that_shows_the_command(crmnet, rebby):
    status, _, err = crmnet("motifs", "scan", rebby)
    assert status == 2 and f"scan SEQUENCES --motifs {rebby}" in err


def test_sites_are_rounded_for_reading_but_not_with_full_digits_or_in_parquet(crmnet, tmp_path):
    (tmp_path / "s.fa").write_text(f">one\n{INSERT}\n")
    words = ["motifs", "scan", tmp_path / "s.fa", "--p-value", 0.01]
    shown = table(crmnet(*words)[1])
    full = table(crmnet(*words, "--digits", "full")[1])
    assert_rounded(shown, full, decimals=("score",), significant=("p", "q"))
    hits = scan_file(tmp_path / "s.fa", yeast_motifs(), ScanOptions(p_value=0.01)).hits
    assert [float(row["p"]) for row in full] == hits.p.tolist()
    assert crmnet(*words, "-o", tmp_path / "s.parquet")[0] == 0
    assert polars.read_parquet(tmp_path / "s.parquet")["p"].to_list() == hits.p.tolist()
