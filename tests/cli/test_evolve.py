"""``crmnet evolve``: the tables are those of the functions, and bad input is one line, status 2."""

import csv

import numpy as np
import pytest

from crmnet.cli import evolve as command
from crmnet.design.conservation import Haplotypes, conservation
from crmnet.design.evolve import EPSILON, evolve
from crmnet.design.trajectories import TrajectoryOptions, trajectories
from crmnet.prediction.predictor import Predictor
from crmnet.sequence import ADAPTER_3, ADAPTER_5

TEXTS = {"a": "ACGTACGTAC", "b": "TTTTGNGCCA", "c": "GATTACA", "d": "ACGTACGTAC"}
"""Short inserts have few mutants."""


@pytest.fixture(scope="module")
def predictor():
    return Predictor.load("yeast-fast", device="cpu")


@pytest.fixture
def promoters(tmp_path):
    path = tmp_path / "promoters.fasta"
    path.write_text("".join(f">{name}\n{text}\n" for name, text in TEXTS.items()))
    return path


def read(path, delimiter="\t"):
    with path.open(newline="") as file:
        return list(csv.DictReader(file, delimiter=delimiter))


def column(rows, name):
    return np.array([float(row[name]) if row[name] else np.nan for row in rows])


def test_the_help_shows_the_epsilon_of_the_functions():
    assert command.EPSILON == EPSILON


def test_robustness_is_that_of_evolve(crmnet, predictor, promoters, tmp_path):
    status, out, err = crmnet(
        "evolve", "robustness", "yeast-fast", promoters, "--medium", "complex", "--medium", "dream",
        "--digits", "full", "-o", tmp_path / "r.tsv", "--changes", tmp_path / "c.csv",
        "--vectors", tmp_path / "v.tsv", "--plot", tmp_path / "r.svg",
    )  # fmt: skip
    assert (status, out) == (0, "")
    found = evolve(predictor, TEXTS.values(), ids=list(TEXTS))
    rows = read(tmp_path / "r.tsv")
    assert [row["id"] for row in rows] == list(TEXTS)
    assert [row["mutants"] for row in rows] == ["30", "27", "21", "30"]
    assert {row["epsilon"] for row in rows} == {"0.1616"}
    for medium in ("complex", "dream"):
        m = predictor.medium_index(medium)
        np.testing.assert_allclose(column(rows, f"robustness_{medium}"), found.robustness[:, m])
        np.testing.assert_allclose(column(rows, f"expression_{medium}"), found.expression[:, m],
                                   atol=1e-5)  # fmt: skip
        assert [row[f"highest_{medium}"] for row in rows] == found.extreme_changes(1)[m]
    changes = read(tmp_path / "c.csv", ",")
    assert len(changes) == 30 + 27 + 21 + 30
    assert [row["position"] for row in changes[30:60:3]] == [*"123457", "8", "9", "10", "1"]
    vectors = read(tmp_path / "v.tsv")
    assert [(row["id"], row["medium"]) for row in vectors[:3]] == [
        ("a", "complex"), ("a", "dream"), ("b", "complex")]  # fmt: skip
    # Columns are there for the longest insert of the network, 82 bases.
    assert list(vectors[0])[-1] == "delta_246"
    values = np.array([float(v) for v in list(vectors[2].values())[3:] if v])
    np.testing.assert_allclose(values, found.vectors[1, 0, :27], atol=1e-5)
    assert (tmp_path / "r.svg").read_text().count("robustness") >= 1
    assert "1 sequences contain N" in err
    assert "less than 0.1616" in err
    assert "warning: the default epsilon is in sorting bins, and dream is in MAUDE score" in err


def test_percentiles_are_among_a_table_of_the_same_epsilon(crmnet, promoters, tmp_path):
    words = ["evolve", "robustness", "yeast-fast", promoters, "--medium", "complex"]
    table = tmp_path / "reference.tsv"
    assert crmnet(*words, "-o", table)[0] == 0
    status, out, err = crmnet(*words, "--reference", table)
    assert status == 0, err
    rows = list(csv.DictReader(out.splitlines(), delimiter="\t"))
    robustness, percentile = (
        column(rows, f"{name}robustness_complex") for name in ("", "percentile_")
    )
    assert percentile[0] == percentile[3]
    assert (
        np.argsort(robustness, kind="stable").tolist()
        == np.argsort(percentile, kind="stable").tolist()
    )
    # Among themselves percentiles have the mean 50.
    assert percentile.mean() == pytest.approx(50)
    status, _, err = crmnet(*words, "--reference", table, "--epsilon", "0.2")
    assert status == 2
    assert "was made with epsilon 0.1616, not 0.2" in err
    status, _, err = crmnet(*words[:-1], "defined", "--reference", table)
    assert (status, "no column 'neutral_defined'" in err) == (2, True)


def test_positions_count_on_constructs_as_given(crmnet, tmp_path):
    (tmp_path / "p.txt").write_text(f"{ADAPTER_5}AC{ADAPTER_3}\n")
    status, _, err = crmnet("evolve", "robustness", "yeast-fast", tmp_path / "p.txt", "-o",
                            tmp_path / "r.tsv", "--changes", tmp_path / "c.tsv")  # fmt: skip
    assert status == 0, err
    assert {row["position"] for row in read(tmp_path / "c.tsv")} == {"18", "19"}


def test_trajectories_are_those_of_the_function(crmnet, predictor, promoters, tmp_path):
    status, out, err = crmnet(
        "evolve", "trajectories", "yeast-fast", promoters, "--medium", "complex", "--minus",
        "defined", "--mode", "up", "--mode", "conflict", "--mode", "drift", "--steps", "3",
        "--repeats", "2", "--seed", "7", "--digits", "full", "-o", tmp_path / "t",
    )  # fmt: skip
    assert status == 0, err
    assert "trajectories.tsv, trajectories.png" in out
    rows = read(tmp_path / "t" / "trajectories.tsv")
    expected = {
        (mode, repeat): trajectories(
            predictor, TEXTS.values(), ids=list(TEXTS), media=("complex", "defined"),
            options=TrajectoryOptions(mode, 3, seed=7, repeat=repeat - 1),
        ).to_table()
        for mode, repeat in (("up", 1), ("conflict", 1), ("drift", 1), ("drift", 2))
    }  # fmt: skip
    assert len(rows) == sum(map(len, expected.values()))
    for (mode, repeat), table in expected.items():
        here = [r for r in rows if (r["mode"], r["repeat"]) == (mode, str(repeat))]
        assert [row["sequence"] for row in here] == table["sequence"].to_list()
        assert [row["change"] for row in here] == table["change"].to_list()
    assert {path.name for path in (tmp_path / "t").iterdir()} == {
        "trajectories.tsv", "trajectories.png"
    }  # fmt: skip
    assert "drift: 8 trajectories" in err


def test_conservation_is_that_of_the_function(crmnet, predictor, tmp_path):
    table = tmp_path / "h.tsv"
    rows = [("g1", "ACGTACGTAC", 5), ("g1", "ACGTACGTAG", 2), ("g2", "TTTTTTAAAA", 3),
            ("g1", "ACGTACGTA", 1), ("g2", "TTTTTTCAAA", 3)]  # fmt: skip
    table.write_text("proName\tortho_seq\tn\n" + "".join(f"{a}\t{b}\t{c}\n" for a, b, c in rows))
    status, out, err = crmnet(
        "evolve", "conservation", "yeast-fast", table, "--medium", "complex", "--column",
        "gene=proName", "--column", "sequence=ortho_seq", "--column", "isolates=n",
        "--simulations", "2", "--digits", "full", "-o", tmp_path / "ecc",
    )  # fmt: skip
    assert status == 0, err
    assert "conservation.tsv, conservation.png" in out
    found = conservation(
        predictor,
        [Haplotypes("g1", ["ACGTACGTAC", "ACGTACGTAG", "ACGTACGTA"], [5, 2, 1]),
         Haplotypes("g2", ["TTTTTTAAAA", "TTTTTTCAAA"], [3, 3])],
        medium="complex", simulations=2,
    )  # fmt: skip
    rows = read(tmp_path / "ecc" / "conservation.tsv")
    np.testing.assert_allclose(column(rows, "ecc"), found.ecc, rtol=1e-6)
    assert [row["left_out"] for row in rows] == ["1", "0"]
    assert "1 haplotypes have another length" in err


def test_archetypes_of_a_file(crmnet, promoters, tmp_path):
    with promoters.open("a") as file:
        file.write(">n\nNNNN\n")
    status, out, err = crmnet("evolve", "archetypes", "yeast-fast", promoters, "-k", "2",
                              "--medium", "defined", "-o", tmp_path / "a")  # fmt: skip
    assert status == 0, err
    assert "archetypes.tsv, archetype_vectors.tsv, archetypes.png" in out
    rows = read(tmp_path / "a" / "archetypes.tsv")
    assert [row["id"] for row in rows] == list(TEXTS)
    np.testing.assert_allclose(column(rows, "weight_1") + column(rows, "weight_2"), 1, atol=2e-3)
    assert len(read(tmp_path / "a" / "archetype_vectors.tsv")) == 30
    assert "1 promoters have no known base and are left out" in err


BAD = [
    ("robustness yeast-fast p.fasta --epsilon 0", "epsilon must be a number above 0"),
    ("robustness yeast-fast p.fasta --medium ypd", "no medium 'ypd'"),
    ("robustness yeast-fast none.fasta", "none.fasta: no such file"),
    ("robustness yeast-fast ACGTACGTACGT", "this is a sequence"),
    ("robustness yeast-fast long.txt", "pass --window last or --window first"),
    ("robustness yeast-fast bad.txt", "letter 'U' at position 4 of 5"),
    ("robustness yeast-fast p.fasta -o r.xlsx", "written as .tsv, .csv or .parquet"),
    ("robustness yeast-fast p.fasta --plot r.gif", "pictures are written as"),
    ("robustness yeast-fast p.fasta -o r.tsv --changes r.tsv", "named for two outputs"),
    ("robustness yeast-fast p.fasta --reference bad.txt", "no column 'epsilon'"),
    ("trajectories yeast-fast p.fasta -o t", "choose one of the model's media with --medium"),
    ("trajectories yeast-fast p.fasta -o t --mode sideways", "mode must be one of up, down"),
    ("trajectories yeast-fast p.fasta -o t --minus defined", "add --mode conflict"),
    ("trajectories yeast-fast p.fasta -o t --mode conflict --medium complex", "--minus"),
    ("conservation yeast-fast p.fasta -o e --medium complex", "has no genes"),
    ("conservation yeast-fast h.tsv -o e --medium complex", "no column 'gene'"),
    ("conservation yeast-fast h.tsv -o e --column id=x", "--column takes gene=, sequence= or"),
    ("archetypes yeast-fast p.fasta -o a --medium complex -k 9", "9 archetypes need at least 9"),
    ("archetypes yeast-fast n.txt -o a --medium complex", "no promoter has a known base"),
    ("archetypes yeast-fast p.fasta -o p.fasta --medium complex", "is a file"),
]


@pytest.mark.parametrize(("line", "message"), BAD, ids=[line for line, _ in BAD])
def test_bad_input_is_one_line_and_status_2(crmnet, tmp_path, monkeypatch, line, message):
    monkeypatch.chdir(tmp_path)
    for name, text in {
        "p.fasta": ">a\nACGT\n>b\nAAAA\n", "long.txt": "A" * 90 + "\n", "bad.txt": "ACGUA\n",
        "n.txt": "NNN\n", "h.tsv": "name\tsequence\ng\tACGT\n",
    }.items():  # fmt: skip
        (tmp_path / name).write_text(text)
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    status, out, err = crmnet("evolve", *line.split())
    assert (status, out) == (2, ""), err
    errors = [text for text in err.splitlines() if text.startswith("crmnet: error: ")]
    assert len(errors) == 1
    assert message in errors[0]
    after = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    assert after == before
