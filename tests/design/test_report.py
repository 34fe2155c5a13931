"""Files of a design: GenBank parses back, the order is complete, the page needs no other file."""

import csv
import json
import re
from html.parser import HTMLParser

import pytest
from Bio import SeqIO

from crmnet.design.constraints import Flanks, MaxRun
from crmnet.design.objective import Objective
from crmnet.design.promoters import Rules, design_promoters, finish, load_panel, make_problem
from crmnet.design.report import FILES, confirmed_line, summary_lines, write_designs
from crmnet.design.run import SearchOptions, search
from crmnet.design.starts import StartOptions
from crmnet.sequence import ADAPTER_3, ADAPTER_5
from toys import linear_predictor

GOAL = Objective("maximise", "complex")
FLANKS = Flanks(primer_5="GGTCAC", primer_3="TTGACC")


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    folder = tmp_path_factory.mktemp("designs")
    predictor = linear_predictor(1)
    designs = design_promoters(
        predictor, GOAL, judge=linear_predictor(2), ranker=predictor,
        n=3, length=60, rules=Rules(flanks=FLANKS), options=SearchOptions("greedy", 4),
    )  # fmt: skip
    write_designs(folder, designs, flanks=FLANKS, settings={"n": 3, "forbid": None})
    return folder, designs


def rows(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file, delimiter="\t"))


def test_all_files_are_written(written):
    folder, _ = written
    names = {path.name for path in folder.iterdir()}
    assert names == {*FILES, "judged.png", "search.png", "logos-1.png"}


def test_tables_and_fasta_hold_the_designs(written):
    folder, designs = written
    table = rows(folder / "designs.tsv")
    assert [row["sequence"] for row in table] == designs.sequences
    assert [float(row["gap"]) for row in table] == pytest.approx(designs.gap, abs=6e-4)
    with (folder / "designs.fasta").open() as file:
        records = {record.id: str(record.seq) for record in SeqIO.parse(file, "fasta")}
    assert records == dict(zip(designs.ids, designs.sequences, strict=True))


def test_the_order_holds_primers_and_adapters(written):
    folder, designs = written
    for row, insert in zip(rows(folder / "order.tsv"), designs.sequences, strict=True):
        oligo = "GGTCAC" + ADAPTER_5 + insert + ADAPTER_3 + "TTGACC"
        assert row["sequence"] == oligo
        assert int(row["length"]) == len(oligo) == 60 + 30 + 12
        share = 100 * (oligo.count("G") + oligo.count("C")) / len(oligo)
        assert float(row["gc_percent"]) == pytest.approx(share, abs=6e-4)


def test_the_path_of_edits_reproduces_each_design(written):
    folder, designs = written
    table = rows(folder / "paths.tsv")
    for number, name in enumerate(designs.ids):
        own = [row for row in table if row["id"] == name]
        assert [int(row["number"]) for row in own] == list(range(1, len(own) + 1))
        bases = ["ACGT"[token] for token in designs.starts[number]]
        for row in own:
            position = int(row["position"])
            assert row["edit"] == f"{position}{row['from']}>{row['to']}"
            assert bases[position - 1] == row["from"]
            bases[position - 1] = row["to"]
        assert "".join(bases) == designs.sequences[number]


def test_genbank_parses_back_with_its_features(written):
    folder, designs = written
    with (folder / "designs.gb").open() as file:
        records = list(SeqIO.parse(file, "genbank"))
    assert [record.id for record in records] == designs.ids
    for record, insert in zip(records, designs.sequences, strict=True):
        parts = {f.qualifiers["label"][0]: f for f in record.features if f.type != "protein_bind"}
        assert str(parts["designed promoter"].extract(record.seq)) == insert
        assert parts["designed promoter"].qualifiers["regulatory_class"] == ["promoter"]
        assert str(parts["5' adapter"].extract(record.seq)) == ADAPTER_5
        assert str(parts["3' adapter"].extract(record.seq)) == ADAPTER_3
        assert str(parts["5' primer"].extract(record.seq)) == "GGTCAC"
        for site in record.features:
            if site.type == "protein_bind":
                assert 23 <= site.location.start < site.location.end <= 83
                assert site.qualifiers["bound_moiety"] == site.qualifiers["label"]


class Links(HTMLParser):
    def __init__(self):
        super().__init__()
        self.links, self.tags = [], []

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.links += [value for name, value in attributes if name in ("src", "href")]


def test_the_page_is_one_file_without_scripts(written):
    folder, designs = written
    text = (folder / "report.html").read_text()
    page = Links()
    page.feed(text)
    assert "script" not in page.tags
    contents = [link for link in page.links if link.startswith("#")]
    assert contents and all(f'id="{link[1:]}"' in text for link in contents)
    pictures = [link for link in page.links if link not in contents]
    assert len(pictures) == 3
    assert all(link.startswith("data:image/png;base64,") for link in pictures)
    for name in (*designs.ids, *designs.sequences):
        assert name in text
    assert confirmed_line(designs).split(";")[0] in re.sub("&#x27;", "'", text)


def test_the_page_is_written_with_all_digits_and_an_oracle_that_judges_itself(tmp_path):
    predictor = linear_predictor(1)
    designs = design_promoters(
        predictor, GOAL, judge=predictor, ranker=predictor, n=2, length=20,
        options=SearchOptions("greedy", 2),
    )  # fmt: skip
    write_designs(tmp_path, designs, flanks=FLANKS, settings={"n": 2}, digits="full")
    page = (tmp_path / "report.html").read_text()
    assert ">gap<" in page and "unlike_training" not in page
    assert f'<td class="number">{designs.expression[0, 0]:.3f}</td>' in page


def test_the_record_holds_settings_models_and_results(written):
    folder, designs = written
    record = json.loads((folder / "design.json").read_text())
    assert record["settings"] == {"n": 3, "forbid": None}
    identity = designs.panel.oracle.predictor.identity
    assert record["models"]["oracle"]["identity"] == identity
    assert record["mean_gain"]["judge"] == pytest.approx(designs.confirmed.judge)
    assert record["complete"] is True
    assert {"python", "crmnet", "torch"} <= set(record["versions"])


def test_the_summary_says_how_much_the_judge_confirms(written):
    _, designs = written
    lines = summary_lines(designs)
    gains = designs.confirmed
    share = f"({100 * gains.judge / gains.oracle:.0f} %)"
    assert f"gain over the starts is {gains.oracle:.2f}; the judge confirms " in lines[4]
    assert lines[4].endswith(share)
    judge, oracle = designs.judge, designs.oracle
    assert lines[1].startswith(
        f"the designs reach {judge.min():.1f} to {judge.max():.1f} by the judge and "
        f"{oracle.min():.1f} to {oracle.max():.1f} by the oracle; believe the judge"
    )


def test_a_judge_that_is_the_oracle_is_not_to_be_believed():
    predictor = linear_predictor(1)
    designs = design_promoters(predictor, GOAL, judge=predictor, ranker=predictor, n=2, length=20)
    _, reached, _, shared, *_ = summary_lines(designs)
    assert reached.endswith("by the model that the search optimised")
    assert "believe" not in reached and "the same model" in shared


def test_a_search_without_designs_writes_empty_tables(tmp_path):
    predictor = linear_predictor(1)
    rules = Rules((MaxRun(3),), distance=1)
    task = make_problem(
        load_panel(predictor, predictor, predictor, GOAL), GOAL, None, rules, StartOptions(1, 1)
    )
    nothing = search(task, SearchOptions("annealing", 1))
    worst = nothing._replace(best=0 * nothing.best, pool=0 * nothing.pool)  # only runs of A
    designs = finish(task, worst, load_panel(predictor, predictor, predictor, GOAL), rules,
                     StartOptions(1, 1))  # fmt: skip
    assert len(designs) == 0
    write_designs(tmp_path, designs, flanks=Flanks(), settings={})
    assert rows(tmp_path / "designs.tsv") == []
    assert not (tmp_path / "report.html").exists()
    assert json.loads((tmp_path / "design.json").read_text())["confirmed_share"] is None
