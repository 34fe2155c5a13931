"""Every Python example of docs/python.md runs, and its comments give the right shapes."""

import ast
import re
from pathlib import Path

import numpy as np
import pytest

pytestmark = pytest.mark.slow

PAGE = Path(__file__).parents[1] / "docs" / "python.md"
SHAPE = re.compile(r"#\s*\(([\d, ]+)\)")


def statements():
    """The page's statements in order, each with its source line in the page."""
    for match in re.finditer(r"```python\n(.*?)```", PAGE.read_text(), flags=re.DOTALL):
        line = PAGE.read_text()[: match.start(1)].count("\n")
        tree = ast.parse(match[1])
        ast.increment_lineno(tree, line)
        yield from tree.body


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    """What the examples leave behind, what they print, and the shapes found and promised."""
    lines, names, printed, shapes = PAGE.read_text().splitlines(), {}, [], []
    names["print"] = lambda *values: printed.append(" ".join(map(str, values)))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("python"))
        for statement in statements():
            value = None
            if isinstance(statement, ast.Expr):
                value = eval(compile(ast.Expression(statement.value), PAGE, "eval"), names)
            else:
                exec(compile(ast.Module([statement], []), PAGE, "exec"), names)
                if isinstance(statement, ast.Assign):
                    value = names.get(getattr(statement.targets[0], "id", None))
            if promised := SHAPE.search(lines[statement.end_lineno - 1]):
                wanted = tuple(int(n) for n in promised[1].split(",") if n.strip())
                shapes.append((statement.end_lineno, tuple(value.shape), wanted))
    return names, printed, shapes


def test_comments_give_the_right_shapes(ran):
    _, _, shapes = ran
    assert len(shapes) == PAGE.read_text().count("  # (") >= 12
    for line, found, wanted in shapes:
        assert found == wanted, f"docs/python.md, line {line}"


def test_the_page_shows_what_is_printed(ran):
    _, printed, _ = ran
    shown = re.search(r"```text\n(.*?)\n```", PAGE.read_text())[1]
    assert printed[0] == re.sub(r"device='\w+'", f"device='{ran[0]['device']}'", shown)
    assert len(printed) == 3


def test_the_examples_agree_with_one_another(ran):
    names, _, _ = ran
    predictor, promoters = names["predictor"], names["promoters"]
    expected = predictor.predict(promoters)
    np.testing.assert_array_equal(names["expression"], expected)
    assert names["table"]["expression"].to_list() == expected[:, 0].tolist()
    np.testing.assert_allclose(
        names["predict"](names["module"], names["inserts"], device="cpu")[:, 0], expected[:, 0],
        atol=1e-5,
    )  # fmt: skip
    assert list(names["metrics"]["sets"]) == ["assay:complex"]


def test_designs_come_near_their_target(ran):
    names, _, _ = ran
    predictor, start = names["predictor"], names["promoters"][0]
    before = predictor.predict([start], medium="complex")[0]
    after = predictor.predict(names["designed"], medium="complex").mean()
    assert abs(after - 8) < abs(before - 8) / 2
    assert {len(design) for design in names["designed"]} == {80}
