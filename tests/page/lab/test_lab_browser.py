"""The lab as a visitor uses it, in a real browser; errors of its scripts fail every test."""

from __future__ import annotations

import re
from io import BytesIO

from PIL import Image

from tests.support.lab_page import DESK, PHONE, downloaded, ended, kept_runs

SHORT = "rounds:3;local_epochs:1"
LAID_OUT = """() => {
  const canvas = document.querySelector(".fm-lab-stage canvas"), ink = canvas.getContext("2d");
  if (!ink.getImageData(0, 0, canvas.width, canvas.height).data.some(Boolean)) return 0;
  const tops = [...document.querySelectorAll(".fm-lab-hospital")].map((one) => one.offsetTop);
  const wide = Math.round(canvas.getBoundingClientRect().width);
  return canvas.width === wide && tops.filter((top) => top === tops[0]).length;
}"""
# The numbers in whose place something is drawn.
CROSSED = """() => {
  const canvas = document.querySelector(".fm-lab-stage canvas"), ink = canvas.getContext("2d");
  const { left, top } = canvas.getBoundingClientRect(), text = document.createRange();
  return [...document.querySelectorAll(".fm-lab-name")].filter((name) => {
    text.selectNodeContents(name);
    const at = text.getBoundingClientRect();
    const drawn = ink.getImageData(at.left - left, at.top - top, at.width, at.height).data;
    return drawn.some(Boolean);
  }).map((name) => name.textContent);
}"""
# By the page itself: from here the run might end first.
STOP_AT_THE_FIRST_POINT = """() => new MutationObserver((_, watcher) => {
  const button = document.querySelector(".fm-lab-run");
  if (!document.querySelector(".fm-lab-head")) return;
  watcher.disconnect();
  window.pressed = button.textContent;
  button.click();
}).observe(document.querySelector(".fm-lab-plot"), {childList: true})"""


def test_a_link_runs_the_same_to_the_last_digit_and_settings_go_into_it(lab):
    page = lab(link=SHORT)
    ended(page)
    said = page.locator(".fm-lab-said").inner_text()
    assert said.startswith("Joining")
    first = kept_runs(page)[0]
    assert len(first["rounds"]) == 3
    page.reload()
    ended(page)
    assert page.locator(".fm-lab-said").inner_text() == said
    again = kept_runs(page)[0]
    for now, then in zip(again["rounds"], first["rounds"], strict=True):
        # What a first run is held against is computed meanwhile, and may miss its first rounds.
        assert then.pop("models").items() <= now.pop("models").items()
        assert then.items() <= now.items()
    assert downloaded(page, "CSV").count(b"\n") == 1 + 3 * 7  # models
    # Another algorithm is kept beside it, named by what differs, and is in the address.
    page.locator("[name=algorithm]").select_option("median")
    page.get_by_role("button", name="Run", exact=True).click()
    assert "median" in ended(page, 2)
    assert "algorithm:median" in page.evaluate("decodeURIComponent(location.hash)")
    assert page.locator(".fm-lab-kept-line").count() == 1
    # The picture of the curve has both runs' names below it.
    picture = Image.open(BytesIO(downloaded(page, "PNG"))).convert("L")
    below = picture.crop((0, 3 * 300 + 36, *picture.size))
    darkest, lightest = below.getextrema()
    assert picture.height > 3 * 300 + 36 and lightest - darkest > 100
    # What joining gave each hospital is of the patients that were dealt, and goes with them.
    gains = page.locator(".fm-lab-gain")
    assert all(gains.all_inner_texts())
    page.locator("[name=place]").fill("0")
    assert not any(gains.all_inner_texts())


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


def test_no_wire_crosses_a_hospital_s_number(lab):
    page = lab(link=f"hospitals:30;{SHORT}", reduced_motion="reduce")
    ended(page)
    for viewport, columns in ((DESK, 10), (PHONE, 5)):
        page.set_viewport_size(viewport)
        page.wait_for_function(f"({LAID_OUT})() === {columns}")
        assert page.evaluate(CROSSED) == []


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
    page = lab()
    page.locator(".fm-lab-more summary").click()
    for name, value in (("rounds", "100"), ("local_epochs", "6")):
        page.locator(f"[name={name}]").fill(value)
    page.evaluate(STOP_AT_THE_FIRST_POINT)
    page.locator(".fm-lab-run").click()
    page.wait_for_function("window.pressed === 'Stop'")
    assert page.locator(".fm-lab-run").inner_text() == "Run"
    page.locator(".fm-lab-head").wait_for(state="detached")
    assert page.locator(".fm-lab-kept tbody tr").count() == 0
    page = lab(link="rounds:100;local_epochs:30")
    page.wait_for_selector(".fm-lab-problem:not([hidden])")
    assert "may be 600 at most" in page.locator(".fm-lab-problem").inner_text()
    assert page.locator(".fm-lab-kept tbody tr").count() == 0
    # Hospitals are drawn as they are by default, below the sentence.
    page.wait_for_function("document.querySelector('.fm-lab-mix')?.textContent.includes('%')")
    assert page.locator("[name=rounds]").input_value() == "20"
    assert "may be 600 at most" in page.locator(".fm-lab-problem").inner_text()


def test_the_last_runs_models_answer_about_an_xray_until_sent_back(lab):
    page = lab(link=SHORT)
    ended(page)
    page.get_by_role("button", name="Ask the last run's models about an X-ray").click()
    page.wait_for_selector(".fm-answer[data-snapshot='your last run in the lab']")
    assert page.locator(".fm-lab-answers").is_visible()
    assert page.locator(".fm-answer .fm-model").count() == 7
    page.get_by_role("button", name="Back to the stored models").click()
    page.wait_for_selector(".fm-answer:not([data-snapshot='your last run in the lab'])")
