"""axe-core finds nothing against WCAG AA in any tab, at both sizes, in light and dark."""

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

from page.steps import promoters, settled, show_promoter

TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
TDH3 = "GCTGAAAAAAAAGGTTGAAACCAGTTCCCTGAAATTATTCCCCTACTTGACTAATAAGTATATAAAGACGGTAGGTATTG"
WIDTHS = (320, 600, 768, 1024, 1920)
"""A small phone, tablets, a small and a large screen or projector."""


def violations(page):
    options = {"runOnly": {"type": "tag", "values": TAGS}, "resultTypes": ["violations"]}
    found = Axe().run(page, options=options).response["violations"]
    return [(one["id"], [node["html"][:200] for node in one["nodes"][:3]]) for one in found]


def wide(page):
    """How far the page is wider than its window."""
    return page.evaluate("document.documentElement.scrollWidth - window.innerWidth")


def open_all(page):
    page.evaluate("document.querySelectorAll('details').forEach(one => { one.open = true; })")
    page.wait_for_timeout(200)


def edited_promoter(page):
    show_promoter(page, f">TDH3\n{TDH3}")
    page.locator(".map .cell:not(.same)").first.click()
    expect(page.get_by_text("All edits together:")).to_be_visible()
    settled(page)
    open_all(page)


def several_promoters(page):
    show_promoter(page, f"id\tsequence\na\t{TDH3}\nb\t{'AT' * 40}")
    page.get_by_role("button", name="b", exact=True).click()
    expect(page.get_by_text("Take this prediction with care.")).to_be_visible()
    settled(page)


def batch(page):
    page.get_by_role("tab", name="Batch").click()
    page.get_by_label("Predict and rank many promoters").fill(promoters(60))
    page.get_by_role("button", name="Predict all").click()
    page.wait_for_selector("#batch-result table")
    open_all(page)


def design(page):
    page.get_by_role("tab", name="Design").click()
    page.get_by_label("My promoter").check()
    page.get_by_label("Strong in one medium, weak in another").check()
    open_all(page)


def models(page):
    page.get_by_role("tab", name="Models").click()
    open_all(page)
    page.wait_for_selector("#models pre")


@pytest.mark.parametrize("show", [edited_promoter, several_promoters, batch, design, models])
def test_no_violation_and_nothing_too_wide(page, show):
    show(page)
    assert violations(page) == []
    assert wide(page) <= 0
    height = page.viewport_size["height"]
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": height})
        page.wait_for_timeout(100)  # figures are drawn again
        assert wide(page) <= 0, width


def test_the_theme_button_changes_the_colours_and_is_kept(visit):
    page = visit()
    ground = "getComputedStyle(document.body).backgroundColor"
    before = page.evaluate(ground)
    page.get_by_role("button", name="Dark colours").click()
    assert page.evaluate(ground) != before
    page.reload()
    page.wait_for_selector("html[data-ready]")
    assert page.evaluate(ground) != before
    page.get_by_role("button", name="Light colours").click()
    assert page.evaluate(ground) == before


def test_figures_have_a_text_and_a_table(visit):
    page = visit()
    show_promoter(page, TDH3)
    for figure in page.locator("svg[role=img], svg[role=grid]").all():
        assert len(figure.get_attribute("aria-label")) > 20
    for name in ("expression", "all single mutations, complex", "attributions, complex", "sites"):
        page.get_by_text(f"Table of the {name}").or_(page.get_by_text(f"Table of {name}")).click()
    expect(page.locator("details table")).to_have_count(4)  # the browser reports a click later
