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
    expect(page.get_by_text("(value by the model of the search)")).to_be_visible()
    page.get_by_role("button", name="Stop and keep the best").click()
    expect(page.get_by_role("heading", name="Stopped:")).to_be_visible(timeout=240_000)


def answer_with(page, state, *designs, started=True, history=()):
    """Let the server answer each design with a job in this state; returns the requests."""
    result = {"designs": designs, "summary": ["a reason"], "order_tsv": ""} if started else None
    progress = {"step": 1, "steps": 1, "best": None, "history": history}
    job = {"job": "x", "state": state, "progress": progress, "result": result, "error": None}
    asked = []

    def start(route):
        asked.append(route.request.post_data_json)
        route.fulfill(json=job, status=202)

    page.route("**/api/v1/design", start)
    event = f"event: done\ndata: {json.dumps(job)}\n\n"
    page.route(
        "**/api/v1/jobs/x/events",
        lambda route: route.fulfill(body=event, content_type="text/event-stream"),
    )
    return asked


ESTIMATES = {"complex": 11.25, "defined": 12.25}
DESIGN = {
    "rank": 1, "id": "design_01", "sequence": START, "start_sequence": START, "edits": 0,
    "expression": {name: {"value": value, "low": None, "high": None}
                   for name, value in ESTIMATES.items()},
    "judge": {"complex": 3.25, "defined": 4.25}, "oracle": 12.0, "gap": 7.75, "flags": [],
    "constraints_met": True,
}  # fmt: skip


def test_the_judge_is_another_model_and_its_value_is_in_the_medium_of_the_goal(visit):
    page = visit()
    asked = answer_with(page, "done", DESIGN, history=[11.5, 12.0])
    fill_form(page, 1)
    page.get_by_label("In medium", exact=True).select_option("defined")
    page.get_by_role("button", name="Design", exact=True).click()
    expect(page.locator("#designs .lead")).to_contain_text("12.25 in defined medium")
    expect(page.locator("#designs .lead")).to_contain_text("gives 4.25")
    cells = page.locator("#designs tbody td.number").all_inner_texts()
    assert cells == ["12.25", "4.25", "+7.75", "11.25"]
    page.get_by_text("Course of the search").click()
    curve = page.get_by_label("Value of the best design at each step, from 11.50 to 12.00")
    expect(curve).to_be_visible()
    assert asked[0]["oracle"] == "yeast-fast" and not {"judge", "ranker"} & set(asked[0])


def test_a_base_for_an_n_is_not_listed_as_a_change(visit):
    page = visit()
    start = "NN" + START[2:]
    one = DESIGN | {"start_sequence": start, "sequence": START[:2] + "A" + START[3:], "edits": 1}
    answer_with(page, "done", one)
    fill_form(page, 1)
    page.get_by_role("button", name="Design", exact=True).click()
    lead = page.locator("#designs .lead")
    expect(lead).to_contain_text("It changes 1 base: 3T>A, and chooses a base for each N (2).")
    expect(page.get_by_role("cell", name="3T>A", exact=True)).to_be_visible()
    page.get_by_role("button", name="Open", exact=False).first.click()
    expect(page.get_by_role("tabpanel", name="Promoter")).to_be_visible()
    expect(page.get_by_label("Paste your promoters")).to_have_value(
        f">design_01\n{one['sequence']}\n"
    )


def test_a_design_that_is_stopped_while_it_waits_says_so(visit):
    page = visit()
    answer_with(page, "stopped", started=False)
    fill_form(page, 1)
    page.get_by_role("button", name="Design", exact=True).click()
    expect(page.get_by_text("The search had not started, so there is no design.")).to_be_visible()
    expect(page.get_by_role("button", name="Design", exact=True)).to_be_enabled()
    expect(page.locator("#design-problem")).to_be_empty()


def test_a_promoter_that_cannot_be_improved_is_explained(visit):
    page = visit()
    answer_with(page, "done")
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
