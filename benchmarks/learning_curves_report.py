"""Table and figure of the learning curves that ``learning_curves.py`` measured.

    python benchmarks/learning_curves_report.py NAME.tsv [NAME.tsv ...] -o FOLDER

Each file holds the rows of one medium, and NAME ends with the name of the medium after ``_``. The
figure has a panel for each. Points are means over the seeds; bands and brackets are 95 % intervals
from resampled test families, also averaged over the seeds.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import matplotlib
import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from crmnet.figures.style import CYCLE, STYLE
from crmnet.reports.figures import save_figure

LABELS = {
    "ridge": "6-mer ridge",
    "auto": "auto, own rows alone",
    "measured": "finetune, base of measured rows",
    "new": "finetune, base with labels",
    "new, strict": "the same, own inserts unseen",
}
"""Method → how the figure and the table name it, in the order of the study."""


def means(path: Path) -> pl.DataFrame:
    """The mean over the seeds for each method and number of rows."""
    table = pl.read_csv(path, separator="\t")
    return (
        table.group_by("method", "rows", maintain_order=True)
        .agg(pl.all().exclude("seed").mean(), pl.len().alias("seeds"))
        .sort("rows")
    )


def markdown(table: pl.DataFrame) -> str:
    """A row for each method, a column for each number of own rows: R² with its interval."""
    sizes = sorted(table["rows"].unique())
    lines = [
        "| R² | " + " | ".join(f"{size:,} rows" for size in sizes) + " |",
        "|---" * (len(sizes) + 1) + "|",
    ]
    for method, label in LABELS.items():
        cells = [label]
        for size in sizes:
            found = table.filter((pl.col("method") == method) & (pl.col("rows") == size))
            cells += [
                f"{row['r2']:.2f} [{row['r2_low']:.2f}, {row['r2_high']:.2f}]"
                for row in found.iter_rows(named=True)
            ] or ["–"]
        if set(cells[1:]) != {"–"}:
            lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def draw_panel(axes: Axes, table: pl.DataFrame, medium: str) -> None:
    """R² against the number of own rows, a line for each method."""
    for colour, (method, label) in zip(CYCLE, LABELS.items(), strict=False):
        part = table.filter(pl.col("method") == method)
        axes.plot(part["rows"], part["r2"], "o-", color=colour, label=label)
        axes.fill_between(part["rows"], part["r2_low"], part["r2_high"], color=colour, alpha=0.15)
    sizes = sorted(table["rows"].unique())
    axes.set(title=medium, xscale="log", xlabel="own rows", ylim=(0, 1))
    axes.set_xticks(sizes, [f"{size:,}" for size in sizes])
    axes.minorticks_off()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("tables", type=Path, nargs="+")
    parser.add_argument("-o", "--output", type=Path, required=True, help="folder of the figure")
    options = parser.parse_args()
    tables = {path.stem.rpartition("_")[2]: means(path) for path in options.tables}
    for medium, table in tables.items():
        print(f"{medium}, {table['seeds'].min()} to {table['seeds'].max()} seeds\n")
        print(markdown(table))
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(4 * len(tables) + 2.6, 3.4), layout="constrained")
        panels = figure.subplots(1, len(tables), sharey=True, squeeze=False)[0]
        for axes, (medium, table) in zip(panels, tables.items(), strict=True):
            draw_panel(axes, table, medium)
        panels[0].set_ylabel("R² on unseen families")
        panels[-1].legend(loc="center left", bbox_to_anchor=(1, 0.5), frameon=False)
        save_figure(figure, options.output / "learning-curves.png")


if __name__ == "__main__":
    main()
