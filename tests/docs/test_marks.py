"""The marks of blocks, and the comparison of output."""

import command_server
import pages
import pytest
from smaller import smaller

SHOWN = "id  expression\na   1.234\n"


@pytest.mark.parametrize(
    ("printed", "missing"),
    [
        ("note\nid\texpression\na\t1.236\nb\t2\n", None),
        ("id expression\na 1.239\n", "a   1.234"),
        ("id expression\nb 1.234\n", "a   1.234"),
        ("a 1.234\nid expression\n", "a   1.234"),
    ],
)
def test_output_is_compared_line_by_line(printed, missing):
    assert pages.difference(SHOWN, printed) == missing


def test_whole_numbers_must_be_equal():
    assert pages.difference("n 12", "n 13") == "n 12"
    assert pages.difference("n −1.20", "n -1.21") is None
    assert pages.difference("n −1.20", "n -1.23") == "n −1.20"


def test_marks_are_read(tmp_path, monkeypatch):
    monkeypatch.setattr(pages, "ROOT", tmp_path)
    page = tmp_path / "page.md"
    page.write_text(
        "<!-- not run: needs a GPU -->\n```sh\ncrmnet a\n```\n\n```python\nb\n```\n"
        "<!-- output -->\n```text\nc\n```\n```\nno language\n```\n"
    )
    found = [(b.line, b.language, b.text, b.mark, b.reason) for b in pages.read_blocks(page)]
    assert found == [
        (3, "sh", "crmnet a\n", "not run", "needs a GPU"),
        (7, "python", "b\n", "", ""),
        (11, "text", "c\n", "output", ""),
    ]


def test_every_mark_is_known_and_gives_a_reason():
    for path in pages.page_files():
        for block in pages.read_blocks(path):
            assert block.mark in ("", "output", "not run", "not compared"), str(block)
            assert bool(block.reason) == (block.mark in ("not run", "not compared")), str(block)
            if block.mark in ("output", "not compared"):
                assert block.language == "text", str(block)
            elif block.mark == "not run":
                assert block.is_code, str(block)


def test_lines_that_never_run_are_known(tmp_path, monkeypatch):
    assert pages.why_not("crmnet reproduce --profile full --dry-run") is None
    assert pages.why_not("make test-page") == "installs the package, or runs all checks"
    assert pages.why_not("makes no difference") is None
    monkeypatch.setattr(pages, "ROOT", tmp_path)
    page = tmp_path / "page.md"
    page.write_text("```sh\npip install a\nmake demo\n```\n```sh\npip install a\ncrmnet b\n```\n")
    assert [block.mark for block in pages.read_blocks(page)] == ["not run", ""]


def test_long_commands_are_made_smaller(monkeypatch):
    words = "train small --data d --set train.epochs=8 --set heads=2 -o r".split()
    assert smaller(words) == (
        "train small --data d --set heads=2 -o r --set epochs=1 --set warmup_epochs=0.3".split()
    )
    assert smaller(["predict", "yeast", "-"]) == ["predict", "yeast", "-"]
    assert "encoder=[8,8]" in smaller(["train", "paper-complex"])
    assert "encoder=[8,8]" not in smaller(["train", "paper-complex", "--from", "r"])
    words = smaller("design --maximise complex -n 20 --oracle yeast -o d".split())
    assert (
        words
        == (
            "design --maximise complex -o d -n 3 --steps 2 --chains 3 --oracle yeast-fast"
            " --rank-by yeast-fast"
        ).split()
    )
    monkeypatch.setenv("DOCS_PORT", "1234")
    assert smaller("serve --open --port 8080".split()) == ["serve", "--port", "1234"]
    assert smaller(["design", "--list-presets"]) == ["design", "--list-presets"]


def test_the_small_profiles_run_all_steps(monkeypatch):
    import smaller as module

    monkeypatch.setattr(module, "PROFILES", {})
    module.shrink_profiles()
    assert module.PROFILES["demo"].simulated == 300
    assert module.PROFILES["public"].explained == "yeast"


def test_outputs_of_earlier_examples_are_removed(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("out.tsv", "kept.tsv"):
        (tmp_path / name).write_text("x")
    (tmp_path / "run").mkdir()
    command_server.remove_outputs("predict run kept.tsv -o out.tsv".split())
    command_server.remove_outputs("models calibrate kept.tsv -o kept.tsv".split())
    command_server.remove_outputs("train small -o run --resume".split())
    assert sorted(path.name for path in tmp_path.iterdir()) == ["kept.tsv", "run"]
    command_server.remove_outputs("train small -o run".split())
    assert not (tmp_path / "run").exists()
