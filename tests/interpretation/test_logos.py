"""Selection of the sites to draw, and pages of logos."""

import numpy as np
import pytest

from crmnet.figures.logo import Site
from crmnet.interpretation.logos import (
    LogoOptions,
    LogoPanel,
    logo_page,
    named_sites,
    share_exceeded,
    site_sums,
    supported_sites,
)
from crmnet.motifs.pwm import Motif
from crmnet.motifs.scan import Hits

VALUES = np.array([[1.0, 0, 0, -3, 0]])


def hits(*places, q=0.01):
    """Hits of motif 0 in row 0, smallest p first."""
    start, end = np.array(places).T
    many = len(places)
    return Hits(np.zeros(many, int), np.zeros(many, int), start, end, np.array(["+"] * many),
                np.ones(many), np.arange(1, many + 1) / 1e4, np.full(many, q))  # fmt: skip


def test_sums_and_shares_by_hand():
    sites = hits((3, 5), (0, 2), (3, 4))
    np.testing.assert_allclose(site_sums(VALUES, sites), [-3, 1, -3])
    # Pairs sum to 1, 0, -3, -3; single bases to 1, 0, 0, -3, 0.
    np.testing.assert_allclose(share_exceeded(VALUES, sites), [2 / 4, 1 / 4, 4 / 5])
    # Larger attributions in another promoter have no influence.
    two = np.concatenate([VALUES, 100 * np.ones((1, 5))])
    np.testing.assert_allclose(share_exceeded(two, sites), [2 / 4, 1 / 4, 4 / 5])


def test_hits_with_large_q_or_weak_attributions_are_left_out():
    sites = hits((0, 2), (1, 3))
    assert supported_sites(sites, np.array([0.95, 0.5])).start.tolist() == [0]
    assert not len(supported_sites(hits((0, 2), q=0.2), np.array([1.0])).row)


def test_a_site_that_overlaps_a_better_one_is_not_named():
    motifs = [Motif("REB1", "M", np.ones((4, 8)))]
    assert named_sites(motifs, hits((10, 18), (12, 20), (30, 38)), 0) == [
        Site("REB1", 10, 18, "+"), Site("REB1", 30, 38, "+"),
    ]  # fmt: skip


@pytest.mark.parametrize("many", [1, 12])
def test_a_page_labels_positions_and_unit(many):
    values = np.zeros((4, 80))
    values[0, 20:28] = 1
    sites = [Site("REB1", 20, 28, "+"), Site("ABF1", 22, 35, "-")]
    page = logo_page([LogoPanel("promoter", values, sites)] * many, "bins")
    assert page.get_supylabel() == "attribution (bins)" and "from 0" in page.get_supxlabel()
    wide, high = page.get_size_inches()
    assert wide == 7.2 and many < high < 2 * many + 0.5
    top, under = page.axes[:2]
    assert top.get_title(loc="left") == "promoter" or top.get_title() == "promoter"
    assert top.get_xticks().tolist() == [i + 0.5 for i in range(0, 80, 10)]
    assert [t.get_text() for t in top.get_xticklabels()] == [str(i) for i in range(0, 80, 10)]
    assert [t.get_text() for t in under.texts] == ["REB1", "ABF1"]


@pytest.mark.parametrize("wrong", [{"format": "gif"}, {"per_page": 0}, {"max_logos": -1}])
def test_invalid_options_are_rejected(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        LogoOptions(**wrong)
