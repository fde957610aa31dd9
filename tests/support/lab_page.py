"""The lab's page in a real browser: opened, waited for, and what it gives away as files."""

from __future__ import annotations

import json
from typing import Any

import pytest

DESK, PHONE = {"width": 1280, "height": 900}, {"width": 390, "height": 844}


@pytest.fixture
def lab(chromium, server):
    """Open the lab: `lab(viewport, link)`; a link runs at once what it names.

    Errors of its scripts fail the test.
    """
    wrong: list[str] = []
    contexts = []

    def open_page(viewport=DESK, link=None, **options):
        context = chromium.new_context(viewport=viewport, **options)
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(120_000)
        page.on("console", lambda said: wrong.append(said.text) if said.type == "error" else None)
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.goto(f"{server}#tab=Lab" + (f"&lab={link}" if link else ""))
        page.wait_for_selector(".fm-lab-hospital, .fm-lab-problem:not([hidden])")
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert not wrong


def ended(page, runs: int = 1) -> str:
    """The row of the table of runs that a run ends in."""
    page.wait_for_selector(f".fm-lab-kept tbody tr:nth-child({runs})")
    return page.locator(".fm-lab-kept tbody tr").nth(runs - 1).inner_text()


def downloaded(page, name: str) -> bytes:
    """The file that a button of the table of runs gives."""
    with page.expect_download() as waited:
        page.get_by_role("button", name=name, exact=True).click()
    return waited.value.path().read_bytes()


def kept_runs(page) -> list[dict[str, Any]]:
    """The runs that are kept, as the JSON to take away has them."""
    return json.loads(downloaded(page, "JSON"))
