"""Selection of the sites to draw, and pages of logos."""

import numpy as np
import pytest

from crmnet.figures.logo import Site
from crmnet.interpretation.inserts import find_inserts
from crmnet.interpretation.logos import (
    LogoOptions,
    LogoPanel,
    agreement,
    insert_sites,
    logo_page,
    share_exceeded,
    site_bases,
    site_name,
    site_sums,
    sites_to_draw,
    supported_sites,
)
from crmnet.motifs.pwm import Motif
from crmnet.motifs.scan import Hits, ScanOptions
from crmnet.sequence import encode, prepare

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
    assert supported_sites(sites, np.array([0.95, 0.5])).tolist() == [True, False]
    assert supported_sites(hits((0, 2), q=0.2), np.array([1.0])).tolist() == [False]


def test_of_overlapping_sites_the_one_that_explains_the_attributions_best_is_drawn():
    sites = hits((10, 18), (12, 20), (30, 38))  # smallest p first
    all_supported = [True] * 3
    assert sites_to_draw(sites, all_supported, [1.0, 2.0, 0.5]) == [1, 2]
    assert sites_to_draw(sites, all_supported, [2.0, 1.0, 0.5]) == [0, 2]
    assert sites_to_draw(sites, all_supported, [1.0, -2.0, 0.5]) == [1, 2]  # it lowers expression
    assert sites_to_draw(sites, [True, False, True], [1.0, 2.0, 0.5]) == [0, 2]
    # A wide site does not hide behind a narrow one that lies off its middle.
    assert sites_to_draw(hits((0, 20), (0, 6)), [True] * 2, [1.0, 2.0]) == [1]


def test_agreement_is_the_cosine_between_matrix_and_attributions():
    counts = np.array([[9.0, 1, 1], [1, 9, 1], [1, 1, 9], [1, 1, 1]])
    motif = Motif("M", "M1", counts)
    tokens = encode(["TACGTCGTT"])[0]
    values = np.zeros((1, 4, 9))
    values[0, :, 1:4] = 2 * motif.log_odds()
    values[0, :, 5:8] = -motif.reverse_complement.log_odds()
    sites = hits((1, 4), (5, 8))._replace(strand=np.array(["+", "-"]))
    found = agreement(values, tokens, [motif], sites, observed=False)
    np.testing.assert_allclose(found.cosine, [1, -1])
    centred = motif.log_odds() - motif.log_odds().mean(axis=0)
    np.testing.assert_allclose(found.explained, np.array([2, -1]) * np.linalg.norm(centred))
    assert site_bases(tokens, sites) == ["ACG", "ACG"]
    # Attributions of the observed bases only are compared with the matrix at these bases.
    observed = values * (np.arange(4)[:, None] == tokens[0])
    only = agreement(observed, tokens, [motif], sites, observed=True)
    np.testing.assert_allclose(only.cosine, [1, -1])


@pytest.mark.parametrize(
    ("bases", "certain", "name"),
    [
        ("TTACCCGG", True, "REB1"), ("TTACCCGG", False, "REB1?"),
        ("CAAAAAAAAAAA", True, "poly-A/T"), ("TTTTTTCT", False, "poly-A/T"),
        ("GTATAAAAG", True, "TATA box"), ("CTTTTATAC", False, "TATA box"),
    ],
)  # fmt: skip
def test_tracts_and_tata_boxes_have_their_names_and_guesses_a_question_mark(bases, certain, name):
    assert site_name("REB1", bases, certain) == name


def test_sites_reach_into_the_adapter_and_those_of_the_adapter_are_left_out():
    tokens = prepare(*encode(["ACCCGG" + "GTCA" * 13 + "TT"]), "add")[0]
    tokens[0, 15:17] = 3  # the adapter ends in TT
    motif = Motif("REB1", "M", 20 * one_hot_columns("TTACCCGG"))
    tract = Motif("tract", "T", 20 * one_hot_columns("TTTTTTT"))
    inserts = find_inserts(tokens)
    assert (inserts.start[0], inserts.stop[0]) == (17, 77)
    found = insert_sites(tokens, inserts, [motif, tract], ScanOptions(p_value=1e-4))
    assert found.start.tolist() == [15] and found.motif.tolist() == [0]
    # 60 windows of 8 bases have their middle on the insert, on two strands.
    assert found.q[0] == pytest.approx(found.p[0] * 60 * 2)


def one_hot_columns(text):
    return (np.arange(4)[:, None] == encode([text])[0]).astype(float)


@pytest.mark.parametrize("many", [1, 12])
def test_a_page_labels_positions_and_unit(many):
    values = np.zeros((4, 80))
    values[0, 20:28] = 1
    sites = [Site("REB1", 20, 28, "+"), Site("ABF1", 22, 35, "-")]
    page = logo_page([LogoPanel("promoter", values, sites)] * many, "bins")
    assert page.get_supylabel() == "attribution (bins)" and "from 1" in page.get_supxlabel()
    difference = logo_page([LogoPanel("promoter", values, sites)], "bins", difference=True)
    assert "pale letters lower the predicted difference" in difference.get_supxlabel()
    assert "pale letters lower the predicted expression" in page.get_supxlabel()
    wide, high = page.get_size_inches()
    assert wide == 7.2 and many < high < 2 * many + 0.65
    top, under = page.axes[:2]
    assert top.get_title(loc="left") == "promoter" or top.get_title() == "promoter"
    assert top.get_xticks().tolist() == [i - 0.5 for i in (1, *range(10, 81, 10))]
    shown = [t.get_text() for t in top.get_xticklabels()]
    assert shown == ["1", *(str(i) for i in range(10, 81, 10))]
    assert [t.get_text() for t in under.texts] == ["REB1", "ABF1"]


@pytest.mark.parametrize("wrong", [{"format": "gif"}, {"per_page": 0}, {"max_logos": -1}])
def test_invalid_options_are_rejected(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        LogoOptions(**wrong)


def test_logos_of_a_page_have_one_scale_unless_each_asks_for_its_own():
    small, large = np.zeros((4, 60)), np.zeros((4, 80))
    small[0, 3], large[0, 3] = 1, 10
    panels = [LogoPanel("a", small, []), LogoPanel("b", large, [], first=18)]
    same = logo_page(panels, "bins").axes[::2]
    assert same[0].get_ylim() == same[1].get_ylim()
    own = logo_page(panels, "bins", own_scale=True).axes[::2]
    assert own[0].get_ylim()[1] < 2 < own[1].get_ylim()[1]
    assert [t.get_text() for t in own[1].get_xticklabels()][:3] == ["20", "30", "40"]
    assert own[1].get_xticks()[0] == 2.5


@pytest.mark.parametrize("name", ["SynP1_w$t^2$", "p$1", "$ $ \\frac{", "a$b$c_{"])
def test_dollars_in_names_are_shown_as_they_are(name, tmp_path):
    panel = LogoPanel(name, np.ones((4, 20)), [Site(name, 2, 9, "+")])
    page = logo_page([panel], name)
    page.savefig(tmp_path / "page.svg")
    texts = [text for ax in page.axes for text in (ax.title, ax._left_title, *ax.texts)]
    assert [t.get_parse_math() for t in texts if t.get_text() == name] == [False, False]
