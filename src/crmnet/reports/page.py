"""One self-contained HTML page: contents, headings, text, commands, tables and pictures.

:func:`write_page` takes sections of ready parts and writes the file. The functions that make parts
escape all text of the user. The page loads nothing: pictures and style are in the file, and there
is no script. All pages of the package have this form; the style is in
:mod:`crmnet.reports.page_style`.
"""

from __future__ import annotations

import base64
import importlib.metadata
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

from crmnet.figures.style import STYLE
from crmnet.files import PathLike, write_text_atomically
from crmnet.reports.page_style import STYLE_SHEET

_TYPES = {".png": "image/png", ".svg": "image/svg+xml"}
"""Suffix → type of pictures that browsers show."""
LETTERS_PER_INCH = 7
"""Size of pictures: heights of a letter for each inch of the figure."""
NOT_RUN = "not run"
"""What a page shows in place of a number that was not measured."""
NUMBERS_BEHIND = "The numbers behind this picture"


def write_page(
    path: PathLike,
    title: str,
    sections: Mapping[str, Iterable[str]],
    *,
    made_by: str | None = None,
) -> None:
    """Write the page.

    Args:
        path: The HTML file.
        title: Its title, as plain text.
        sections: Heading → parts of the functions of this module; the parts of an empty heading
            stand below the title. With several headings the page has a list of contents.
        made_by: The command that made the page, which stands below the title.
    """
    headings = [heading for heading in sections if heading]
    body = [_contents(title, headings)] if len(headings) > 1 else []
    body += ["<main>", f"<header>\n<h1>{escape(title)}</h1>"]
    body += [_origin(made_by), "</header>"]
    for heading, parts in sections.items():
        if heading:
            number = headings.index(heading) + 1
            body += [f'<section id="section-{number}">', f"<h2>{escape(heading)}</h2>"]
        body += [*parts, *["</section>"] * bool(heading)]
    text = "\n".join(
        [
            '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            '<meta name="color-scheme" content="light dark">',
            f"<title>{escape(title)}</title>\n<style>{STYLE_SHEET}</style>\n</head>\n<body>",
            *body,
            "</main>\n</body>\n</html>\n",
        ]
    )
    write_text_atomically(path, text)


def _contents(title: str, headings: Sequence[str]) -> str:
    entries = "\n".join(
        f'<li><a href="#section-{number}">{escape(heading)}</a></li>'
        for number, heading in enumerate(headings, 1)
    )
    return f'<nav aria-label="Contents">\n<p>{escape(title)}</p>\n<ol>\n{entries}\n</ol>\n</nav>'


def _origin(made_by: str | None) -> str:
    version = f"crmnet {importlib.metadata.version('crmnet')}"
    line = f'<p class="origin">Made by {version}'
    return f"{line} with this command:</p>\n{command(made_by)}" if made_by else f"{line}.</p>"


def paragraph(text: str) -> str:
    """A paragraph of plain text."""
    return f"<p>{escape(text)}</p>"


def missing(what: str, reason: str) -> str:
    """A line that says that something was not run, and why."""
    return f'<p class="missing"><strong>{escape(what)}: {NOT_RUN}.</strong> {escape(reason)}</p>'


def subheading(text: str) -> str:
    """A heading within a section, which is not among the contents."""
    return f"<h3>{escape(text)}</h3>"


def command(lines: str | Iterable[str]) -> str:
    """Commands as one would type them, one a line."""
    text = lines if isinstance(lines, str) else "\n".join(lines)
    return f'<pre class="command"><code>{escape(text)}</code></pre>'


def bullets(lines: Iterable[str]) -> str:
    """A list of lines of plain text."""
    return "<ul>\n" + "\n".join(f"<li>{escape(line)}</li>" for line in lines) + "\n</ul>"


def folded(summary: str, parts: Iterable[str]) -> str:
    """Parts that appear when the reader opens them, and in print."""
    inside = "\n".join(parts)
    return f"<details>\n<summary>{escape(summary)}</summary>\n{inside}\n</details>"


def table(
    columns: Mapping[str, Sequence[Any]], bases: Sequence[str] = (), *, caption: str = ""
) -> str:
    """A table of columns of equal length; numbers stand at the right.

    Args:
        columns: Name → values.
        bases: Names of the columns of sequences.
        caption: Plain text above the table.
    """
    numeric = {
        name: bool(values) and all(_is_number(str(value)) for value in values)
        for name, values in columns.items()
    }
    head = "".join(
        f'<th scope="col"{" class=number" if numeric[name] else ""}>{escape(name)}</th>'
        for name in columns
    )
    rows = []
    for values in zip(*columns.values(), strict=True):
        cells = [_cell(value, name in bases) for name, value in zip(columns, values, strict=True)]
        rows.append(f"<tr>{''.join(cells)}</tr>")
    title = f"<caption>{escape(caption)}</caption>\n" if caption else ""
    return (
        f'<div class="wide" tabindex="0"><table>\n{title}<thead><tr>{head}</tr></thead>\n<tbody>\n'
        + "\n".join(rows)
        + "\n</tbody></table></div>"
    )


def _cell(value: Any, is_bases: bool) -> str:
    text = str(value)
    kind = "bases" if is_bases else "number" if _is_number(text) else ""
    kind = "missing" if text == NOT_RUN else kind
    attribute = f' class="{kind}"' if kind else ""
    shown = escape(text)
    if kind == "number" and text.endswith("]"):
        number, _, interval = shown.partition(" [")
        shown = f'{number} <span class="interval">[{interval}</span>'
    return f"<td{attribute}>{shown}</td>"


def _is_number(text: str) -> bool:
    """Whether a cell is a number, also with commas, an interval or a percent sign after it."""
    try:
        float(text.split(" [")[0].removesuffix("%").strip().replace(",", ""))
    except ValueError:
        return False
    return True


def picture(
    path: PathLike,
    caption: str,
    width: int = 60,
    *,
    alt: str = "",
    values: Mapping[str, Sequence[Any]] | None = None,
) -> str:
    """A picture of a PNG or SVG file, inside the page, with a caption.

    Args:
        path: The file.
        caption: Plain text.
        width: Largest width, in heights of a letter. A PNG file is not shown larger than it
            was drawn.
        alt: What the picture shows, for readers who do not see it; the caption if empty.
        values: Columns of the numbers that the picture shows, as a table that can be opened.

    Raises:
        ValueError: If browsers do not show this kind of file.
    """
    path = Path(path)
    kind = _TYPES.get(path.suffix.lower())
    if kind is None:
        raise ValueError(f"{path}: a page shows {' and '.join(_TYPES)} files")
    content = path.read_bytes()
    width = min(width, _natural_width(content) or width)
    encoded = base64.b64encode(content).decode("ascii")
    numbers = folded(NUMBERS_BEHIND, [table(values)]) if values else ""
    return (
        f'<figure><img style="max-width: min(100%, {width}rem)" alt="{escape(alt or caption)}" '
        f'src="data:{kind};base64,{encoded}">'
        f"<figcaption>{escape(caption)}</figcaption>{numbers}</figure>"
    )


def _natural_width(content: bytes) -> int | None:
    """Width at which a PNG picture has the size it was drawn at, in heights of a letter."""
    if content[12:16] != b"IHDR":
        return None
    pixels = int.from_bytes(content[16:20], "big")
    return max(1, round(pixels / STYLE["savefig.dpi"] * LETTERS_PER_INCH))
