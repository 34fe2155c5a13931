"""Options that are given several times: of one value, of several, and KEY=VALUE texts."""

import pytest
import typer
from typer.core import TyperOption

from crmnet.cli import COMMANDS, app


def single_options():
    """Words of each command, with the name, metavar and values of each option of one value."""
    groups = typer.main.get_command(app).commands
    for name, command in COMMANDS.items():
        verbs = {"": groups[name]} if not isinstance(command, dict) else groups[name].commands
        for verb, entry in verbs.items():
            for option in entry.params:
                if isinstance(option, TyperOption) and not option.multiple and not option.is_flag:
                    yield [name, verb][: 1 + bool(verb)], option.opts, option.nargs


OPTIONS = list(single_options())


def test_all_commands_have_options_to_check():
    assert len(OPTIONS) > 100


@pytest.mark.parametrize(
    ("words", "names", "values"), OPTIONS, ids=[" ".join([*o[0], o[1][0]]) for o in OPTIONS]
)
def test_an_option_of_one_value_is_refused_the_second_time(
    crmnet, tmp_path, monkeypatch, words, names, values
):
    monkeypatch.chdir(tmp_path)
    first, second = ["7"] * values, ["8"] * values
    status, out, err = crmnet(*words, names[0], *first, names[-1], *second)
    assert (status, out) == (2, "")
    assert f"{'/'.join(names)} is given twice, {' '.join(first)} and {' '.join(second)}" in err
    assert not list(tmp_path.iterdir())


def test_flags_and_options_of_several_values_may_be_repeated(crmnet, tmp_path):
    (tmp_path / "s.txt").write_text("ACGT" * 20 + "\n")
    status, out, err = crmnet(
        "predict", "yeast-fast", tmp_path / "s.txt", "--medium", "complex", "--medium", "defined",
        "--medium", "complex", "--overwrite", "--overwrite",
    )  # fmt: skip
    assert status == 0, err
    assert out.splitlines()[0].split("\t").count("expression_complex") == 1
    assert "expression_defined" in out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("data ingest f -o d --column sequence=a --column sequence=b",
         "--column names sequence twice, a and b"),
        ("predict yeast f --column id=a --column id=b", "--column names id twice, a and b"),
        ("train demo --data d -o r --set epochs=5 --set train.epochs=6",
         "--set changes train.epochs twice, epochs=5 and train.epochs=6"),
        ("demo -o d --set model.heads=5 --set heads=6",
         "--set changes model.heads twice, model.heads=5 and heads=6"),
        ("ablate small --data d --test t -o r --set epochs=5 --set epochs=6",
         "--set changes train.epochs twice"),
        ("ablate small --data d --test t -o r --set seed=5",
         "--set seed=5: this command sets train.seed; use --seeds"),
        ("ablate small --data d --test t -o r --pretrain-set epochs=5 --pretrain-set epochs=6",
         "--pretrain-set changes train.epochs twice, epochs=5 and epochs=6"),
        ("ablate small --data d --test t -o r --pretrain-set epochs=5",
         "--pretrain-set changes pre-training; name its data set with --pretrain"),
    ],
)  # fmt: skip
def test_one_key_has_one_value(crmnet, tmp_path, monkeypatch, words, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "f").write_text("ACGT\t1\n")
    status, out, err = crmnet(*words.split())
    assert (status, out) == (2, "")
    assert message in err
