"""The style of all pages: contents at the left, light and dark, and on paper.

:mod:`crmnet.reports.page` writes :data:`STYLE_SHEET` into each page. Colours come from
:mod:`crmnet.figures.style`. Pictures have a light background, so that they keep it on a dark page.
"""

from __future__ import annotations

from crmnet.figures.style import (
    BACKGROUND,
    BLUE,
    DARK_BACKGROUND,
    DARK_BLUE,
    DARK_GRID,
    DARK_INK,
    DARK_PANEL,
    GRID,
    INK,
    ORANGE,
    PANEL,
)

STYLE_SHEET = f"""
:root {{ color-scheme: light dark; --ink: {INK}; --paper: {BACKGROUND}; --line: {GRID};
  --link: {BLUE}; --panel: {PANEL}; --mark: {ORANGE}; }}
@media (prefers-color-scheme: dark) {{
  :root {{ --ink: {DARK_INK}; --paper: {DARK_BACKGROUND}; --line: {DARK_GRID};
    --link: {DARK_BLUE}; --panel: {DARK_PANEL}; }}
}}
* {{ box-sizing: border-box; }}
html {{ scroll-padding-top: 1rem; }}
body {{ font: 15px/1.55 "DejaVu Sans", "Segoe UI", Helvetica, Arial, sans-serif;
  color: var(--ink); background: var(--paper); margin: 0 auto; max-width: 88rem;
  padding: 0 1.2rem 4rem; display: grid; grid-template-columns: minmax(0, 1fr); gap: 0 2.5rem; }}
main {{ min-width: 0; max-width: 66rem; }}
h1 {{ font-size: 1.6rem; line-height: 1.25; margin: 2rem 0 0.6rem; }}
h2 {{ font-size: 1.2rem; margin: 2.6rem 0 0.8rem; padding-bottom: 0.25rem;
  border-bottom: 2px solid var(--line); }}
h3 {{ font-size: 1rem; margin: 1.6rem 0 0.4rem; }}
p, ul {{ max-width: 46rem; margin: 0.5rem 0; }}
a {{ color: var(--link); }}
.origin {{ font-size: 0.85rem; margin-bottom: 0.2rem; }}
nav {{ font-size: 0.85rem; background: var(--panel); border-radius: 6px;
  padding: 0.8rem 1rem; margin-top: 1.5rem; }}
nav p {{ font-weight: bold; margin: 0 0 0.4rem; }}
nav ol {{ margin: 0; padding-left: 1.5rem; }}
nav li {{ margin: 0.15rem 0; }}
nav a {{ text-decoration: none; }}
nav a:hover, nav a:focus {{ text-decoration: underline; }}
pre.command {{ background: var(--panel); border-left: 3px solid var(--link); margin: 0.4rem 0;
  padding: 0.5rem 0.8rem; font: 0.8rem/1.5 "DejaVu Sans Mono", Consolas, monospace;
  white-space: pre-wrap; overflow-wrap: anywhere; border-radius: 0 4px 4px 0; }}
.wide {{ overflow-x: auto; margin: 0.8rem 0; }}
table {{ border-collapse: collapse; font-size: 0.82rem; }}
caption {{ text-align: left; font-weight: bold; padding: 0.2rem 0 0.4rem; }}
th, td {{ padding: 0.3rem 0.7rem; text-align: left; vertical-align: top;
  border-bottom: 1px solid var(--line); }}
th {{ border-bottom-width: 2px; }}
td.number {{ text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }}
th.number {{ text-align: right; }}
.interval {{ display: block; font-size: 0.9em; opacity: 0.85; white-space: normal; }}
td.bases {{ font-family: "DejaVu Sans Mono", Consolas, monospace; font-size: 0.75rem;
  min-width: 20rem; overflow-wrap: anywhere; }}
td.missing {{ font-style: italic; white-space: nowrap; }}
p.missing {{ border-left: 3px solid var(--mark); padding-left: 0.8rem; }}
img {{ height: auto; background: {BACKGROUND}; border-radius: 4px; padding: 0.4rem; }}
figure {{ margin: 1rem 0; }}
figcaption {{ font-size: 0.85rem; max-width: 46rem; }}
details {{ margin: 0.5rem 0; font-size: 0.95em; }}
summary {{ cursor: pointer; color: var(--link); font-size: 0.85rem; }}
:focus-visible {{ outline: 2px solid var(--link); outline-offset: 2px; }}
@media (min-width: 70rem) {{
  body:has(> nav) {{ grid-template-columns: 15rem minmax(0, 1fr); }}
  nav {{ position: sticky; top: 1.5rem; align-self: start; max-height: calc(100vh - 3rem);
    overflow-y: auto; }}
}}
@media print {{
  :root {{ --ink: {INK}; --paper: {BACKGROUND}; --line: {GRID}; --link: {BLUE};
    --panel: {PANEL}; color-scheme: light; }}
  body {{ display: block; font-size: 10pt; padding: 0; max-width: none; }}
  nav {{ position: static; break-after: avoid; }}
  h2, h3, caption, .origin {{ break-after: avoid; }}
  figure, tr, pre.command {{ break-inside: avoid; }}
  img {{ max-height: 22cm; padding: 0; }}
  .wide {{ overflow: visible; }}
  table {{ font-size: 8pt; }}
  th, td {{ padding: 0.15rem 0.35rem; }}
  th, td.number {{ white-space: normal; }}
  details::details-content {{ content-visibility: visible; height: auto; }}
}}
"""
