"""Takes the pictures of the web page in serve.md.

    python docs/draw_page.py [NAME ...]

Needs ``pip install '.[page]'`` and Chromium (``make browser``). Without names, all pictures are
taken: promoter, design, batch and phone.
"""

from __future__ import annotations

import random
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Browser, Page, expect, sync_playwright

DOCS = Path(__file__).parent
CHROMIUM = "/usr/bin/chromium"
FLAGS = ("--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking")
PATIENCE = 300_000
"""Milliseconds to wait for what the page shows."""
DESKTOP, PHONE = {"width": 1200, "height": 900}, {"width": 390, "height": 844}
EDITS = ("29T>C", "30T>C")
"""They make a site of REB1 in the fragment of ADH1."""


@contextmanager
def server() -> Iterator[str]:
    """The address of a running ``crmnet serve``."""
    command = [sys.executable, "-m", "crmnet", "serve", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        found = re.search(r"http://127\.0\.0\.1:\d+", process.stdout.readline())
        yield found.group()
        process.terminate()


def visit(browser: Browser, address: str, size: dict[str, int], colours: str = "light") -> Page:
    """The page in a new profile."""
    page = browser.new_context(viewport=size, color_scheme=colours).new_page()
    page.set_default_timeout(PATIENCE)
    page.goto(address)
    page.wait_for_selector("html[data-ready]")
    return page


def edit_promoter(page: Page) -> None:
    """Show the fragment of ADH1 with its edits, and read the new site."""
    page.get_by_role("button", name="ADH1").click()
    page.wait_for_selector(".logo")
    settle(page)
    for edit in EDITS:
        page.get_by_label("or type a mutation").fill(edit)
        page.get_by_role("button", name="Introduce").click()
        settle(page)
    expect(page.locator(".logo")).to_have_count(2)
    page.locator(".site").first.hover()


def settle(page: Page) -> None:
    """Wait until no figure is out of date."""
    expect(page.locator("[aria-busy]")).to_have_count(0)
    page.wait_for_timeout(300)  # transitions of colours


def promoter(browser: Browser, address: str) -> Page:
    """The Promoter tab."""
    page = visit(browser, address, DESKTOP)
    edit_promoter(page)
    return page


def phone(browser: Browser, address: str) -> Page:
    """The map and the logo on a phone."""
    page = visit(browser, address, PHONE, "dark")
    edit_promoter(page)
    page.locator(".card", has=page.locator(".map")).evaluate("card => card.scrollIntoView()")
    page.locator(".scroll").first.evaluate("figure => { figure.scrollLeft = 250; }")
    return page


def batch(browser: Browser, address: str) -> Page:
    """The Batch tab."""
    bases = random.Random(1)
    rows = [f"candidate{n}\t{''.join(bases.choices('ACGT', k=80))}" for n in range(1, 501)]
    page = visit(browser, address, DESKTOP)
    page.get_by_label("Model", exact=True).select_option("yeast-fast")
    page.get_by_role("tab", name="Batch").click()
    page.get_by_label("Predict and rank many promoters").fill("\n".join(["id\tsequence", *rows]))
    page.get_by_role("button", name="Predict all").click()
    expect(page.get_by_role("heading", name="500 promoters, ranked")).to_be_visible()
    return page


def design(browser: Browser, address: str) -> Page:
    """The Design tab."""
    page = visit(browser, address, DESKTOP)
    page.get_by_role("button", name="GAL1").click()
    page.wait_for_selector(".logo")
    settle(page)
    page.get_by_role("tab", name="Design").click()
    page.get_by_label("My promoter").check()
    page.get_by_label("Number of designs").fill("3")
    expect(page.locator("#design-start-value")).to_contain_text("Now")
    page.get_by_role("button", name="Design", exact=True).click()
    expect(page.locator("#designs")).to_be_visible()
    return page


PICTURES = {"promoter": promoter, "design": design, "batch": batch, "phone": phone}


def draw(names: list[str], folder: Path = DOCS) -> list[Path]:
    """Take pictures into ``folder``; returns the files."""
    expect.set_options(timeout=PATIENCE)
    files = []
    with server() as address, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        for name in names:
            page = PICTURES[name](browser, address)
            page.wait_for_timeout(300)
            files.append(folder / f"serve-{name}.png")
            page.screenshot(path=files[-1], full_page=name != "phone")
    return files


if __name__ == "__main__":
    print(*draw(sys.argv[1:] or list(PICTURES)), sep="\n")
