"""``crmnet mutate`` as a user types it: tables, figures, matrices, messages, errors."""

import csv
import gzip

import numpy as np
import pytest

from crmnet.design.mutate import mutate, saturate
from crmnet.prediction.predictor import Predictor
from crmnet.sequence import ADAPTER_3, ADAPTER_5, decode
from support import assert_rounded

pytestmark = pytest.mark.slow

TEXT = "TTACCCGGGTCAAGTACGTGGCGCCATAGCTTGACGTACCCGGGATTAAGCTTGCATGCCTGCAGGTCGACTCTAGAGGA"
NUMBERS = ("expression_reference", "expression_variant", "delta")


@pytest.fixture
def place(tmp_path, monkeypatch, small_run):
    """A folder of inputs, in which commands run; the model is run."""
    (tmp_path / "p.fa").write_text(f">p1\n{TEXT}\n>p2\n{ADAPTER_5 + TEXT + ADAPTER_3}\n")
    (tmp_path / "v.tsv").write_text(
        f"name\tsequence\tvariant\nx\t{TEXT}\t1T>A\ny\t{TEXT}\t35insACG+40del\n"
    )
    bases = (TEXT + TEXT[::-1]) * 3
    (tmp_path / "g.fa").write_text(f">chrI\n{bases}\n")
    (tmp_path / "p.bed").write_text("chrI\t0\t80\tP1\t0\t+\nchrI\t60\t140\tP2\t0\t-\n")
    one, other = bases[69], bases[399]
    alts = ["ACGT".replace(base, "")[0] for base in (one, other)]
    (tmp_path / "v.vcf").write_text(
        f"#CHROM\tPOS\tID\tREF\tALT\n1\t70\trs1\t{one}\t{alts[0]},<DEL>\n"
        f"1\t400\t.\t{other}\t{alts[1]}\n"
    )
    (tmp_path / "run").symlink_to(small_run)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def rows(text):
    return list(csv.DictReader(text.splitlines(), delimiter="\t"))


def test_changes_of_every_sequence(place, crmnet, small_run):
    status, out, err = crmnet("mutate", "run", "p.fa", "--change", "20G>C", "--change", "20del",
                              "--medium", "defined", "--digits", "full")  # fmt: skip
    assert status == 2  # base 20 of the construct is another one
    assert "20G>C of sequence 'p2 (p.fa, line 3)': base 20 is A, not G" in err
    assert len(err.splitlines()) == 1
    status, out, err = crmnet("mutate", "run", "p.fa", "--change", "20del", "--change", "1T>A",
                              "--medium", "defined", "--digits", "full")  # fmt: skip
    assert status == 0, err
    table = rows(out)
    assert [(r["id"], r["variant"], r["context"]) for r in table] == [
        ("p1", "20del", "insert"), ("p1", "1T>A", "insert"),
        ("p2", "20del", "construct"), ("p2", "1T>A", "construct"),
    ]  # fmt: skip
    model = Predictor.load(small_run)
    texts = [TEXT[:19] + TEXT[20:], "A" + TEXT[1:]]
    whole = ADAPTER_5 + TEXT + ADAPTER_3
    expected = [
        *model.predict(texts, medium="defined"),
        *model.predict([whole[:19] + whole[20:], "A" + whole[1:]], medium="defined"),
    ]
    found = [float(r["expression_variant_defined"]) for r in table]
    np.testing.assert_allclose(found, expected, atol=1e-5)
    assert "variant: positions count from 1 on the sequence as given" in err
    assert "added adapters to 1 of 2 sequences" in err
    assert "delta_low, delta_high are empty: the model has no intervals of differences" in err
    assert "delta_percentile: of |delta| among 720 random substitutions" in err
    assert all(r["delta_low_defined"] == "" for r in table)


def test_variants_of_a_column_and_rounding(place, crmnet, small_run):
    status, out, err = crmnet("mutate", "run", "v.tsv")
    assert status == 0, err
    full = rows(crmnet("mutate", "run", "v.tsv", "--digits", "full")[1])
    assert [(r["id"], r["variant"]) for r in full] == [("x", "1T>A"), ("y", "35insACG+40del")]
    media = Predictor.load(small_run).media
    numbers = [f"{name}_{m}" for m in media for name in (*NUMBERS, "delta_percentile")]
    assert_rounded(rows(out), full, decimals=numbers)
    (place / "other.tsv").write_text((place / "v.tsv").read_text().replace("variant", "edit"))
    status, again, err = crmnet("mutate", "run", "other.tsv", "--column", "variant=edit")
    assert status == 0 and again == out, err


def test_one_sequence_of_a_file_can_be_chosen(place, crmnet):
    """Its change need not fit the others: base 20 of p2 is not G."""
    status, out, err = crmnet("mutate", "run", "p.fa", "--id", "p1", "--change", "20G>C")
    assert status == 0, err
    assert [(r["id"], r["variant"]) for r in rows(out)] == [("p1", "20G>C")]
    assert "added adapters to 1 of 1 sequences" in err
    status, out, err = crmnet("mutate", "run", "v.tsv", "--id", "y", "--column", "id=name")
    assert status == 0, err
    assert [(r["id"], r["variant"]) for r in rows(out)] == [("y", "35insACG+40del")]


def test_saturation_with_a_heat_map(place, crmnet, small_run):
    status, _, err = crmnet("mutate", "run", "p.fa", "--saturate", "-o", "s.tsv", "--plot",
                            "map.svg", "--no-sites", "--digits", "full")  # fmt: skip
    assert status == 0, err
    table = rows((place / "s.tsv").read_text())
    assert len(table) == 480 and [table[0]["variant"], table[240]["variant"]] == ["1T>A", "18T>A"]
    found = saturate(Predictor.load(small_run), [TEXT], medium="complex")
    np.testing.assert_allclose([float(r["delta_complex"]) for r in table[:240]],
                               found.of("complex"), atol=1e-5)  # fmt: skip
    assert "<svg" in (place / "map.svg").read_text()[:500]
    assert (place / "map.svg").stat().st_size > 20_000


def test_a_figure_shows_the_first_sequences(place, crmnet):
    (place / "many.txt").write_text(f"{TEXT[:20]}\n" * 8)
    status, _, err = crmnet("mutate", "run", "many.txt", "--saturate", "-o", "s.tsv", "--plot",
                            "map.png", "--no-sites")  # fmt: skip
    assert status == 0, err
    assert "map.png shows the first 6 of 8 sequences" in err  # in two media


def test_deletions_with_a_track(place, crmnet):
    status, out, err = crmnet("mutate", "run", "p.fa", "--deletions", "20", "--step", "10",
                              "--plot", "track.png", "--medium", "complex")  # fmt: skip
    assert status == 0, err
    names = [r["variant"] for r in rows(out)]
    assert names[:7] == [f"{i + 1}_{i + 20}del" for i in range(0, 61, 10)]
    assert names[7] == "18_37del" and (place / "track.png").stat().st_size > 5_000


def test_pairs_with_map_and_matrix(place, crmnet):
    (place / "short.txt").write_text("ACGTA\nTTACC\n")
    status, out, err = crmnet("mutate", "run", "short.txt", "--pairs", "--plot", "e.png",
                              "--matrix", "e.npz", "--digits", "full")  # fmt: skip
    assert status == 0, err
    table = rows(out)
    assert len(table) == 2 * 10 * 9
    with np.load(place / "e.npz") as file:
        assert file["ids"].tolist() == ["1", "2"]
        medium = file["media"].tolist().index("defined")
        names, values = file["variants_2"].tolist(), file["epistasis_2"]
    assert values.shape == (2, 15, 15)
    for row in table[-90:]:
        first, second = (names.index(name) for name in row["variant"].split("+"))
        assert values[medium, first, second] == pytest.approx(
            float(row["epistasis_defined"]), abs=1e-6
        )
    assert (place / "e.png").stat().st_size > 5_000


def test_a_vcf_in_promoters(place, crmnet, small_run):
    status, out, err = crmnet("mutate", "run", "--vcf", "v.vcf", "--genome", "g.fa", "--promoters",
                              "p.bed", "-o", "-")  # fmt: skip
    assert status == 0, err
    table = rows(out)
    assert [(r["id"], r["strand"], r["windows"]) for r in table] == [
        ("P1", "+", "1"), ("P2", "-", "1"), ("P1", "+", "0"), ("P2", "-", "0")
    ]  # fmt: skip
    assert [r["flags"].split(";")[-1] for r in table[2:]] == ["symbolic", "symbolic"]
    assert table[2]["delta_complex"] == "" and table[0]["delta_complex"] != ""
    assert "2 records with 3 alternatives; 4 rows" in err
    assert "1 alternatives change none of the promoters and have no row" in err
    assert "contig names: 1 is chrI" in err and ": 1 symbolic" in err
    assert "variant: contig, position from 1, REF and ALT as in the VCF" in err


def test_a_compressed_vcf_in_windows(place, crmnet):
    packed = place / "v.vcf.gz"
    packed.write_bytes(gzip.compress((place / "v.vcf").read_bytes()))
    status, out, err = crmnet("mutate", "run", "--vcf", packed, "--genome", "g.fa", "--window",
                              "60", "--offsets", "10,30", "--strand", "both")  # fmt: skip
    assert status == 0, err
    table = rows(out)
    assert [(r["id"], r["strand"], r["windows"]) for r in table] == [
        ("rs1", "both", "4"), ("rs1", "both", "0"), ("1:400", "both", "4")
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("p.fa", "no variants: give --change, --saturate, --deletions or --pairs, or a table"),
        ("", "give a file of sequences, or - for standard input, or --vcf"),
        ("p.fa --saturate --pairs", "--saturate and --pairs are different tasks"),
        ("p.fa --change 20del --vcf v.vcf", "--change and --vcf are different tasks"),
        ("p.fa --change 35", "'35' is not a variant; write 35A>G"),
        ("p.fa --change 200A>G", "position 200 is out of range; the sequence has 80 bases"),
        ("p.fa --change 2A>G", "2A>G of sequence 'p1 (p.fa, line 1)': base 2 is T, not A"),
        ("p.fa --deletions 0", "--deletions must be at least 1 base; got 0"),
        ("p.fa --deletions 90", "deletions of 90 bases leave nothing of inserts of at most 80"),
        ("p.fa --step 2 --saturate", "--step is for --deletions"),
        ("p.fa --saturate --matrix m.npz", "--matrix holds the epistasis of --pairs"),
        ("p.fa --pairs --matrix m.tsv", "matrices are written as .npz"),
        ("p.fa --change 20del --plot m.png", "--plot draws --saturate, --deletions or --pairs"),
        ("p.fa --saturate --plot m.gif", "pictures are written as .png"),
        ("p.fa --saturate --plot m.png -o m.png", "m.png is named as two outputs"),
        ("p.fa --saturate --medium x", "no medium 'x'"),
        ("p.fa --saturate --genome g.fa", "--genome is for variants of a genome; give --vcf"),
        ("p.fa --saturate --column variant=x", "--column variant= names the variants; leave it"),
        ("p.fa --column x=y", "--column takes id=, sequence= or variant=NAME; got x="),
        ("v.tsv --column variant=edit", "no column 'edit'"),
        (f"{TEXT} --saturate", "this is a sequence"),
        ("none.fa --saturate", "none.fa: no such file"),
        ("p.fa --saturate --id p3", "p.fa has no sequence with the id 'p3'; ids are FASTA names"),
        ("--vcf v.vcf --genome g.fa --window 80 --id p1", "--id chooses sequences of a file"),
        ("--vcf v.vcf --genome g.fa --window 80 --flanks none", "--flanks is for a file of"),
        ("--vcf v.vcf --genome g.fa --window 80 --iupac n", "--iupac is for a file of"),
        ("--vcf v.vcf --genome g.fa --window 80 --column id=x", "--column is for a file of"),
        ("--vcf v.vcf", "--vcf needs the genome"),
        ("p.fa --vcf v.vcf --genome g.fa --window 80", "leave out the file p.fa"),
        ("--vcf v.vcf --genome g.fa", "give --promoters BED, or --window 80"),
        ("--vcf v.vcf --genome g.fa --promoters p.bed --strand -", "leave out --strand"),
        ("--vcf v.vcf --genome g.fa --window 90", "a window must have 2 to 82 bases"),
        ("--vcf v.vcf --genome g.fa --offsets 10,x", "--offsets takes positions such as 15,40,65"),
        ("--vcf v.vcf --genome g.fa --offsets 90", "must be a position in the window, 1 to 80"),
        ("--vcf - --genome - --window 80", "stdin can be read only once"),
        ("--vcf v.vcf --genome none.fa --window 80", "none.fa: no such file"),
        ("--vcf none.vcf --genome g.fa --window 80", "none.vcf: no such file"),
    ],
)  # fmt: skip
def test_bad_input_is_one_line_and_status_2(place, crmnet, line, message):
    status, out, err = crmnet("mutate", "run", *line.split(), "--no-sites")
    assert (status, out) == (2, "")
    assert message in err
    assert len(err.splitlines()) == 1, err


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "v.vcf holds no"),
        ("#CHROM\tPOS\tID\tREF\tALT\n", "v.vcf holds no variants"),
        ("1\t1\t.\tA\tG\n", "line 1: record 1:1: REF has A at base 1 of chrI, where g.fa has T"),
        ("1\t9999\t.\tA\tG\n", "record 1:9999 lies beyond the end of chrI"),
        ("chrII\t1\t.\tA\tG\n", "record chrII:1: contig 'chrII' is not in g.fa, which has chrI"),
        ("1\t1\t.\tT\n", "line 1: a record has at least 5 columns"),
    ],
)
def test_a_bad_vcf_is_one_line_and_status_2(place, crmnet, text, message):
    (place / "v.vcf").write_text(text)
    status, out, err = crmnet("mutate", "run", "--vcf", "v.vcf", "--genome", "g.fa", "--window", 80,
                              "-o", "out.tsv")  # fmt: skip
    assert (status, out) == (2, "")
    assert message in err and len(err.splitlines()) == 1, err
    assert not (place / "out.tsv").exists()


def test_a_bad_variant_in_a_column_names_its_line(place, crmnet):
    (place / "v.tsv").write_text(f"sequence\tvariant\n{TEXT}\t1T>A\n{TEXT}\t\n")
    status, _, err = crmnet("mutate", "run", "v.tsv")
    assert status == 2
    assert "sequence '2 (v.tsv, line 3)': '' is not a variant" in err


def test_flags_are_explained(crmnet):
    status, out, _ = crmnet("mutate", "--explain-flags")
    assert status == 0
    for word in ("distal_cut", "contig_end", "beyond_window", "symbolic", "composition"):
        assert f"\n{word}: " in f"\n{out}"


def test_the_command_and_the_function_agree(place, crmnet, assay, small_run):
    texts = decode(assay.tokens[:5])
    (place / "a.txt").write_text("\n".join(texts) + "\n")
    status, _, err = crmnet("mutate", "run", "a.txt", "--change", "30del", "-o", "a.parquet")
    assert status == 0, err
    import polars

    table = polars.read_parquet(place / "a.parquet")
    expected = mutate(Predictor.load(small_run), texts, ["30del"]).to_table()
    assert table.columns == expected.columns
    np.testing.assert_allclose(table["delta_complex"], expected["delta_complex"], atol=1e-5)
    assert table["sites_lost"].to_list() == expected["sites_lost"].to_list()
