"""What the tests of the page do again and again."""

import random
from pathlib import Path

from playwright.sync_api import expect


def promoters(number, seed=1):
    """Random promoters as a table."""
    bases = random.Random(seed)
    rows = [f"p{index}\t{''.join(bases.choices('ACGT', k=80))}" for index in range(number)]
    return "\n".join(["id\tsequence", *rows])


def show_promoter(page, text):
    """Paste a promoter and wait for its complete view."""
    page.get_by_label("Paste your promoters").fill(text)
    page.wait_for_selector(".logo")
    settled(page)


def settled(page):
    """Wait until no figure is out of date."""
    expect(page.locator("[aria-busy]")).to_have_count(0)


def save(page, button, folder):
    """Press a button that downloads, and return the file."""
    with page.expect_download() as event:
        page.get_by_role("button", name=button).click()
    path = Path(folder) / event.value.suggested_filename
    event.value.save_as(path)
    return path
