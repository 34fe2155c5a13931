"""Motif discovery from a table to files, by this package and by fakes of other programs."""

import csv
import json
import sys

import numpy as np
import pytest

from crmnet.interpretation.discovery import (
    DiscoverySources,
    MotifName,
    aligned_inserts,
    name_motifs,
    read_attributions,
)
from crmnet.interpretation.explain import labelled_motifs
from crmnet.motifs.formats import as_meme, read_motifs
from crmnet.motifs.jaspar import yeast_motifs, yeast_motifs_named
from crmnet.motifs.match import call
from crmnet.motifs.programs import AttributedConstructs
from crmnet.motifs.pwm import Motif
from crmnet.sequence import decode, encode, prepare
from support import assert_rounded

pytestmark = pytest.mark.slow


def rows(path):
    with open(path, newline="") as file:
        return list(csv.DictReader(file, delimiter="\t"))


def planted_table(path, n=900):
    rng = np.random.default_rng(0)
    tokens = rng.integers(0, 4, (n, 80), dtype=np.uint8)
    site = encode(["TTACCCGGT"])[0][0]
    tokens[: n // 3, 30:39] = site
    expression = rng.normal(8, 1, n)
    expression[: n // 3] += 3
    lines = [f"{s}\t{e:.3f}" for s, e in zip(decode(tokens), expression, strict=True)]
    path.write_text("sequence\texpression\n" + "\n".join(lines) + "\n")
    return tokens


def test_a_table_gives_named_motifs_and_their_sites(crmnet, tmp_path):
    table, out = tmp_path / "t.tsv", tmp_path / "m"
    planted_table(table)
    # NSI1 binds the same site as REB1, TTACCCG.
    status, printed, err = crmnet("motifs", "discover", table, "-n", 250, "-o", out)
    assert status == 0, err
    first = rows(out / "motifs.tsv")[0]
    assert (first["motif"], first["enriched"], first["confirmed"]) == ("D1", "high", "yes")
    assert first["name"] in ("REB1", "NSI1") and "confirmed" in printed
    assert (out / "motifs.png").stat().st_size > 5_000
    assert read_motifs(out / "motifs.meme")[0].id == "D1"
    assert labelled_motifs(out / "motifs.meme")[0].name == f"D1 {first['name']}"
    status, named, _ = crmnet("motifs", "match", out / "motifs.meme", "--best", 1)
    assert status == 0 and named.splitlines()[1].split("\t")[2] == first["name"]
    (tmp_path / "s.fa").write_text(">one\nGGGGGTTACCCGGTGGGG\n")
    status, sites, _ = crmnet("motifs", "scan", tmp_path / "s.fa", "--motifs",
                               out / "motifs.meme")  # fmt: skip
    assert status == 0 and sites.splitlines()[1].startswith("one\tD1")


def test_motifs_are_rounded_for_reading_in_the_table_only(crmnet, tmp_path):
    table, rounded, full = (tmp_path / name for name in ("t.tsv", "rounded", "full"))
    planted_table(table)
    words = ["motifs", "discover", table, "-n", 250]
    assert crmnet(*words, "-o", rounded)[0] == 0
    assert crmnet(*words, "-o", full, "--digits", "full")[0] == 0
    exact = rows(full / "motifs.tsv")
    numbers = ("p", "e", "q", "share", "share_other", "match_p", "match_q")
    assert_rounded(rows(rounded / "motifs.tsv"), exact, significant=numbers)
    assert len(exact[0]["p"]) > 12
    assert (rounded / "motifs.meme").read_bytes() == (full / "motifs.meme").read_bytes()
    read_back = [labelled_motifs(folder / "motifs.meme") for folder in (rounded, full)]
    assert [m.name for m in read_back[0]] == [m.name for m in read_back[1]]


def test_inserts_of_any_length_are_searched_without_their_adapters(crmnet, tmp_path):
    """High promoters are 60 bases long, so that bases 61 to 80 of theirs are adapter."""
    table, out = tmp_path / "t.tsv", tmp_path / "m"
    planted_table(table)
    header, *lines = table.read_text().splitlines()
    short = [line[:60] + line[80:] for line in lines[:300]]
    table.write_text("\n".join([header, *short, *lines[300:]]) + "\n")
    status, _, err = crmnet("motifs", "discover", table, "-n", 250, "-o", out)
    assert status == 0, err
    motifs = read_motifs(out / "motifs.meme")
    assert any("TTACCCG" in m.consensus + m.reverse_complement.consensus for m in motifs)
    for motif in motifs:
        both = (motif.consensus, motif.reverse_complement.consensus)
        assert not any("GGTTACGG" in text or "ACGGCTG" in text for text in both), both


def test_attributions_are_taken_from_the_insert_of_each_row():
    texts = ["ACGT" * 15, "TGCA" * 20, "C" * 25]
    tokens = prepare(*encode(texts), "auto")[0]
    values = np.arange(3 * 112, dtype=np.float32).reshape(3, 112)
    hypothetical = np.repeat(values[:, None], 4, axis=1)
    found, where = aligned_inserts(AttributedConstructs(tokens, values, hypothetical))
    assert decode(found.tokens) == texts and where == slice(0, 80)
    assert found.values[0].tolist() == [*range(17, 77), *[0] * 20]
    assert found.hypothetical[2, 3].tolist() == [*range(241, 266), *[0] * 55]
    same = AttributedConstructs(tokens[1:2], values[1:2], None)
    found, where = aligned_inserts(same)
    assert found is same and where == slice(17, 97)


def test_the_inserts_of_explain_are_taken_where_it_found_them(crmnet, small_run, tmp_path):
    """Of 60 bases with adapters, 60 without, and 60 with an N at either end."""
    bases = "ACGTTGCAAC" * 6
    texts = [bases, f"{bases[1:]}A", f"N{bases[2:]}N"]
    (tmp_path / "s.txt").write_text("\n".join(texts) + "\n")
    for flanks, first in (("auto", 17), ("none", 0)):
        status, _, err = crmnet("explain", small_run, tmp_path / "s.txt", "--medium", "complex",
                                "--method", "gradient", "--flanks", flanks, "--draw", 0,
                                "-o", tmp_path / flanks)  # fmt: skip
        assert status == 0, err
        read = read_attributions(tmp_path / flanks / "attributions.npz")
        found, where = aligned_inserts(read)
        assert (where.start, where.stop) == (first, first + 60)
        assert decode(found.tokens[:, where], [60] * 3) == texts
    two = [bases[:50], bases]
    (tmp_path / "t.txt").write_text("\n".join(two) + "\n")
    status, _, err = crmnet("explain", small_run, tmp_path / "t.txt", "--medium", "complex",
                            "--method", "gradient", "--draw", 0, "-o", tmp_path / "t")  # fmt: skip
    assert status == 0, err
    read = read_attributions(tmp_path / "t" / "attributions.npz")
    found, where = aligned_inserts(read)
    assert decode(found.tokens[:, where]) == two
    np.testing.assert_array_equal(found.values[0, :50], read.values[0, 17:67])
    assert not found.values[0, 50:].any() and found.hypothetical.shape == (2, 4, 60)


def test_a_table_in_latin_1_beside_a_motif_file_is_no_table_of_discovery(tmp_path):
    motif = Motif("REB1", "M1", np.eye(4)[encode(["TTACCCGGT"])[0][0]].T * 20)
    (tmp_path / "my.meme").write_text(as_meme([motif]))
    (tmp_path / "my.tsv").write_bytes("gene\népicéa\n".encode("latin-1"))
    assert [m.name for m in labelled_motifs(tmp_path / "my.meme")] == ["REB1"]


def test_discover_needs_expression(crmnet, tmp_path):
    (tmp_path / "s.txt").write_text("ACGTACGT\n")
    status, _, err = crmnet("motifs", "discover", tmp_path / "s.txt", "-o", tmp_path / "m")
    assert status == 2 and "no expression column" in err


def test_significant_motifs_are_printed_and_other_candidates_are_counted(crmnet, tmp_path, caplog):
    table = tmp_path / "t.tsv"
    planted_table(table)
    with caplog.at_level("INFO", "crmnet"):
        status, printed, _ = crmnet("motifs", "discover", table, "-n", 250, "-o", tmp_path / "m")
    assert status == 0
    motifs = rows(tmp_path / "m" / "motifs.tsv")
    lines = printed.splitlines()
    assert lines[0].split() == ["id", "in", "consensus", "q", "share", "/", "other", "name"]
    assert len(lines) == len(motifs) + 2 and lines[-1].startswith("written")
    of_file = read_motifs(tmp_path / "m" / "motifs.meme")
    assert [m.name for m in of_file] == [m["name"].replace(" ", "_") for m in motifs]
    assert [line.split()[0] for line in lines[1:-1]] == [m["motif"] for m in motifs]
    messages = [record.getMessage() for record in caplog.records]
    assert [line.split(" motifs")[0] for line in messages] == [
        f"search {letter}: {sum(m['motif'][0] == letter for m in motifs)}" for letter in "DR"
    ]


def test_the_name_of_a_weak_match_is_uncertain():
    target = yeast_motifs()[0]
    name = call(target, target, 1e-5)
    assert MotifName(name, target, 1e-5, 0.01).text == f"{target.name} (p 1e-05)"
    name = call(target, target, 5e-3)
    assert MotifName(name, target, 5e-3, 0.9).text == f"{target.name}? (p 5e-03)"


def test_a_tract_of_a_is_named_as_such_in_table_and_text(tmp_path):
    tract = Motif("AAAAAAT", "D1", np.eye(4)[encode(["AAAAAAT"])[0][0]].T * 50)
    (name,) = name_motifs([tract], yeast_motifs(), None)
    assert name.name == "poly-A/T"
    assert name.text.startswith(f"poly-A/T, like {name.target.name} (p ")
    (tmp_path / "motifs.meme").write_text(as_meme([tract]))
    (tmp_path / "motifs.tsv").write_text(
        "motif\tname\tmatch_p\tconfirmed\nD1\tpoly-A/T\t0.002\tyes\n"
    )
    (labelled,) = labelled_motifs(tmp_path / "motifs.meme")
    assert labelled.name == "D1 poly-A/T"


FAKE_PROGRAM = """#!{python} -SE
import json, pathlib, sys
words = sys.argv[1:]
with open({log!r}, "a") as log:
    log.write(json.dumps([pathlib.Path(sys.argv[0]).name, *words]) + chr(10))
{body}
"""
WRITE_MEME = """
out = pathlib.Path(words[words.index({flag!r}) + 1])
out.mkdir(parents=True, exist_ok=True)
first = pathlib.Path(words[{primary}]).read_text()
text = {motifs!r} if first.count("TTACCCGGT") > 20 else {none!r}
(out / {name!r}).write_text(text)
"""


@pytest.fixture
def fake_program(tmp_path, monkeypatch):
    """Installs fake programs on the PATH that record their arguments; ``calls()`` returns them."""
    folder, log = tmp_path / "bin", tmp_path / "calls.txt"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))

    def install(name, body):
        path = folder / name
        path.write_text(FAKE_PROGRAM.format(python=sys.executable, log=str(log), body=body))
        path.chmod(0o755)

    install.calls = lambda: [json.loads(line) for line in log.read_text().splitlines()]
    return install


def planted():
    return Motif("STREME-1", "1-TTACCCGG", np.eye(4)[encode(["TTACCCGGT"])[0][0]].T * 50)


def writing(flag, primary, name, banner=""):
    return WRITE_MEME.format(
        flag=flag, primary=primary, name=name, motifs=banner + as_meme([planted()]),
        none=as_meme([]),
    )  # fmt: skip


def test_streme_searches_and_tomtom_names(crmnet, tmp_path, fake_program):
    table, out = tmp_path / "t.tsv", tmp_path / "m"
    planted_table(table)
    (abf1,) = yeast_motifs_named(["ABF1"])
    fake_program("streme", writing("--oc", 1, "streme.txt"))
    fake_program(
        "tomtom",
        f"""
out = pathlib.Path(words[words.index("-oc") + 1])
out.mkdir(parents=True)
(out / "tomtom.tsv").write_text(
    "Query_ID\\tTarget_ID\\tp-value\\tq-value\\n"
    "S1\\tMA0000.1\\t0.5\\t1\\nS1\\t{abf1.id}\\t1e-6\\t2e-4\\n\\n# Tomtom\\n")
""",
    )
    status, printed, err = crmnet("motifs", "discover", table, "-n", 250, "-o", out,
                               "--engine", "streme", "--seed", 3)  # fmt: skip
    assert status == 0, err
    first = rows(out / "motifs.tsv")[0]
    assert (first["motif"], first["consensus"], first["enriched"]) == ("S1", "TTACCCGGT", "high")
    assert (first["name"], first["match_p"], first["confirmed"]) == ("ABF1", "1e-06", "yes")
    assert float(first["p"]) < 1e-10 and float(first["share"]) > 0.5 > float(first["share_other"])
    assert "S1" in printed and (out / "motifs.png").stat().st_size > 5_000
    high, low, tomtom = fake_program.calls()
    folder = out / "streme" / "high"
    assert high == ["streme", "--p", str(folder / "primary.fa"), "--n", str(folder / "control.fa"),
                    "--dna", "--oc", str(folder / "streme"), "--seed", "3"]  # fmt: skip
    top, bottom = (
        (folder / name).read_text().splitlines() for name in ("primary.fa", "control.fa")
    )
    assert len(top) == len(bottom) == 2 * 150  # 60 % of 250, a name and a sequence each
    swapped = out / "streme" / "low"
    assert (swapped / "primary.fa").read_text().splitlines() == bottom
    assert low[2] == str(swapped / "primary.fa")
    assert tomtom[0] == "tomtom" and tomtom[-1].endswith("targets.meme")
    assert {"-dist", "ed", "-no-ssc"} <= set(tomtom)
    # The motif of the ranked search, for which TOMTOM has no result, is named too.
    assert any(r["motif"].startswith("R") and r["name"] for r in rows(out / "motifs.tsv"))


def test_meme_is_called_as_in_the_paper_and_its_report_is_read(crmnet, tmp_path, fake_program):
    table, out = tmp_path / "t.tsv", tmp_path / "m"
    planted_table(table)
    banner = "*" * 80 + "\nMEME - Motif discovery tool\n" + "*" * 80 + "\n"
    fake_program("meme", writing("-oc", 0, "meme.txt", banner))
    fake_program("streme", "raise SystemExit('not requested')")
    status, _, err = crmnet("motifs", "discover", table, "-n", 250, "-o", out, "--engine", "meme")
    assert status == 0, err
    first = rows(out / "motifs.tsv")[0]
    assert (first["motif"], first["consensus"]) == ("M1", "TTACCCGGT")
    assert first["name"] in ("REB1", "NSI1")  # without TOMTOM this package names the motif
    folder = out / "meme" / "high"
    assert fake_program.calls()[0] == [
        "meme", str(folder / "primary.fa"), "-neg", str(folder / "control.fa"), "-objfun", "de",
        "-dna", "-revcomp", "-nmotifs", "20", "-oc", str(folder / "meme"), "-seed", "0",
    ]  # fmt: skip


def test_streme_replaces_a_missing_meme(crmnet, tmp_path, fake_program):
    planted_table(tmp_path / "t.tsv")
    fake_program("streme", writing("--oc", 1, "streme.txt"))
    status, printed, err = crmnet("motifs", "discover", tmp_path / "t.tsv", "-n", 250,
                               "-o", tmp_path / "m", "--engine", "meme")  # fmt: skip
    assert status == 0, err
    assert printed.splitlines()[1].startswith("S1")


@pytest.mark.parametrize(
    ("engine", "remedy"),
    [("streme", "meme-suite.org"), ("meme", "meme-suite.org"), ("modisco", "crmnet[modisco]")],
)
def test_the_error_of_a_missing_program_gives_a_remedy(
    crmnet, tmp_path, fake_program, engine, remedy
):
    planted_table(tmp_path / "t.tsv")
    status, _, err = crmnet("motifs", "discover", tmp_path / "t.tsv", "-o", tmp_path / "m",
                            "--engine", engine, "--attributions", tmp_path / "a.npz")  # fmt: skip
    assert status == 2 and f"{engine} is not on the PATH" in err and remedy in err
    assert not (tmp_path / "m").exists()


def test_the_error_of_a_failed_program_quotes_its_messages(crmnet, tmp_path, fake_program):
    planted_table(tmp_path / "t.tsv")
    fake_program("streme", "raise SystemExit('FATAL: no memory')")
    status, _, err = crmnet("motifs", "discover", tmp_path / "t.tsv", "-n", 250,
                            "-o", tmp_path / "m", "--engine", "streme")  # fmt: skip
    assert status == 2 and "status 1" in err and "FATAL: no memory" in err and "messages.txt" in err


def attributions(path, n=400, hypothetical=True):
    """Constructs: half have a site that raises expression, half a site that lowers it."""
    rng = np.random.default_rng(1)
    inserts = rng.integers(0, 4, (n, 80), dtype=np.uint8)
    up, down = encode(["TTACCCGGT"])[0][0], encode(["GTTGCCATGG"])[0][0]
    inserts[: n // 2, 30:39], inserts[n // 2 :, 50:60] = up, down
    tokens = prepare(inserts, np.full(n, 80), "auto", 112)[0]
    every = rng.normal(0, 0.05, (n, 4, 112)).astype(np.float32)
    present = np.arange(4)[:, None] == tokens[:, None]
    every[: n // 2, :, 47:56] += present[: n // 2, :, 47:56]
    every[n // 2 :, :, 67:77] -= present[n // 2 :, :, 67:77]
    arrays = {"values": every * present, "tokens": tokens}
    np.savez(path, **arrays, **({"hypothetical": every} if hypothetical else {}))
    return tokens, every


MODISCO = """
if words[0] == "motifs":
    pathlib.Path(words[words.index("-o") + 1]).write_text("patterns")
else:
    assert pathlib.Path(words[words.index("-i") + 1]).read_text() == "patterns"
    pathlib.Path(words[words.index("-o") + 1]).write_text({motifs!r})
"""


def test_modisco_searches_attributions(crmnet, tmp_path, fake_program):
    table, out, file = tmp_path / "t.tsv", tmp_path / "m", tmp_path / "attributions.npz"
    planted_table(table)
    tokens, every = attributions(file)
    patterns = [
        Motif(name, name, np.eye(4)[encode([text])[0][0]].T)  # one site, as in TF-MoDISco
        for name, text in (("pos_patterns.pattern_0", "TTACCCGGT"),
                           ("neg_patterns.pattern_0", "GTTGCCATGG"))
    ]  # fmt: skip
    fake_program("modisco", MODISCO.format(motifs=as_meme(patterns)))
    status, _, err = crmnet("motifs", "discover", table, "-n", 250, "-o", out,
                            "--engine", "modisco", "--attributions", file)  # fmt: skip
    assert status == 0, err
    found = {r["consensus"]: r for r in rows(out / "motifs.tsv") if r["motif"].startswith("T")}
    assert {(r["consensus"], r["enriched"]) for r in found.values()} == {
        ("TTACCCGGT", "high"), ("GTTGCCATGG", "low")}  # fmt: skip
    assert all(float(r["p"]) < 1e-10 for r in found.values())
    assert any(r["motif"] == "D1" for r in rows(out / "motifs.tsv"))
    first, second = fake_program.calls()
    folder = out / "modisco"
    assert first == [
        "modisco", "motifs", "-s", str(folder / "sequences.npz"),
        "-a", str(folder / "hypothetical.npz"), "-n", "5000", "-o", str(folder / "results.h5"),
        "-w", "110",
    ]  # fmt: skip
    assert second[:2] == ["modisco", "meme"] and second[-3:] == ["-t", "PFM", "-q"]
    with np.load(folder / "sequences.npz") as given, np.load(folder / "hypothetical.npz") as values:
        assert given["arr_0"].shape == values["arr_0"].shape == (240, 4, 112)
        assert (given["arr_0"].sum(axis=1)[:, :110] == 1).all()  # 17 + 80 + 13, then N
        assert not values["arr_0"][:, :, :17].any() and not values["arr_0"][:, :, 97:].any()
        letters = given["arr_0"][0].argmax(axis=0)[:110]
        row = next(i for i, known in enumerate(tokens[:, :110]) if (known == letters).all())
        np.testing.assert_array_equal(values["arr_0"][0][:, 17:97], every[row][:, 17:97])


def test_modisco_needs_hypothetical_attributions(crmnet, tmp_path, fake_program):
    fake_program("modisco", "")
    planted_table(tmp_path / "t.tsv")
    attributions(tmp_path / "a.npz", hypothetical=False)
    result = crmnet("motifs", "discover", tmp_path / "t.tsv", "-n", 250, "-o", tmp_path / "m",
                  "--engine", "modisco", "--attributions", tmp_path / "a.npz")  # fmt: skip
    assert result[0] == 2 and "crmnet explain again" in result[2]


def test_sources_are_checked():
    with pytest.raises(ValueError, match="engine must be one of own, streme"):
        DiscoverySources(engine="homer")
    with pytest.raises(ValueError, match="--attributions"):
        DiscoverySources(engine="modisco")


def test_attributions_are_read_back(tmp_path):
    tokens, every = attributions(tmp_path / "a.npz", n=6)
    found = read_attributions(tmp_path / "a.npz")
    np.testing.assert_array_equal(found.tokens, tokens)
    assert found.values.shape == (6, 112)
    assert found.values[2, 20] == pytest.approx(every[2, tokens[2, 20], 20])
    np.testing.assert_array_equal(found.hypothetical, every)
    np.savez(tmp_path / "b.npz", other=tokens)
    with pytest.raises(ValueError, match="contains no attributions"):
        read_attributions(tmp_path / "b.npz")
    (tmp_path / "d.npz").write_bytes((tmp_path / "a.npz").read_bytes()[:-100])
    (tmp_path / "e.npz").write_text("id\tposition\tbase\tvalue\n")
    for name in ("d.npz", "e.npz"):
        with pytest.raises(ValueError, match=rf"{name} contains no attributions or is damaged"):
            read_attributions(tmp_path / name)
    with pytest.raises(FileNotFoundError, match="no such file"):
        read_attributions(tmp_path / "c.npz")


def test_hypothetical_attributions_agree_with_those_of_observed_bases(crmnet, small_run, tmp_path):
    (tmp_path / "s.txt").write_text("TTACCCGGGTCAAGTACGTA" * 4 + "\n")
    for method in ("gradient", "masked"):
        status, _, err = crmnet("explain", small_run, tmp_path / "s.txt", "--medium", "complex",
                                "--method", method, "-o", tmp_path / method)  # fmt: skip
        assert status == 0, err
    found = read_attributions(tmp_path / "gradient" / "attributions.npz")
    places = np.arange(17, 97)
    assert found.hypothetical.shape == (1, 4, 112)
    np.testing.assert_allclose(
        found.hypothetical[0, found.tokens[0, places], places], found.values[0, places], rtol=1e-6
    )
    assert np.count_nonzero(found.hypothetical[0, :, 40]) == 4
    assert read_attributions(tmp_path / "masked" / "attributions.npz").hypothetical is None


def test_an_empty_list_of_motifs_has_no_names():
    assert name_motifs([], list(yeast_motifs()), None) == []
