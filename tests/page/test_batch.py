"""The Batch tab as a person uses it."""

from playwright.sync_api import expect

from page.steps import promoters, save


def run(page, text):
    page.get_by_role("tab", name="Batch").click()
    page.get_by_label("Predict and rank many promoters").fill(text)
    page.get_by_role("button", name="Predict all").click()


def test_two_thousand_rows_sort_filter_and_files(page, tmp_path):
    page.get_by_role("tab", name="Batch").click()
    content = promoters(2000).encode()
    rows = {"name": "rows.tsv", "mimeType": "text/plain", "buffer": content}
    page.get_by_label("File of many promoters").set_input_files(rows)
    page.get_by_role("button", name="Predict all (2,000)").click()
    expect(page.get_by_role("heading", name="2,000 promoters, ranked")).to_be_visible()
    table = page.locator("#batch-result table").first
    assert table.locator("tbody tr").count() == 50

    rows = [
        line.split("\t") for line in save(page, "Download TSV", tmp_path).read_text().splitlines()
    ]
    assert rows[0][:3] == ["id", "expression_complex", "low_complex"]
    values = [float(row[1]) for row in rows[1:]]
    assert len(values) == 2000
    assert values == sorted(values, reverse=True)
    assert {row[0] for row in rows[1:]} == {f"p{index}" for index in range(2000)}

    page.get_by_role("button", name="complex ↓").click()
    expect(table.get_by_role("columnheader", name="complex")).to_have_attribute(
        "aria-sort", "ascending"
    )
    assert table.locator("tbody th").first.inner_text() == rows[-1][0]

    page.get_by_label("Find").fill("p199")
    expect(page.locator("#batch-shown")).to_contain_text("11 rows")
    csv = save(page, "Download CSV", tmp_path).read_text().splitlines()
    assert len(csv) == 12


def test_figures_are_saved_as_they_are_seen(visit, tmp_path):
    page = visit(colours="dark")
    run(page, promoters(40))
    histogram = page.get_by_role("region", name="Histogram")
    with page.expect_download() as event:
        histogram.get_by_role("button", name="SVG").click()
    event.value.save_as(tmp_path / "h.svg")
    text = (tmp_path / "h.svg").read_text()
    assert "<svg" in text and "var(" not in text and "class=" not in text
    with page.expect_download() as event:
        page.get_by_role("region", name="Scatter plot").get_by_role("button", name="PNG").click()
    event.value.save_as(tmp_path / "s.png")
    assert (tmp_path / "s.png").read_bytes().startswith(b"\x89PNG")


def test_cancel_keeps_what_was_predicted(visit):
    page = visit()
    held = []

    def first_only(route):
        if held:
            return  # never answered
        held.append(route)
        route.continue_()

    page.route("**/api/v1/predict", first_only)
    run(page, promoters(600))
    expect(page.get_by_text("256 of 600 promoters")).to_be_visible()
    page.get_by_role("button", name="Cancel").click()
    expect(page.locator("#batch-problem")).to_have_text("Cancelled after 256 promoters.")
    expect(page.get_by_role("heading", name="256 promoters, ranked")).to_be_visible()


def test_a_message_outlives_the_pause_after_typing(visit):
    page = visit()
    page.route("**/api/v1/predict", lambda _: None)  # never answered
    page.clock.install()
    page.clock.pause_at("2100-01-01")
    run(page, promoters(3))
    page.get_by_role("button", name="Cancel").click()
    page.clock.run_for(1000)
    expect(page.locator("#batch-problem")).to_have_text("Cancelled after 0 promoters.")


def test_a_row_opens_in_the_promoter_tab(visit):
    page = visit()
    run(page, promoters(3))
    page.locator("#batch-result tbody th button").first.click()
    expect(page.get_by_role("tabpanel", name="Promoter")).to_be_visible()
    page.wait_for_selector(".map")


def test_bad_rows_name_their_line(visit):
    page = visit()
    run(page, promoters(3) + "\np3\tACGX")
    expect(page.locator("#batch-problem")).to_have_text(
        'Line 5: base 4 of p3 is "X". Use the letters A, C, G, T and N.'
    )


def test_the_median_of_an_even_number_is_the_mean_of_the_middle_two(visit):
    page = visit()
    median = "values => import('/static/js/batch_view.js').then(m => values.map(m.median))"
    assert page.evaluate(median, [[10, 2, 1, 4], [10, 9, -1], [5], [2, 1]]) == [3, 9, 5, 1.5]


def test_a_file_for_a_spreadsheet_has_no_formula(visit):
    page = visit()
    text = page.evaluate(
        """() => import('/static/js/download.js').then(m =>
        m.tableText(["id", "x"], [["=1+1", -2.5], ['a,"b"', null]], ","))"""
    )
    assert text == 'id,x\n\'=1+1,-2.5\n"a,""b""",\n'
