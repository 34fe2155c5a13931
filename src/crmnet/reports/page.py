"""One self-contained HTML page: headings, text, tables and pictures in a single file.

:func:`write_page` takes sections of ready parts and writes the file. The functions that make parts
escape all text of the user. The page loads nothing: pictures are in the file, and there is no
script.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

from crmnet.figures.style import BACKGROUND, BLUE, GRID, INK
from crmnet.files import PathLike, write_text_atomically

_TYPES = {".png": "image/png", ".svg": "image/svg+xml"}
"""Suffix → type of pictures that browsers show."""

_STYLE = f"""
body {{ font: 15px/1.5 "DejaVu Sans", "Segoe UI", Helvetica, Arial, sans-serif; color: {INK};
  background: {BACKGROUND}; max-width: 72rem; margin: 2rem auto; padding: 0 1rem; }}
h1 {{ font-size: 1.5rem; }}
h2 {{ font-size: 1.15rem; margin-top: 2.2rem; border-bottom: 1px solid {GRID}; }}
a {{ color: {BLUE}; }}
.wide {{ overflow-x: auto; }}
table {{ border-collapse: collapse; font-size: 0.82rem; }}
th, td {{ padding: 0.25rem 0.6rem; text-align: left; border-bottom: 1px solid {GRID}; }}
th {{ white-space: nowrap; }}
td.number {{ text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }}
td.bases {{ font-family: "DejaVu Sans Mono", Consolas, monospace; font-size: 0.75rem; }}
img {{ height: auto; }}
figure {{ margin: 1rem 0; }}
figcaption {{ font-size: 0.85rem; }}
"""


def write_page(path: PathLike, title: str, sections: Mapping[str, Iterable[str]]) -> None:
    """Write the page.

    Args:
        path: The HTML file.
        title: Its title, as plain text.
        sections: Heading → parts of :func:`paragraph`, :func:`bullets`, :func:`table` and
            :func:`picture`; the parts of an empty heading stand below the title.
    """
    body = [f"<h1>{escape(title)}</h1>"]
    for heading, parts in sections.items():
        body += [f"<h2>{escape(heading)}</h2>"] if heading else []
        body += parts
    text = "\n".join(
        [
            '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f"<title>{escape(title)}</title>\n<style>{_STYLE}</style>\n</head>\n<body>",
            *body,
            "</body>\n</html>\n",
        ]
    )
    write_text_atomically(path, text)


def paragraph(text: str) -> str:
    """A paragraph of plain text."""
    return f"<p>{escape(text)}</p>"


def bullets(lines: Iterable[str]) -> str:
    """A list of lines of plain text."""
    return "<ul>\n" + "\n".join(f"<li>{escape(line)}</li>" for line in lines) + "\n</ul>"


def table(columns: Mapping[str, Sequence[Any]], bases: Sequence[str] = ()) -> str:
    """A table of columns of equal length; numbers stand at the right.

    Args:
        columns: Name → values.
        bases: Names of the columns of sequences.
    """
    head = "".join(f"<th>{escape(name)}</th>" for name in columns)
    rows = []
    for values in zip(*columns.values(), strict=True):
        cells = [_cell(value, name in bases) for name, value in zip(columns, values, strict=True)]
        rows.append(f"<tr>{''.join(cells)}</tr>")
    return (
        f'<div class="wide"><table>\n<thead><tr>{head}</tr></thead>\n<tbody>\n'
        + "\n".join(rows)
        + "\n</tbody></table></div>"
    )


def _cell(value: Any, is_bases: bool) -> str:
    text = str(value)
    kind = "bases" if is_bases else "number" if _is_number(text) else ""
    attribute = f' class="{kind}"' if kind else ""
    return f"<td{attribute}>{escape(text)}</td>"


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def picture(path: PathLike, caption: str, width: int = 60) -> str:
    """A picture of a PNG or SVG file, inside the page, with a caption that also describes it.

    Args:
        path: The file.
        caption: Plain text.
        width: Largest width, in heights of a letter.

    Raises:
        ValueError: If browsers do not show this kind of file.
    """
    path = Path(path)
    kind = _TYPES.get(path.suffix.lower())
    if kind is None:
        raise ValueError(f"{path}: a page shows {' and '.join(_TYPES)} files")
    content = base64.b64encode(path.read_bytes()).decode("ascii")
    return (
        f'<figure><img style="max-width: min(100%, {width}rem)" alt="{escape(caption)}" '
        f'src="data:{kind};base64,{content}">'
        f"<figcaption>{escape(caption)}</figcaption></figure>"
    )
