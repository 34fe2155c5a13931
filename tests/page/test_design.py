"""The Design tab as a person uses it."""

import json

import pytest
from playwright.sync_api import expect

from page.steps import save
from serving import FAST

START = "GCTGAAAAAAAAGGTTGAAACCAGTTCCCTGAAATTATTCCCCTACTTGACTAATAAGTATATAAAGACGGTAGGTATTG"


def fill_form(page, edits):
    page.get_by_role("tab", name="Design").click()
    page.get_by_label("My promoter").check()
    page.get_by_label("Promoter to change").fill(START)
    page.get_by_label("At most").fill(str(edits))
    page.get_by_label("Number of designs").fill("2")


def use_the_fast_model(page):
    """Let yeast-fast take all three roles; the default models take much longer."""

    def change(route):
        body = {**route.request.post_data_json, **FAST}
        route.continue_(post_data=json.dumps(body))

    page.route("**/api/v1/design", change)


@pytest.mark.parametrize(("size", "colours"), [("desktop", "light"), ("phone", "dark")])
def test_three_edits_and_into_the_first_tab(visit, tmp_path, size, colours):
    page = visit(size, colours)
    if size == "phone":
        use_the_fast_model(page)
    fill_form(page, 3)
    page.get_by_role("button", name="Design", exact=True).click()
    heading = page.get_by_role("heading", name="2 designs", exact=True)
    expect(heading).to_be_visible(timeout=240_000)
    order = save(page, "Download the order sheet", tmp_path).read_text()
    assert order.count("TGCATTTTTTTCACATC") == 2
    page.get_by_role("button", name="Open", exact=False).first.click()
    expect(page.get_by_role("tabpanel", name="Promoter")).to_be_visible()
    expect(page.get_by_role("list", name="Steps")).to_be_visible()
    edits = page.get_by_role("list", name="Steps").get_by_role("listitem").count() - 1
    assert 1 <= edits <= 3


def test_stop_keeps_the_best(visit):
    page = visit()
    use_the_fast_model(page)
    page.get_by_role("tab", name="Design").click()
    page.get_by_text("More rules and options").click()
    page.get_by_label("Search").select_option("annealing")
    page.get_by_role("button", name="Design", exact=True).click()
    expect(page.get_by_text("Best so far")).to_be_visible(timeout=240_000)
    page.get_by_role("button", name="Stop and keep the best").click()
    expect(page.get_by_role("heading", name="Stopped:")).to_be_visible(timeout=240_000)


def test_a_promoter_that_cannot_be_improved_is_explained(visit):
    page = visit()
    result = {"designs": [], "summary": ["a reason"], "order_tsv": ""}
    progress = {"step": 1, "steps": 1, "best": None, "history": []}
    state = {"job": "x", "state": "done", "progress": progress, "result": result, "error": None}
    page.route("**/api/v1/design", lambda route: route.fulfill(json=state, status=202))
    event = f"event: done\ndata: {json.dumps(state)}\n\n"
    page.route(
        "**/api/v1/jobs/x/events",
        lambda route: route.fulfill(body=event, content_type="text/event-stream"),
    )
    fill_form(page, 1)
    page.get_by_role("button", name="Design", exact=True).click()
    expect(page.get_by_text("No change within these rules improves your promoter.")).to_be_visible()
    page.get_by_text("What the search reports").click()
    expect(page.get_by_text("a reason")).to_be_visible()


def test_a_rule_that_cannot_hold_is_explained(visit):
    page = visit()
    page.get_by_role("tab", name="Design").click()
    page.get_by_label("Enzymes that must not cut").fill("NoSuchEnzyme")
    page.get_by_role("button", name="Design", exact=True).click()
    expect(page.locator("#design-problem")).to_contain_text("NoSuchEnzyme")
