"""What visitors do, in a real browser; console errors and requests elsewhere fail every test."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path

import pytest

from tests.support.app_fixtures import REPOSITORY
from tests.support.reports import HOSPITALS, MODELS

EXAMPLES = json.loads((REPOSITORY / "examples/examples.json").read_text())["examples"]
DESK, PHONE = {"width": 1280, "height": 900}, {"width": 390, "height": 844}
PASTE = """() => {
  const carrier = new DataTransfer();
  carrier.items.add(new File(["no picture"], "pasted.png", {type: "image/png"}));
  document.dispatchEvent(new ClipboardEvent("paste", {clipboardData: carrier, bubbles: true}));
}"""
# Those in which the longest probability has no room.
LONGEST = """all => all.filter((one) => {
  one.lastChild.textContent = " >99.9 %";
  return one.scrollWidth > one.clientWidth;
}).map((one) => one.closest(".fm-model").dataset.model)"""
PIXELS = "canvas => canvas.toDataURL()"


@pytest.fixture
def visit(chromium, server):
    """Open the page: `visit(viewport, color_scheme)`."""
    wrong: list[str] = []
    contexts = []

    def open_page(viewport=DESK, color_scheme="light"):
        context = chromium.new_context(viewport=viewport, color_scheme=color_scheme)
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(60_000)
        page.on("console", lambda said: wrong.append(said.text) if said.type == "error" else None)
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on(
            "request",
            lambda asked: (
                None
                if asked.url.startswith((server, "data:", "blob:"))
                else wrong.append(f"asked for {asked.url}")
            ),
        )
        page.goto(server)
        page.wait_for_selector("canvas[data-model]")
        # Gradio fetches the code of each kind of component by itself: the button's may come last.
        page.wait_for_selector(".fm-strip input[type=file]", state="attached")
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert not wrong


def models(page) -> list[str]:
    return page.eval_on_selector_all(".fm-model", "all => all.map(one => one.dataset.model)")


def upload(page, path: Path) -> None:
    page.locator(".fm-strip input[type=file]").set_input_files(path)


def test_first_paint_has_an_answer_already(visit):
    page = visit()
    assert "FedMed" in page.title()
    assert page.locator("h1").inner_text() == "FedMed"
    assert "Not a medical device" in page.locator(".fm-disclaimer").inner_text()
    assert page.locator(".fm-tile").count() == len(EXAMPLES) >= 12
    assert models(page) == list(MODELS)
    assert all(box["width"] > 60 for box in map(_box, page.locator(".fm-bar").all()))
    assert page.locator(".fm-words h2").inner_text()
    assert "folder snapshot" in page.locator(".fm-which").inner_text()
    # The first screen: what it is, what to click, and the answer.
    for selector in ("h1", ".fm-tile >> nth=0", ".fm-words h2", ".fm-bar >> nth=1"):
        box = _box(page.locator(selector))
        assert box["y"] + box["height"] <= DESK["height"]


def test_click_an_example(visit):
    page = visit()
    page.locator(".fm-tile >> nth=5").click()
    page.wait_for_selector(".fm-answer[data-example='5']")
    assert EXAMPLES[5]["label"] in page.locator(".fm-expected").inner_text()
    assert EXAMPLES[5]["source"] in page.locator(".fm-film").inner_text()
    assert models(page) == list(MODELS)
    pressed = page.locator(".fm-tile[aria-pressed=true]")
    assert pressed.count() == 1 and pressed.get_attribute("data-example") == "5"


def test_switch_heat_map_and_its_strength(visit):
    page = visit()
    canvas = page.locator(".fm-light canvas")
    assert canvas.get_attribute("data-model") == "federated"
    before = canvas.evaluate(PIXELS)
    page.locator(".fm-model[data-model=hospital_2]").click()
    assert canvas.get_attribute("data-model") == "hospital_2"
    assert page.locator(".fm-map-model").input_value() == "hospital_2"
    after = canvas.evaluate(PIXELS)
    assert after != before
    page.locator(".fm-map-strength").fill("0")
    assert canvas.evaluate("canvas => getComputedStyle(canvas).opacity") == "0"
    page.locator(".fm-map-model").select_option("central")
    assert canvas.get_attribute("data-model") == "central"
    # The choice outlives the X-ray.
    page.locator(".fm-tile >> nth=1").click()
    page.wait_for_selector(".fm-answer[data-example='1'] canvas[data-model=central]")
    canvas.hover()
    assert "log-odds" in page.locator(".fm-readout").inner_text()


def test_the_heat_map_is_off_until_it_is_asked_for_again(visit):
    page = visit()
    canvas = page.locator(".fm-light canvas")
    page.locator(".fm-map-on").uncheck()
    assert canvas.evaluate("canvas => getComputedStyle(canvas).opacity") == "0"
    page.locator(".fm-tile >> nth=1").click()
    page.wait_for_selector(".fm-answer[data-example='1'] canvas[data-model]")
    assert canvas.evaluate("canvas => getComputedStyle(canvas).opacity") == "0"
    assert not page.locator(".fm-map-on").is_checked() and "map=off" in page.url
    page.locator(".fm-model[data-model=hospital_3]").click()
    assert canvas.get_attribute("data-model") == "hospital_3"
    assert float(canvas.evaluate("canvas => getComputedStyle(canvas).opacity")) > 0


def test_answers_tell_how_models_did_on_what_the_report_shows(visit):
    page = visit()
    shown = page.locator(".fm-model[data-model=central] .fm-standing:visible")
    assert shown.get_attribute("data-protocol-is") == "test"
    page.get_by_role("tab", name="Report").click()
    page.locator("[data-switch=protocol] button", has_text="Shifted").click()
    page.get_by_role("tab", name="Compare").click()
    assert shown.get_attribute("data-protocol-is") == "shifted"
    page.locator(".fm-tile >> nth=1").click()
    page.wait_for_selector(".fm-answer[data-example='1'] canvas[data-model]")
    assert shown.get_attribute("data-protocol-is") == "shifted"


def test_what_is_saved_is_the_answer(visit):
    page = visit()
    upload(page, REPOSITORY / "examples" / EXAMPLES[3]["file"])
    page.wait_for_selector(".fm-answer:not([data-example])")
    with page.expect_download() as download:
        page.locator(".fm-save").click()
    assert download.value.suggested_filename == f"{EXAMPLES[3]['file']}.json"
    answer = json.loads(download.value.path().read_text(encoding="utf-8"))
    assert list(answer["models"]) == list(MODELS) and answer["snapshot"] == "folder snapshot"
    page.evaluate("window.print = () => { window.printed = true; }")
    page.locator(".fm-print").click()
    assert page.evaluate("window.printed")
    page.emulate_media(media="print")
    assert page.locator(".fm-caveats").is_visible() and page.locator(".fm-light img").is_visible()
    for hidden in (".fm-tools", ".fm-controls", '[role="tab"] >> nth=0'):
        assert not page.locator(hidden).is_visible()


def test_heat_map_colours_follow_the_evidence(visit):
    page = visit()
    found = page.evaluate("""() => {
      const answer = document.querySelector('.fm-answer'), canvas = answer.querySelector('canvas');
      const map = JSON.parse(answer.dataset.evidence)[canvas.dataset.model];
      const data = canvas.getContext('2d');
      return map.flatMap((row, y) => row.map((value, x) =>
        [value, ...data.getImageData(x * 28 + 14, y * 28 + 14, 1, 1).data]));
    }""")
    clear = [(value, red, blue) for value, red, _, blue, alpha in found if alpha > 60]
    assert len(clear) > 10
    assert all((red > blue) == (value > 0) for value, red, blue in clear)


def test_upload(visit):
    page = visit()
    upload(page, REPOSITORY / "examples" / EXAMPLES[3]["file"])
    page.wait_for_selector(".fm-answer:not([data-example])")
    assert models(page) == list(MODELS)
    assert page.locator(".fm-expected").count() == 0
    assert page.locator(".fm-tile[aria-pressed=true]").count() == 0


def test_a_bad_file_gets_a_readable_error(visit, tmp_path):
    page = visit()
    (tmp_path / "notes.txt").write_text("no picture")
    upload(page, tmp_path / "notes.txt")
    page.wait_for_selector(".fm-problem")
    said = page.locator(".fm-problem").inner_text()
    assert "not an image" in said and "Accepted: JPEG, PNG, DICOM, TIFF, BMP or WebP." in said
    page.locator(".fm-tile >> nth=2").click()
    page.wait_for_selector(".fm-answer[data-example='2'] canvas[data-model]")


def test_the_page_of_the_api_offers_what_works(chromium, server):
    page = chromium.new_page()  # not by `visit`: Gradio asks for MCP there, and gets 404
    page.goto(server)
    page.get_by_text("Use via API").click()
    page.locator(".api-docs .snippet").first.wait_for()
    ways = page.locator(".api-docs .snippet").all()
    assert [way.inner_text() for way in ways if way.is_visible()] == [
        "Python", "JavaScript", "CLI", "cURL",
    ]  # fmt: skip
    page.close()


def test_paste(visit):
    page = visit()
    page.evaluate(PASTE)
    page.wait_for_selector(".fm-problem")


def test_report(visit, snapshot_folder, tmp_path):
    page = visit()
    page.get_by_role("tab", name="Report").click()
    rows = page.locator("[data-protocol-is=test] .fm-scores tbody tr")
    rows.first.wait_for()
    assert rows.count() == len(MODELS) + len(HOSPITALS)
    page.locator("[data-protocol-is=test] .fm-scores th button", has_text="Recall").click()
    recall = [float(row.locator("td").nth(3).get_attribute("data-value")) for row in rows.all()]
    assert recall == sorted(recall, reverse=True)
    page.get_by_role("button", name="Validation", exact=True).click()
    assert not rows.first.is_visible()
    assert page.locator("[data-protocol-is=validation] .fm-scores").is_visible()
    page.locator("[data-switch=metric] button", has_text="AUC").click()
    dot = page.locator("[data-metric-is=auc] .fm-dot[data-model=federated]").first
    dot.hover()
    assert "Federated after round 1" in page.locator(".fm-tip.fm-on").inner_text()
    with page.expect_download() as download:
        page.locator(".fm-downloads a", has_text="JSON").click()
    stored = json.loads((snapshot_folder / "evaluation.json").read_text(encoding="utf-8"))
    assert json.loads(download.value.path().read_text(encoding="utf-8")) == stored


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("viewport", [DESK, PHONE], ids=["desk", "phone"])
def test_layouts(visit, viewport, scheme):
    page = visit(viewport, scheme)
    page.add_style_tag(content="* { transition: none !important; }")
    for tab in ("Compare", "Report", "About"):
        page.get_by_role("tab", name=tab).click()
        shown = {"Compare": ".fm-bar", "Report": ".fm-scores:visible", "About": ".fm-story"}[tab]
        page.locator(shown).first.wait_for()
        overflow = page.evaluate("document.documentElement.scrollWidth - innerWidth")
        assert overflow <= 0, f"{tab} is wider than the screen"
        ground, ink = _shades(page)
        assert (ground < ink) == (scheme == "dark")
    page.get_by_role("tab", name="Compare").click()
    assert page.locator(".fm-probability output").evaluate_all(LONGEST) == [], "beyond their cards"
    film, first = _box(page.locator(".fm-light")), _box(page.locator(".fm-model >> nth=0"))
    if viewport is PHONE:
        assert first["y"] > film["y"] + film["height"], "one column"
    else:
        assert first["x"] > film["x"] + film["width"], "two columns"


def test_the_film_stays_in_sight_beside_the_models(visit):
    page = visit({"width": 1280, "height": 600})
    columns, film = page.locator(".fm-columns"), page.locator(".fm-film")
    columns.evaluate("one => scrollTo(0, scrollY + one.getBoundingClientRect().top + 150)")
    page.wait_for_function("document.querySelector('.fm-columns').getBoundingClientRect().top < 0")
    assert 0 <= film.bounding_box()["y"] < 40


def test_on_a_tablet_the_models_are_on_the_first_screen(visit):
    page = visit({"width": 768, "height": 1024})
    for number in (0, 1):
        box = _box(page.locator(".fm-bar").nth(number))
        assert box["y"] + box["height"] <= 1024 and box["width"] > 60


def test_headings_come_in_order(visit):
    page = visit()
    levels = page.eval_on_selector_all(
        "h1, h2, h3, h4",
        "all => all.filter((one) => one.offsetParent).map((one) => +one.tagName[1])",
    )
    assert levels[0] == 1 and 4 in levels
    assert all(after - before <= 1 for before, after in pairwise(levels))


def test_tips_and_the_heat_map_by_keyboard(visit):
    page = visit()
    page.locator(".fm-upload input").focus()
    while page.evaluate("document.activeElement.className") != "fm-pick":
        page.keyboard.press("Tab")
    assert "PNEUMONIA from" in page.locator(".fm-tip.fm-on").inner_text()
    page.keyboard.press("Escape")
    assert page.locator(".fm-tip.fm-on").count() == 0
    page.locator(".fm-light canvas").focus()
    said = []
    for key in ("ArrowRight", "ArrowDown"):
        page.keyboard.press(key)
        said.append(page.locator(".fm-readout").inner_text())
    assert said[0].startswith("Column 5, row 4 of 7: ") and said[1].startswith("Column 5, row 5")
    assert page.locator(".fm-readout").get_attribute("aria-live") == "polite"


def test_bars_keep_their_colours_where_others_are_taken_away(visit):
    page = visit()
    fill = "bar => getComputedStyle(bar).backgroundColor"
    before = page.locator(".fm-bar i").first.evaluate(fill)
    page.emulate_media(forced_colors="active")
    assert page.locator(".fm-bar i").first.evaluate(fill) == before
    page.emulate_media(media="print", forced_colors="none")
    assert page.locator(".fm-bar i").first.evaluate(fill) == before
    assert not page.locator(".fm-tiles").is_visible()


def _box(locator) -> dict[str, float]:
    return locator.bounding_box()


def _shades(page) -> tuple[int, int]:
    """Brightness of the page's ground and of its text."""
    return page.evaluate("""() => ['backgroundColor', 'color'].map((what) =>
      getComputedStyle(document.querySelector('.gradio-container'))[what]
        .match(/\\d+/g).slice(0, 3).reduce((sum, part) => sum + Number(part), 0))""")
