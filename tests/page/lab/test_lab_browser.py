"""The lab as a visitor uses it, in a real browser; errors of its scripts fail every test."""

from __future__ import annotations

import json
import re

import pytest

DESK, PHONE = {"width": 1280, "height": 900}, {"width": 390, "height": 844}
SHORT = "rounds:3;local_epochs:1"


@pytest.fixture
def lab(chromium, server):
    """Open the lab: `lab(viewport, link)`; a link runs at once what it names."""
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


def ended(page, runs=1):
    page.wait_for_selector(f".fm-lab-kept tbody tr:nth-child({runs})")
    return page.locator(".fm-lab-kept tbody tr").nth(runs - 1).inner_text()


def downloaded(page, name):
    with page.expect_download() as waited:
        page.get_by_role("button", name=name, exact=True).click()
    return waited.value.path().read_text()


def test_a_link_runs_the_same_to_the_last_digit_and_settings_go_into_it(lab):
    page = lab(link=SHORT)
    ended(page)
    said = page.locator(".fm-lab-said").inner_text()
    assert said.startswith("Joining")
    first = json.loads(downloaded(page, "JSON"))[0]
    assert len(first["rounds"]) == 3
    page.reload()
    ended(page)
    assert page.locator(".fm-lab-said").inner_text() == said
    again = json.loads(downloaded(page, "JSON"))[0]
    for now, then in zip(again["rounds"], first["rounds"], strict=True):
        # What a first run is held against is computed meanwhile, and may miss its first rounds.
        assert then.pop("models").items() <= now.pop("models").items()
        assert then.items() <= now.items()
    assert downloaded(page, "CSV").count("\n") == 1 + 3 * 7  # models
    # Another algorithm is kept beside it, named by what differs, and is in the address.
    page.locator("[name=algorithm]").select_option("median")
    page.get_by_role("button", name="Run", exact=True).click()
    assert "median" in ended(page, 2)
    assert "algorithm:median" in page.evaluate("decodeURIComponent(location.hash)")
    assert page.locator(".fm-lab-kept-line").count() == 1


def test_hospitals_are_dealt_by_the_slider_and_broken_by_a_press(lab):
    page = lab()
    mixes = page.locator(".fm-lab-mix")
    page.wait_for_function("document.querySelector('.fm-lab-mix').textContent.includes('%')")
    before = mixes.all_inner_texts()
    page.locator("[name=place]").fill("0")
    alike = mixes.all_inner_texts()
    assert len(set(before)) == 5 and len(set(alike)) <= 2
    second = page.locator(".fm-lab-hospital").nth(1)
    for state in ("off", "late", "poisoned", "here"):
        second.press("Enter")
        assert second.get_attribute("aria-label").startswith(f"Hospital 2, {state}:")
    page.get_by_role("button", name="One hospital more").click()
    page.wait_for_selector(".fm-lab-hospital:nth-child(6)")


def test_step_by_step_each_act_is_announced(lab):
    page = lab()
    page.locator(".fm-lab-more summary").click()
    page.locator("[name=rounds]").fill("1")
    said, step = page.locator(".fm-lab-said"), page.get_by_role("button", name="Step", exact=True)
    step.click()
    page.wait_for_function(
        "document.querySelector('.fm-lab-said').textContent.includes('the server sends')"
    )
    assert re.search(r"to 5 hospitals, [\d.]+ kB in all", said.inner_text())
    assert page.locator(".fm-lab-head").count() == 0  # nothing is merged yet
    step.click()
    assert "trains on its own X-rays. Nothing moves." in said.inner_text()
    step.click()
    assert "1 of" not in said.inner_text() and page.locator(".fm-lab-head").count() == 1
    ended(page)


def test_a_run_is_stopped_and_a_bad_one_gets_a_sentence(lab):
    page = lab(link="rounds:100;local_epochs:6")
    page.wait_for_selector(".fm-lab-head")
    page.get_by_role("button", name="Stop", exact=True).click()
    assert page.locator(".fm-lab-head").count() == 0
    page = lab(link="rounds:100;local_epochs:30")
    page.wait_for_selector(".fm-lab-problem:not([hidden])")
    assert "may be 600 at most" in page.locator(".fm-lab-problem").inner_text()
    assert page.locator(".fm-lab-kept tbody tr").count() == 0
    # Hospitals are drawn as they are by default, below the sentence.
    page.wait_for_function("document.querySelector('.fm-lab-mix')?.textContent.includes('%')")
    assert page.locator("[name=rounds]").input_value() == "20"
    assert "may be 600 at most" in page.locator(".fm-lab-problem").inner_text()


def test_a_story_ends_in_a_sentence_about_its_runs_on_a_phone(lab):
    page = lab(PHONE, color_scheme="dark", reduced_motion="reduce")
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    page.get_by_role("button", name="What FedAvg leaves on the table").click()
    page.get_by_role("button", name="Run it").click()
    page.wait_for_function("document.querySelector('.fm-lab-story').textContent.includes('2 of 3')")
    page.get_by_role("button", name="Run it").click()
    page.wait_for_selector(".fm-lab-ending")
    assert re.search(r"One message reached [\d.]+ %", page.locator(".fm-lab-ending").inner_text())
    page.get_by_role("button", name="Done").click()
    assert page.locator(".fm-lab-story").is_hidden()


def test_the_last_runs_models_answer_about_an_xray_until_sent_back(lab):
    page = lab(link=SHORT)
    ended(page)
    page.get_by_role("button", name="Ask the last run's models about an X-ray").click()
    page.wait_for_selector(".fm-answer[data-snapshot='your last run in the lab']")
    assert page.locator(".fm-lab-answers").is_visible()
    assert page.locator(".fm-answer .fm-model").count() == 7
    page.get_by_role("button", name="Back to the stored models").click()
    page.wait_for_selector(".fm-answer:not([data-snapshot='your last run in the lab'])")
