"""The Promoter tab as a person uses it."""

import re

import pytest
from playwright.sync_api import expect

from crmnet.sequence import ADAPTER_3, ADAPTER_5
from page.steps import promoters, settled, show_promoter

TDH3 = "GCTGAAAAAAAAGGTTGAAACCAGTTCCCTGAAATTATTCCCCTACTTGACTAATAAGTATATAAAGACGGTAGGTATTG"
TABLE = "id\tsequence\nfirst\t" + TDH3 + "\nsecond\t" + TDH3[::-1] + "\n"
FASTA = f">first\n{TDH3[:40]}\n{TDH3[40:].lower()}\n>second\n{TDH3[::-1]}\n"
LINES = f"{TDH3}\n{TDH3[::-1]}\n"


def cell(page, position, base):
    row = "ACGT".index(base)
    return page.locator(f".map [data-row='{row}'][data-index='{position - 1}']")


def value(page, medium="complex"):
    """The expression that the card shows."""
    card = page.locator(".expression").filter(has=page.get_by_role("heading", name=medium))
    return float(card.locator("strong").inner_text().replace("−", "-"))


def test_paste_mutate_undo_and_share(page, visit):
    show_promoter(page, f">TDH3\n{TDH3}")
    expect(page.locator("#meaning")).to_contain_text("TDH3 is predicted to be")
    before = value(page)

    cell(page, 60, "C").click()
    expect(page.get_by_role("heading", name="TDH3 with 1 edit")).to_be_visible()
    settled(page)
    edited = value(page)
    assert edited != before
    expect(page.get_by_text("All edits together:")).to_be_visible()
    address = page.url
    assert "60A%3EC" in address

    page.get_by_role("button", name="Undo").click()
    expect(page.get_by_role("heading", name="TDH3", exact=True)).to_be_visible()
    assert value(page) == before
    page.get_by_role("button", name="Redo").click()
    expect(page.get_by_role("heading", name="TDH3 with 1 edit")).to_be_visible()
    assert value(page) == edited

    other = visit(fragment=address[address.index("#") :])
    other.wait_for_selector(".logo")
    expect(other.get_by_role("heading", name="TDH3 with 1 edit")).to_be_visible()
    assert value(other) == edited


def test_a_missing_adapter_is_completed_everywhere(visit):
    page = visit()
    show_promoter(page, TDH3)
    insert = value(page)
    show_promoter(page, f">half\n{ADAPTER_5}{TDH3}")
    note = page.get_by_text("The pasted sequence has only one of the two adapters")
    expect(page.get_by_role("heading", name="half", exact=True)).to_be_visible()
    expect(note).to_have_count(1)
    assert value(page) == insert
    assert page.locator(".map [data-row='0']").count() == 80
    page.get_by_label("Paste your promoters").fill(f"{ADAPTER_5}{TDH3}{ADAPTER_3}")
    expect(page.get_by_role("heading", name="promoter 1", exact=True)).to_be_visible()
    expect(note).to_have_count(0)
    assert value(page) == insert

    page.get_by_role("tab", name="Batch").click()
    page.get_by_label("Predict and rank many promoters").fill(f">half\n{TDH3}{ADAPTER_3}")
    page.get_by_role("button", name="Predict all").click()
    page.locator("#batch-result tbody th button").first.click()
    expect(note).to_have_count(1)
    assert value(page) == insert


def test_a_design_starts_from_the_insert_with_both_adapters(visit):
    page = visit()
    page.get_by_role("tab", name="Design").click()
    page.get_by_label("My promoter").check()
    now = page.locator("#design-start-value")
    page.get_by_label("Promoter to change").fill(TDH3)
    expect(now).to_contain_text("in complex")
    expected = now.inner_text()
    page.get_by_label("Promoter to change").fill(TDH3 + ADAPTER_3)
    expect(now).to_have_text(expected)


def test_a_click_that_restores_the_original_keeps_the_view(visit):
    page = visit(fragment=f"#id=TDH3&sequence={TDH3}&edits=60A%3EC")
    expect(page.get_by_text("All edits together:")).to_be_visible()
    settled(page)
    cell(page, 60, "A").click()
    expect(page.get_by_role("heading", name="TDH3 with 2 edits")).to_be_visible()
    settled(page)
    expect(page.locator("#promoters-problem")).to_be_empty()
    expect(page.get_by_text("All edits together:")).to_have_count(0)
    expect(page.locator(".map")).to_be_visible()


def test_an_unknown_base_has_an_empty_column_and_no_part_in_the_summary(visit):
    page = visit()
    show_promoter(page, f">TDH3\n{TDH3[:4]}N{TDH3[5:]}")
    expect(page.locator(".map .unknown")).to_have_count(4)
    expect(cell(page, 5, "C")).to_have_attribute("aria-label", "5N>C: not predicted")
    cell(page, 5, "C").hover()
    expect(page.locator(".readout")).to_have_text(
        "Base 5 is unknown (N), so the effect of C there is not predicted."
    )
    summary = """([insert, effect]) => import('/static/js/words.js').then(m =>
        m.mutationSummary(insert, effect, "complex"))"""
    effect = [[None, -0.5], [None, 0], [None, -1.5], [None, -1]]
    found = page.evaluate(summary, ["NC", effect])
    assert found["raise"] == {"position": 2, "from": "C", "to": "A", "change": -0.5}
    assert found["lower"]["to"] == "G" and found["matters"]["size"] == 1
    found = page.evaluate(summary, ["N", [[None]] * 4])
    assert found["raise"] is None and "no mutation is predicted" in found["text"]
    cell(page, 5, "C").click()
    expect(page.get_by_role("heading", name="TDH3 with 1 edit")).to_be_visible()
    settled(page)
    expect(page.locator(".map .unknown")).to_have_count(0)


def test_a_file_that_is_dropped_is_read(visit):
    page = visit()
    data = page.evaluate_handle(
        """text => {
          const data = new DataTransfer();
          data.items.add(new File([text], "two.fasta", {type: "text/plain"}));
          return data;
        }""",
        FASTA,
    )
    box = page.get_by_label("Paste your promoters")
    box.dispatch_event("dragover", {"dataTransfer": data})
    box.dispatch_event("drop", {"dataTransfer": data})
    expect(page.get_by_role("heading", name="2 promoters")).to_be_visible()
    assert box.input_value() == FASTA


def test_text_that_is_dropped_is_read(visit):
    page = visit()
    script = "t => { const d = new DataTransfer(); d.setData('text/plain', t); return d; }"
    data = page.evaluate_handle(script, f">dropped\n{TDH3}")
    page.get_by_label("Paste your promoters").dispatch_event("drop", {"dataTransfer": data})
    expect(page.get_by_role("heading", name="dropped", exact=True)).to_be_visible()


def test_keys_undo_and_redo_except_in_a_text_field(visit):
    page = visit(fragment=f"#id=TDH3&sequence={TDH3}&edits=60A%3EC.1G%3EA")
    page.wait_for_selector(".logo")
    headings = ["TDH3", "TDH3 with 1 edit", "TDH3 with 2 edits"]

    def shows(edits):
        expect(page.get_by_role("heading", name=headings[edits], exact=True)).to_be_visible()

    shows(2)
    for keys, edits in [("Control+z", 1), ("Control+z", 0), ("Control+y", 1),
                        ("Control+Shift+z", 2)]:  # fmt: skip
        page.locator("body").press(keys)
        shows(edits)
    page.get_by_label("or type a mutation").press("Control+z")
    settled(page)
    shows(2)


def test_a_link_is_copied(visit):
    page = visit(fragment=f"#id=TDH3&sequence={TDH3}&edits=60A%3EC")
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.get_by_role("button", name="Copy link").click()
    expect(page.get_by_role("button", name="Link copied")).to_be_visible()
    assert page.evaluate("navigator.clipboard.readText()") == page.url
    page.evaluate(
        "() => { navigator.clipboard.writeText = () => Promise.reject(new Error('no')); }"
    )
    page.get_by_role("button", name="Copy sequence").click()
    field = page.get_by_label("Copy this text")
    assert field.input_value() == TDH3[:59] + "C" + TDH3[60:]


def test_the_examples_are_shown(visit):
    page = visit()
    for name in ("ADH1", "REB1", "GAL1"):
        page.get_by_role("button", name=name).click()
        expect(page.get_by_role("heading", name=name, exact=True)).to_be_visible()
        page.wait_for_selector(".logo")
    page.get_by_role("button", name="Random").click()
    expect(page.get_by_role("heading", name="random_")).to_be_visible()


def test_the_numbers_are_those_of_the_api(visit):
    page = visit()
    show_promoter(page, TDH3)
    answer = page.evaluate(
        """sequence => fetch("/api/v1/saturate", {method: "POST", body: JSON.stringify({sequence}),
        headers: {"Content-Type": "application/json"}}).then(answer => answer.json())""",
        TDH3,
    )
    change = answer["effect"]["complex"][1][59]
    cell(page, 60, "C").hover()
    expected = f"60A>C: expression in complex medium changes by {change:+.2f}".replace("-", "−")
    expect(page.locator(".readout")).to_contain_text(expected)


def test_fasta_table_and_lines_give_the_same_promoters(visit):
    page = visit()
    read = "text => import('/static/js/sequences.js').then(m => m.readPromoters(text))"
    table = page.evaluate(read, TABLE)
    assert table == [{"id": "first", "sequence": TDH3}, {"id": "second", "sequence": TDH3[::-1]}]
    assert page.evaluate(read, FASTA) == table
    assert page.evaluate(read, TABLE.replace("\t", ",").replace("\n", "\r\n")) == table
    lines = page.evaluate(read, LINES)
    assert [one["sequence"] for one in lines] == [TDH3, TDH3[::-1]]


def test_several_promoters_are_listed(visit):
    page = visit()
    show_promoter(page, TABLE)
    expect(page.get_by_role("heading", name="2 promoters")).to_be_visible()
    page.get_by_role("button", name="second", exact=True).click()
    expect(page.get_by_role("heading", name="second", exact=True)).to_be_visible()


def test_a_promoter_of_adapters_alone_is_explained_and_the_others_are_shown(visit):
    page = visit()
    empty = ADAPTER_5 + ADAPTER_3
    page.get_by_label("Paste your promoters").fill(f">empty\n{empty}\n>full\n{TDH3}\n")
    note = page.get_by_text("empty cannot be shown. It has no insert")
    expect(note).to_be_visible()
    expect(page.get_by_role("heading", name="2 promoters")).to_be_visible()
    page.get_by_role("button", name="full", exact=True).click()
    expect(page.get_by_role("heading", name="full", exact=True)).to_be_visible()
    page.wait_for_selector(".logo")
    settled(page)
    expect(page.locator("#promoters-problem")).to_be_empty()
    expect(note).to_have_count(0)
    page.get_by_role("button", name="empty", exact=True).click()
    expect(note).to_be_visible()
    one = "text => import('/static/js/sequences.js').then(m => m.hasOneAdapter(text, ''))"
    assert page.evaluate(one, empty) is False


@pytest.mark.parametrize(("size", "colours"), [("desktop", "dark"), ("phone", "light")])
def test_bad_input_is_explained_and_never_markup(visit, size, colours):
    page = visit(size, colours)
    box = page.get_by_label("Paste your promoters")
    problem = page.locator("#promoters-problem")
    box.fill("ACGTUACGT")
    expect(problem).to_have_text('Line 1: base 5 of promoter 1 is "U". Write T instead of U.')
    assert box.get_attribute("aria-invalid") == "true"
    box.fill("a,b\n1,2")
    expect(problem).to_contain_text("Line 1: no column is named sequence")
    box.fill("A" * 400)
    expect(problem).to_contain_text("400")
    name = "<img/src=x/onerror=alert(1)>"
    show_promoter(page, f">{name}\n{TDH3}")
    expect(page.get_by_role("heading", name=name, exact=True)).to_be_visible()
    assert page.locator("main img").count() == 0


def test_a_damaged_link_keeps_the_edits_that_fit(visit):
    page = visit()
    read = "text => import('/static/js/link.js').then(m => m.readLink(text))"
    view = page.evaluate(read, "#id=x&sequence=ACGT&edits=1A>C.2C>T.2C>G.3G>A")
    assert view["edits"] == [
        {"position": 1, "from": "A", "to": "C"},
        {"position": 2, "from": "C", "to": "T"},
    ]
    assert page.evaluate(read, "#sequence=AC-GT") is None
    assert page.evaluate(read, "#nonsense") is None


def test_a_link_returns_what_was_written(visit):
    page = visit()
    view = {
        "id": "a & b # c = %41", "original": "ACGTN", "model": "yeast", "medium": "all",
        "edits": [{"position": 4, "from": "T", "to": "A"}],
    }  # fmt: skip
    turn = "v => import('/static/js/link.js').then(m => m.readLink(m.writeLink(v)))"
    assert page.evaluate(turn, view) == view


def test_an_edit_after_undo_replaces_what_was_undone(visit):
    page = visit()
    states = page.evaluate(
        """async () => {
          const {Trajectory} = await import('/static/js/trajectory.js');
          const path = new Trajectory("AAAA");
          path.introduce(1, "C"); path.introduce(2, "G"); path.introduce(2, "G");
          const all = path.steps;
          path.goTo(1); const back = path.sequence;
          path.introduce(3, "T");
          return [all, back, path.sequence, path.canRedo, path.edits.length];
        }"""
    )
    assert states == [["AAAA", "CAAA", "CGAA"], "CAAA", "CATA", False, 2]


def test_keys_move_in_the_map_and_introduce(visit):
    page = visit()
    show_promoter(page, f">TDH3\n{TDH3}")
    cell(page, 1, "A").focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowDown")
    expect(page.locator(".readout")).to_contain_text("Base 2 is C in this sequence")
    page.keyboard.press("ArrowUp")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="TDH3 with 1 edit")).to_be_visible()
    settled(page)
    assert page.evaluate("document.activeElement.dataset.index") == "1"
    page.keyboard.press("End")
    assert page.evaluate("document.activeElement.dataset.index") == "79"


def test_arrow_keys_move_between_tabs(visit):
    page = visit()
    page.get_by_role("tab", name="Promoter").focus()
    page.keyboard.press("ArrowRight")
    expect(page.get_by_role("tab", name="Design")).to_be_focused()
    expect(page.get_by_role("tabpanel", name="Design")).to_be_visible()
    page.keyboard.press("End")
    expect(page.get_by_role("tabpanel", name="Models")).to_be_visible()
    page.keyboard.press("ArrowRight")
    expect(page.get_by_role("tabpanel", name="Promoter")).to_be_visible()


def test_a_typed_mutation_is_checked(visit):
    page = visit()
    show_promoter(page, f">TDH3\n{TDH3}")
    field, problem = page.get_by_label("or type a mutation"), page.locator("#edit-problem")
    for text, message in {
        "hello": "Write a mutation as position", "99A>C": "there is no position 99",
        "1A>C": "Position 1 is G, not A", "1G>G": "Position 1 is G already",
    }.items():  # fmt: skip
        field.fill(text)
        page.get_by_role("button", name="Introduce").click()
        expect(problem).to_contain_text(message)
    field.fill("1g>a")
    page.get_by_role("button", name="Introduce").click()
    expect(page.get_by_role("heading", name="TDH3 with 1 edit")).to_be_visible()
    expect(problem).to_be_empty()


def test_sites_show_their_details_on_focus(visit):
    page = visit()
    show_promoter(page, f">TDH3\n{TDH3}")
    site = page.locator(".site").first
    site.focus()
    text = page.locator(".readout").inner_text()
    assert text == site.get_attribute("aria-label")
    for word in ("bases", "strand, score", "contributes"):
        assert word in text


def test_a_phone_shows_the_base_that_matters_most(visit):
    page = visit("phone")
    show_promoter(page, f">TDH3\n{TDH3}")
    text = page.get_by_label("Base by base").locator(".lead").first.inner_text()
    position = int(re.search(r"base (\d+) ", text)[1])
    assert position > 20  # beyond what a phone shows of the start
    box = cell(page, position, "A").bounding_box()
    assert 0 < box["x"] < 375 - box["width"]
    scrolled = page.locator(".scroll").evaluate("figure => figure.scrollLeft")
    page.get_by_label("or type a mutation").fill("1G>A")
    page.get_by_role("button", name="Introduce").click()
    expect(page.get_by_role("heading", name="TDH3 with 1 edit")).to_be_visible()
    settled(page)
    assert page.locator(".scroll").evaluate("figure => figure.scrollLeft") == scrolled


def test_requests_for_an_earlier_sequence_are_dropped(visit):
    page = visit()
    dropped = []
    page.on("requestfailed", lambda request: dropped.append(request.url.split("/")[-1]))

    def hold_old(route):
        if TDH3 not in route.request.post_data:
            route.continue_()

    page.route("**/api/v1/saturate", hold_old)
    page.get_by_label("Paste your promoters").fill(f">old\n{TDH3}")
    expect(page.get_by_role("heading", name="old", exact=True)).to_be_visible()
    show_promoter(page, f">new\n{TDH3[::-1]}")
    expect(page.get_by_role("heading", name="new", exact=True)).to_be_visible()
    assert "saturate" in dropped
    assert cell(page, 1, TDH3[-1]).get_attribute("class") == "cell same"


def test_many_promoters_lead_to_the_batch_tab(visit):
    page = visit()
    show_promoter(page, promoters(25))
    expect(page.locator("#promoters-problem")).to_contain_text("These are 25 promoters")
    page.get_by_role("button", name="Open all in the Batch tab").click()
    expect(page.get_by_role("heading", name="25 promoters, ranked")).to_be_visible()


def test_what_was_read_goes_with_its_sequence(visit):
    page = visit()
    show_promoter(page, TDH3)
    readout = page.locator(".readout")
    page.locator(".map [data-row='0'][data-index='3']").hover()
    expect(readout).to_contain_text("4")
    page.get_by_label("Paste your promoters").hover()
    page.get_by_label("Paste your promoters").fill("ACGTTGCAGT" * 8)
    expect(readout).to_have_text(re.compile("^Point at a base"))


def test_a_promoter_unlike_training_says_in_which_media_it_has_no_interval(visit):
    page = visit()
    show_promoter(page, "A" * 80)
    warning = page.locator(".warning", has_text="Take this prediction with care.")
    expect(page.get_by_text("(no interval)")).to_have_count(2)
    expect(warning).to_contain_text(
        "wider than those of other promoters; in defined and dream medium it"
    )


def test_all_media_together_and_absolute_colours(visit):
    page = visit()
    show_promoter(page, TDH3)
    page.get_by_text("all media").click()
    assert page.locator(".map").count() == 3
    colours = "[...document.querySelectorAll('.map rect')].map(r => getComputedStyle(r).fill)"
    before = page.evaluate(colours)
    page.get_by_label("Base by base").get_by_text("expression", exact=True).click()
    assert page.evaluate(colours) != before


def test_a_server_that_stopped_is_explained(visit):
    page = visit()
    page.evaluate("() => { window.fetch = () => Promise.reject(new TypeError('no')); }")
    page.get_by_label("Paste your promoters").fill(TDH3)
    expect(page.locator("#promoters-problem")).to_contain_text("The server does not answer")
