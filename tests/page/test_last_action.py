"""The last action wins, in a real browser: answers and uploads are held back until a test lets go.

Each picture has a width of its own, by which the app under test knows whose answer to hold back.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from fedmed.page import compare, launch
from fedmed.uploads.decode import decode_upload_to_show

SECONDS = 60
HEIGHT = 300
BROKEN = 333  # the width of a picture whose call fails
HOSTILE = "<img src=x onerror=alert(1)>\u202egnp.exe \"'& " + "long" * 60
DROP = """([names, kind]) => {
  const carrier = new DataTransfer();
  for (const name of names) carrier.items.add(new File(["no picture"], name));
  document.body.dispatchEvent(
    new DragEvent(kind, {dataTransfer: carrier, bubbles: true, cancelable: true}));
}"""


@pytest.fixture(scope="module")
def app(snapshot_folder: Path) -> Iterator[SimpleNamespace]:
    """The page, with `held[width]`: an event for which the answer to such a picture waits."""
    import app as application
    from fedmed.inference.shelf import Shelf
    from fedmed.page.shown import draw

    held: dict[int, threading.Event] = {}
    begun: dict[int, threading.Event] = {}

    def decode(*arguments):
        xray, picture = decode_upload_to_show(*arguments)
        if picture.width == BROKEN:
            raise RuntimeError("as meant in this test")
        begun.setdefault(picture.width, threading.Event()).set()
        if picture.width in held:
            assert held[picture.width].wait(SECONDS)
        return xray, picture

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(compare, "decode_upload_to_show", decode)
        page = application.build(Shelf(draw, {"FEDMED_SNAPSHOT": str(snapshot_folder)}))
        options = launch.options() | {"prevent_thread_lock": True, "quiet": True}
        _, address, _ = page.launch(**options)
        yield SimpleNamespace(address=address, held=held, begun=begun)
        page.close()


@pytest.fixture
def page(chromium, app):
    app.held.clear()
    app.begun.clear()
    context = chromium.new_context(viewport={"width": 1280, "height": 900})
    page = context.new_page()
    page.set_default_timeout(1000 * SECONDS)
    wrong: list[str] = []
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("dialog", lambda dialog: wrong.append(dialog.message))
    page.goto(app.address)
    page.wait_for_selector("canvas[data-model]")
    yield page
    for event in app.held.values():
        event.set()
    context.close()
    assert not wrong


@pytest.fixture
def xray(tmp_path: Path) -> Callable[..., Path]:
    """Make a picture of some width under some name."""

    def made(width: int, name: str = "") -> Path:
        path = tmp_path / (name or f"{width}.png")
        levels = np.add.outer(np.arange(HEIGHT), np.arange(width)) % 256
        Image.fromarray(levels.astype(np.uint8)).save(path, "PNG")
        return path

    return made


def hold(app: SimpleNamespace, width: int) -> threading.Event:
    return app.held.setdefault(width, threading.Event())


def begun(app: SimpleNamespace, width: int) -> None:
    """Wait until the server is at work on a picture."""
    assert app.begun.setdefault(width, threading.Event()).wait(SECONDS)


def upload(page, path: Path) -> None:
    page.locator(".fm-strip input[type=file]").set_input_files(path)


def ends_on(page, name: str, width: int | None = None) -> None:
    """The page shows the answer to `name`, and nothing that comes later changes that.

    It is told by what the server put into it: the example's number, or the picture's shape.
    """
    page.wait_for_selector(f'.fm-name:has-text("{name}")')
    page.wait_for_timeout(1500)
    assert page.locator(".fm-name").all_inner_texts() == [name]
    assert page.locator("[aria-busy=true], .fm-waiting").count() == 0
    example = page.locator(".fm-answer").get_attribute("data-example")
    if name.startswith("Example "):
        assert example == str(int(name.removeprefix("Example ")) - 1)
    else:
        assert example is None
    if width:
        assert page.locator(".fm-light").get_attribute("style") == f"--ratio:{width / HEIGHT:.4f}"


def pressed(page) -> list[str]:
    tiles = page.locator(".fm-tile[aria-pressed=true]").all()
    return [tile.get_attribute("data-example") for tile in tiles]


def test_the_first_upload_s_answer_comes_last(page, app, xray):
    slow = hold(app, 301)
    upload(page, xray(301))
    begun(app, 301)
    upload(page, xray(302))
    page.wait_for_selector('.fm-name:has-text("302.png")')
    slow.set()
    ends_on(page, "302.png", 302)
    assert pressed(page) == []


def test_an_example_clicked_while_a_file_is_read(page, app, xray):
    slow = hold(app, 301)
    upload(page, xray(301))
    begun(app, 301)
    page.locator(".fm-tile >> nth=4").click()
    page.wait_for_selector(".fm-answer[data-example='4']")
    slow.set()
    ends_on(page, "Example 5")
    assert pressed(page) == ["4"]


def test_an_example_clicked_while_a_file_is_still_being_sent(page, xray):
    waiting = []
    page.route("**/upload*", lambda route: waiting.append(route))
    upload(page, xray(301))
    page.wait_for_timeout(300)
    page.locator(".fm-tile >> nth=2").click()
    page.wait_for_selector(".fm-answer[data-example='2']")
    (sent,) = waiting
    sent.continue_()
    ends_on(page, "Example 3")
    assert pressed(page) == ["2"]


def test_many_actions_in_a_row_end_on_the_last(page, app, xray):
    slow = hold(app, 301)
    for number in (1, 5, 2):
        page.locator(f".fm-tile >> nth={number}").click(no_wait_after=True)
    upload(page, xray(301))
    page.locator(".fm-tile >> nth=7").click()
    upload(page, xray(303))
    upload(page, xray(302, "last.png"))
    slow.set()
    ends_on(page, "last.png", 302)


def test_what_is_awaited_is_told_from_what_is_there(page, app, xray):
    slow = hold(app, 301)
    upload(page, xray(301))
    begun(app, 301)
    told = page.locator(".fm-waiting").inner_text()
    assert told == "Waiting for the answer to 301.png. Below is still that to Example 1."
    look = "one => getComputedStyle(one).opacity"
    page.wait_for_function(f"({look})(document.querySelector('.fm-answer')) < 0.5")
    assert pressed(page) == []
    slow.set()
    ends_on(page, "301.png", 301)
    assert page.locator(".fm-answer").evaluate(look) == "1"
    assert page.locator(".fm-live").inner_text().startswith("301.png: ")


def test_a_call_that_fails_leaves_neither_an_old_answer_nor_a_chosen_tile(page, xray):
    upload(page, xray(BROKEN))
    page.wait_for_selector(".fm-problem")
    ends_on(page, f"{BROKEN}.png")
    assert "No answer came" in page.locator(".fm-problem").inner_text()
    assert pressed(page) == [] and page.locator(".fm-model").count() == 0
    page.locator(".fm-tile >> nth=3").click()
    ends_on(page, "Example 4")


def test_a_failure_does_not_take_the_place_of_a_later_answer(page, app, xray):
    slow = hold(app, 301)
    upload(page, xray(301))
    begun(app, 301)
    upload(page, xray(BROKEN))
    page.wait_for_timeout(500)
    page.locator(".fm-tile >> nth=6").click()
    page.wait_for_selector(".fm-answer[data-example='6']")
    slow.set()
    ends_on(page, "Example 7")


@pytest.mark.parametrize("status", [None, 413, 429, 500])
def test_a_file_that_cannot_be_sent(page, xray, status):
    refuse = {"status": status, "body": "No."}
    page.route("**/upload*", lambda route: route.fulfill(**refuse) if status else route.abort())
    upload(page, xray(301))
    page.wait_for_selector(".fm-problem")
    assert "could not be sent" in page.locator(".fm-problem").inner_text()
    assert pressed(page) == []


def test_names_are_text_and_stay_in_the_browser(page, xray):
    bodies = []
    page.on("request", lambda asked: bodies.append(asked.post_data_buffer or b""))
    data = xray(301).read_bytes()
    page.locator(".fm-strip input[type=file]").set_input_files(
        {"name": HOSTILE, "mimeType": "image/png", "buffer": data}
    )
    page.wait_for_selector(".fm-answer:not([data-example]) canvas[data-model]")
    name = page.locator(".fm-name").inner_text()
    assert name.startswith("<img src=x onerror=alert(1)>") and "\u202e" not in name
    assert page.locator(".fm-name > *").count() == 0
    assert not any(b"onerror" in body for body in bodies)
    overflow = page.evaluate("document.documentElement.scrollWidth - innerWidth")
    assert overflow <= 0


def test_files_dropped_on_any_tab_are_read_two_side_by_side(page):
    page.get_by_role("tab", name="About").click()
    page.locator(".fm-story").wait_for()
    drawn = page.locator(".fm-story rect").count()
    names = ["one.png", "two.png", "three.png"]
    page.evaluate(DROP, [names, "dragover"])
    assert page.locator("html.fm-dropping").count() == 1
    page.evaluate(DROP, [names, "drop"])
    assert page.locator("html.fm-dropping").count() == 0
    page.wait_for_selector(".fm-kept + .fm-reply .fm-problem")
    assert page.locator(".fm-reply .fm-name").inner_text() == "two.png"
    assert page.locator(".fm-kept .fm-name").inner_text() == "one.png"
    assert "the other file was left" in page.locator(".fm-left").inner_text()
    assert page.locator(".fm-problem").first.is_visible()
    page.locator(".fm-let-go").click()
    assert page.locator(".fm-story rect").count() == drawn  # no other tab's is let go


def test_an_answer_is_kept_beside_the_next_one(page, xray):
    upload(page, xray(301))
    ends_on(page, "301.png", 301)
    kept = page.locator(".fm-reply h2").inner_text()
    page.locator(".fm-keep").click()
    assert page.locator(".fm-reply .fm-next").is_visible() and pressed(page) == []
    page.locator(".fm-tile >> nth=0").click()  # that which was shown first, too
    page.wait_for_selector(".fm-reply .fm-answer[data-example='0'] canvas[data-model]")
    left, right = (page.locator(each).bounding_box() for each in (".fm-kept", ".fm-reply"))
    assert left["x"] + left["width"] <= right["x"] and abs(left["y"] - right["y"]) < 2
    assert page.locator(".fm-kept h2").inner_text() == kept
    assert "301.png" in page.locator(".fm-kept-over").inner_text()
    page.locator(".fm-kept .fm-model[data-model=hospital_2]").click()  # one choice for both
    assert page.locator("canvas[data-model=hospital_2]").count() == 2
    page.locator(".fm-let-go").click()
    assert page.locator(".fm-kept").count() == 0
    ends_on(page, "Example 1")


def test_every_format_is_named_and_offered(page):
    words = page.locator(".fm-upload").inner_text()
    accept = page.locator(".fm-upload input").get_attribute("accept").split(",")
    for name, kind in (
        ("JPEG", "image/jpeg"),
        ("PNG", "image/png"),
        ("DICOM", ".dcm"),
        ("TIFF", "image/tiff"),
        ("BMP", "image/bmp"),
        ("WebP", "image/webp"),
    ):
        assert name in words and kind in accept


def test_reload_and_the_back_button_keep_tab_example_and_heat_map(page, xray):
    page.locator(".fm-tile >> nth=4").click()
    page.wait_for_selector(".fm-answer[data-example='4'] canvas[data-model]")
    page.locator(".fm-model[data-model=hospital_2]").click()
    page.get_by_role("tab", name="Report").click()
    page.locator(".fm-top").wait_for()
    page.reload()
    page.locator(".fm-top").wait_for()
    page.go_back()
    page.wait_for_selector(".fm-answer[data-example='4'] canvas[data-model=hospital_2]")
    ends_on(page, "Example 5")
    page.go_back()
    ends_on(page, "Example 1")
    upload(page, xray(301))
    ends_on(page, "301.png", 301)
    page.locator(".fm-tile >> nth=1").click()
    ends_on(page, "Example 2")
    page.go_back()
    ends_on(page, "301.png", 301)
