"""Figures of a design: oracle against judge, search and edits, logos with sites."""

from __future__ import annotations

from pathlib import Path

import matplotlib
from matplotlib.figure import Figure

from crmnet.choices import PictureFormat
from crmnet.design.annotate import Annotated
from crmnet.design.designs import Designs
from crmnet.figures.design import judged_scatter, path_lines, search_lines
from crmnet.figures.style import STYLE, literal
from crmnet.files import PathLike
from crmnet.interpretation.attribute import unit_of
from crmnet.interpretation.logos import logo_page
from crmnet.reports.figures import save_figure

LOGOS_PER_PAGE = 6


def unit_text(designs: Designs) -> str:
    """Unit of the values, such as bins; empty if it is unknown."""
    objective = designs.objective
    unit = unit_of(designs.panel.oracle.predictor, objective.medium, objective.minus)
    return unit or ""


def write_pictures(
    folder: PathLike, designs: Designs, annotated: Annotated, form: PictureFormat
) -> list[Path]:
    """Write ``judged``, ``search`` and pages of logos; returns their paths."""
    folder = Path(folder)
    paths = [folder / f"judged.{form}", folder / f"search.{form}"]
    unit = literal(unit_text(designs))
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(4.4, 4.4), layout="constrained")
        judged_scatter(
            figure.subplots(), (designs.oracle_start, designs.oracle),
            (designs.judge_start, designs.judge), unit,
        )  # fmt: skip
        save_figure(figure, paths[0])
        figure = Figure(figsize=(8.6, 3.4), layout="constrained")
        left, right = figure.subplots(1, 2)
        search_lines(left, designs.history)
        path_lines(right, [path.value for path in designs.paths], unit)
        save_figure(figure, paths[1])
        titles = [
            f"{name}    oracle {oracle:.2f}, judge {judge:.2f}"
            for name, oracle, judge in zip(designs.ids, designs.oracle, designs.judge, strict=True)
        ]
        panels = annotated.panels(titles)
        for page, first in enumerate(range(0, len(panels), LOGOS_PER_PAGE), 1):
            figure = logo_page(
                panels[first : first + LOGOS_PER_PAGE], unit_text(designs) or None,
                difference=designs.objective.minus is not None,
            )  # fmt: skip
            paths.append(folder / f"logos-{page}.{form}")
            save_figure(figure, paths[-1])
    return paths
