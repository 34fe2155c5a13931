"""Each page of a command opens offline, names its command, and has numbers behind its pictures."""

import html
import re

import pytest

from crmnet.figures.style import BACKGROUND, DARK_BACKGROUND
from crmnet.interpretation.page import write_explanation_page
from crmnet.reports.page import NUMBERS_BEHIND, command, missing, picture, table, write_page
from crmnet.sequence import decode
from support import TINY

SETS = [part for text in (*TINY, "epochs=1") for part in ("--set", text)]


def check_page(path, words):
    """What holds for every page; returns its text."""
    text = path.read_text(encoding="utf-8")
    plain = re.sub(r'src="data:[^"]*"', "", text)
    assert "<script" not in plain and "http" not in plain and "url(" not in plain
    assert '<html lang="en">' in plain and "prefers-color-scheme: dark" in plain
    assert "@media print" in plain
    shown = re.search(r'<pre class="command"><code>(.*?)</code>', plain, flags=re.DOTALL)
    assert html.unescape(shown[1]).startswith(f"crmnet {words[0]}")
    entries = re.findall(r'<a href="#(section-\d+)">', plain)
    assert len(entries) == plain.count("<section ") > 1
    for entry in entries:
        assert f'<section id="{entry}">' in plain
    images = re.findall(r"<img[^>]*>", plain)
    assert images
    for image in images:
        assert re.search(r'alt="[^"]{20,}"', image)
    return plain


@pytest.fixture(scope="module")
def rows(assay, tmp_path_factory):
    """A table of promoters with their expression."""
    path = tmp_path_factory.mktemp("rows") / "rows.tsv"
    lines = zip(decode(assay.tokens[:60]), assay.labels[:60], strict=True)
    path.write_text("sequence\texpression\n" + "".join(f"{s}\t{y}\n" for s, y in lines))
    return path


def run(crmnet, *words):
    status, _, err = crmnet(*words)
    assert status == 0, err


@pytest.mark.slow
def test_the_page_of_evaluate(crmnet, small_run, assay, tmp_path):
    run(crmnet, "evaluate", small_run, assay.path, "--resamples", 20, "-o", tmp_path)
    text = check_page(tmp_path / "report.html", ["evaluate"])
    assert text.count(NUMBERS_BEHIND) == 1
    assert "assay:complex" in text and "Warning" not in text


@pytest.mark.slow
def test_the_page_of_compare_with_baselines(crmnet, small_run, assay, rows, tmp_path):
    words = ["--data", rows, "--medium", "complex", "--baselines", assay.path, "--resamples", 20]
    run(crmnet, "compare", f"mine={small_run}", *words, "-o", tmp_path)
    text = check_page(tmp_path / "report.html", ["compare"])
    for name in ("mine", "G + C", "dinucleotides", "6-mers"):
        assert f"<td>{name}</td>" in text
    assert text.count(NUMBERS_BEHIND) == 1
    status, _, err = crmnet("compare", "--predictions", f"a@b={rows}", "--baselines", assay.path,
                            "-o", tmp_path / "new")  # fmt: skip
    assert (status, "--baselines needs a model" in err) == (2, True)


@pytest.mark.slow
def test_the_page_of_explain(crmnet, small_run, rows, tmp_path):
    words = ["--medium", "complex", "--method", "masked", "--first", 3, "--page", 2]
    run(crmnet, "explain", small_run, rows, *words, "--figure5", "-o", tmp_path)
    text = check_page(tmp_path / "report.html", ["explain"])
    assert text.count("<img") == 3
    assert text.count(NUMBERS_BEHIND) == 1
    assert "3 of 60 promoters" in text
    assert "The 5 bases of each promoter that matter most" in text
    assert "agreement: 1 if the attributions" in text
    run(crmnet, "explain", small_run, rows, *words, "-o", tmp_path, "--overwrite")
    text = (tmp_path / "report.html").read_text()
    assert text.count("<img") == 2 and "Figure 5" not in text  # that of the first run is gone
    run(crmnet, "explain", small_run, rows, *words, "--format", "pdf", "-o", tmp_path / "pdf")
    assert "<img" not in (tmp_path / "pdf" / "report.html").read_text()


def test_the_page_of_explain_ranks_all_bases_of_a_promoter(tmp_path):
    """The strongest base of 20,000 is the last; 40 of 41 promoters are shown."""
    lines = [f"long\t{n}\tA\t{n / 20_000}" for n in range(1, 20_001)]
    lines += [f"p{n}\t1\tC\t0.5" for n in range(40)]
    (tmp_path / "attributions.tsv").write_text(
        "\n".join(["id\tposition\tbase\tvalue", *lines]) + "\n"
    )
    (tmp_path / "sites.tsv").write_text("id\tdrawn\n")
    write_explanation_page(tmp_path, ["a model"])
    text = (tmp_path / "report.html").read_text()
    assert '<td class="number">20000</td>' in text and "p38" in text and "p39" not in text
    assert "The 5 bases of the first 40 promoters that matter most" in text
    assert "No site stands out." in text


@pytest.mark.slow
def test_the_page_of_train(crmnet, assay, tmp_path):
    run(crmnet, "train", "demo", "--data", assay.path, "-o", tmp_path / "run", *SETS)
    text = check_page(tmp_path / "run" / "report.html", ["train"])
    assert '<td>train.epochs</td><td class="number">1</td>' in text
    assert f"fingerprint: {assay.fingerprint}" in text
    assert "Pearson r in complex" in text and "val_r" not in text.split("<table")[0]
    assert "sorting bin in complex" in text
    assert text.count(NUMBERS_BEHIND) == 1
    run(crmnet, "train", "demo", "--from", tmp_path / "run", "--data", assay.path,
        "-o", tmp_path / "next", "--set", "epochs=1")  # fmt: skip
    assert "starts from: run (sha256 of its weights: " in (
        (tmp_path / "next" / "report.html").read_text()
    )


@pytest.mark.slow
def test_the_page_of_demo(crmnet, tmp_path, monkeypatch):
    monkeypatch.setattr("crmnet.studies.demo.TEST_PROMOTERS", 200)
    run(crmnet, "demo", "-o", tmp_path / "demo", "--promoters", 200, *SETS)
    text = check_page(tmp_path / "demo" / "report.html", ["demo"])
    assert text.count("<img") == 3
    assert text.count(NUMBERS_BEHIND) == 3
    assert text.count('<pre class="command">') == 5


def test_a_number_stands_above_its_interval():
    text = table({"model": ["a", "b"], "r": ["0.5 [0.4, 0.6]", "0.6 [0.5, 0.7]"]})
    assert '<th scope="col" class=number>r</th>' in text
    assert '<td class="number">0.5 <span class="interval">[0.4, 0.6]</span></td>' in text
    assert '<th scope="col">model</th>' in text


def test_what_was_not_run_is_marked():
    assert '<td class="missing">not run</td>' in table({"r": ["not run"]})
    text = missing("Figure 9", "<no data>")
    assert "<strong>Figure 9: not run.</strong> &lt;no data&gt;" in text
    assert command(["a <b", "c"]) == '<pre class="command"><code>a &lt;b\nc</code></pre>'


def test_a_picture_is_not_larger_than_it_was_drawn(tmp_path):
    import struct

    file = tmp_path / "a.png"
    head = b"\x89PNG\r\n\x1a\n" + struct.pack(">I4sII", 13, b"IHDR", 800, 600)
    file.write_bytes(head + b"rest")
    assert "min(100%, 28rem)" in picture(file, "a picture 4 inches wide")  # 800 / 200 × 7
    assert "min(100%, 20rem)" in picture(file, "a picture", 20)
    text = picture(file, "caption", alt="what it shows", values={"x": [1]})
    assert 'alt="what it shows"' in text
    assert f"<summary>{NUMBERS_BEHIND}</summary>" in text


def test_contents_are_left_out_for_one_section(tmp_path):
    write_page(tmp_path / "one.html", "title", {"": [], "only": []})
    assert "<nav" not in (tmp_path / "one.html").read_text()
    write_page(tmp_path / "two.html", "title", {"a & b": [], "c": []}, made_by="crmnet x")
    text = (tmp_path / "two.html").read_text()
    assert '<a href="#section-1">a &amp; b</a>' in text
    assert BACKGROUND in text and DARK_BACKGROUND in text
