"""Names, media and units of the user are drawn letter by letter, dollars included."""

import html
import io
import re
from types import SimpleNamespace

import matplotlib
import numpy as np
import pytest
from matplotlib.figure import Figure

from crmnet.data.check import check
from crmnet.data.dataset import Dataset
from crmnet.data.subset import copy_rows
from crmnet.evaluation.compare_report import comparison_page
from crmnet.evaluation.report import scatter_page
from crmnet.figures.panels import density_scatter, interval_bars, label_histogram, throughput_bars
from crmnet.interpretation.discovery import MotifName, motif_page
from crmnet.motifs.discover import DiscoveredMotif
from crmnet.motifs.pwm import Motif
from crmnet.prediction.profile import profile_figure
from crmnet.reports.dataset_page import check_page
from crmnet.studies.ablate_report import ablation_page

pytestmark = pytest.mark.slow

NAMES = ["p$x_1^2$", r"a\$b $c", r"$\frac{$"]
"""Between two dollars, matplotlib would set mathematics, or fail; of the second it would drop the
backslash."""
Y = np.arange(6.0)


def drawn(figure):
    """All text of a figure, as its SVG file contains it."""
    file = io.BytesIO()
    with matplotlib.rc_context({"svg.fonttype": "none"}):
        figure.savefig(file, format="svg")
    return html.unescape(re.sub("<!--.*?-->", "", file.getvalue().decode(), flags=re.DOTALL))


def panel(draw, *args, **named):
    figure = Figure()
    ax = figure.subplots()
    draw(ax, *args, **named)
    return figure


def estimate(value):
    return SimpleNamespace(value=value, low=value - 0.1, high=value + 0.1)


def comparison(name):
    return SimpleNamespace(
        name=name, n=6, metric="pearson", best=name, estimates={name: {"pearson": estimate(0.5)}},
        significantly_worse=lambda model: False,
    )  # fmt: skip


def ablation(name):
    variant = SimpleNamespace(variant="full", pearson=estimate(0.5), by_seed=[0.5],
                              against_full=None)  # fmt: skip
    return SimpleNamespace(name=name, n=6, variants=[variant])


def evaluation(name):
    scored = SimpleNamespace(name=name, measured=Y, predicted=Y)
    found = {m: {"value": 1.0, "low": 0.9, "high": 1.0} for m in ("pearson", "r2", "mse")}
    return [scored], {"sets": {name: {"n": 6, **found}}}


def profile(name, media):
    predictor = SimpleNamespace(media=[*media, "other"], medium_index=lambda medium: 0)
    track = SimpleNamespace(name=name, start=Y, end=Y + 80, expression=Y[:, None], trust=None)
    return profile_figure(predictor, [track], media)


def motifs(name):
    motif = Motif("M", name, np.ones((4, 6)))
    found = DiscoveredMotif(motif, 1.0, "high", 0.1, 0.1, 0.1, 0.5, 0.1)
    return motif_page([found], [MotifName(name, motif, 1e-9, 1e-9)])


PAGES = {
    "unit of a scatter plot": lambda name: panel(density_scatter, Y, Y, name),
    "unit of a histogram": lambda name: panel(label_histogram, {"m": (Y, Y + 1)}, name),
    "medium of a histogram": lambda name: panel(label_histogram, {name: (Y, Y + 1)}),
    "models": lambda name: panel(interval_bars, [name], [1.0], [[0.5, 1.5]], [True], "r"),
    "throughput": lambda name: panel(throughput_bars, [name], np.array([9.0]), np.array([True])),
    "evaluate": lambda name: scatter_page(*evaluation(name)),
    "compare": lambda name: comparison_page([comparison(name)]),
    "ablate": lambda name: ablation_page([ablation(name)]),
    "profile": lambda name: profile(name, ["complex"]),
    "medium of a profile": lambda name: profile("s", [name]),
    "discover": motifs,
}


@pytest.mark.parametrize("page", PAGES)
@pytest.mark.parametrize("name", NAMES)
def test_dollars_are_drawn(page, name):
    assert name in drawn(PAGES[page](name))


def test_the_name_of_a_data_set_is_drawn(assay, tmp_path):
    copy_rows(assay, range(100), tmp_path / "a$x^2$")
    assert "a$x^2$" in drawn(check_page(check(Dataset.open(tmp_path / "a$x^2$"))))
