"""One page on two snapshots: the switch in a real browser, and the API's `snapshot`."""

from __future__ import annotations

import json

import httpx
import pytest
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError

from tests.support.app_fixtures import REPOSITORY
from tests.support.reports import MODELS

EXAMPLE = REPOSITORY / "examples" / "01_normal.png"
NONE = r"no snapshot none\. Choose from: snapshot, other\."


@pytest.fixture(scope="module")
def client(server_of_two):
    return Client(server_of_two, verbose=False)


@pytest.fixture
def open_page(chromium, server_of_two):
    contexts, wrong = [], []

    def visit():
        context = chromium.new_context(viewport={"width": 1280, "height": 900})
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(60_000)
        page.on("console", lambda said: wrong.append(said.text) if said.type == "error" else None)
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.goto(server_of_two)
        page.wait_for_selector("canvas[data-model]")
        page.wait_for_selector(".fm-strip input[type=file]", state="attached")
        return page

    yield visit
    for context in contexts:
        context.close()
    assert not wrong


def evidence(page) -> str:
    return page.locator(".fm-answer").get_attribute("data-evidence")


def choose(page, name: str) -> None:
    before = evidence(page)
    page.locator(".fm-snapshots").get_by_text(name, exact=True).click()
    page.wait_for_function(
        "was => (document.querySelector('.fm-answer')?.dataset.evidence ?? was) !== was",
        arg=before,
    )
    page.wait_for_selector("canvas[data-model]")


def test_the_api_takes_a_name(client):
    image = handle_file(EXAMPLE)
    first = client.predict(image, api_name="/predict")
    other = client.predict(image, "other", api_name="/predict")
    assert (first["snapshot"], other["snapshot"]) == ("folder snapshot", "folder other")
    assert first["models"] != other["models"]
    assert client.predict(image=image, snapshot="snapshot", api_name="/predict") == first
    assert client.predict(image=image, api_name="/predict") == first


def test_what_there_is_to_choose_from(client):
    for asked, shown in ((None, "snapshot"), ("other", "other")):
        found = client.predict(snapshot=asked, api_name="/models")
        assert found["snapshot"]["label"] == f"folder {shown}"
        assert found["snapshots"] == [
            {"name": name, "label": f"folder {name}", "shown": name == shown}
            for name in ("snapshot", "other")
        ]
        assert list(found["models"]) == list(MODELS)
    assert client.predict("other", api_name="/report")["schema_version"] == 1


def test_a_name_there_is_not_is_told(client):
    with pytest.raises(AppError, match=NONE):
        client.predict(handle_file(EXAMPLE), "none", api_name="/predict")
    for endpoint in ("/report", "/models"):
        with pytest.raises(AppError, match=NONE):
            client.predict("none", api_name=endpoint)


@pytest.mark.parametrize("data", [[], [None], ["other"]])
def test_calls_by_hand_may_leave_it_out(server_of_two, data):
    call = f"{server_of_two}gradio_api/call/models"
    event = httpx.post(call, json={"data": data}, timeout=60).json()["event_id"]
    lines = httpx.get(f"{call}/{event}", timeout=60).text.splitlines()
    assert lines[0] == "event: complete"
    (found,) = json.loads(lines[1].removeprefix("data: "))
    assert found["snapshot"]["label"] == ("folder other" if "other" in data else "folder snapshot")


def test_the_switch_changes_everything(open_page):
    page = open_page()
    assert page.locator(".fm-stories li").count() == 2
    page.locator(".fm-tile >> nth=2").click()
    page.wait_for_selector(".fm-answer[data-example='2'] canvas[data-model]")
    answer = evidence(page)
    heat_map = page.locator(".fm-light canvas").evaluate("canvas => canvas.toDataURL()")
    choose(page, "other")
    assert page.locator(".fm-which b").inner_text() == "folder other"
    assert page.locator(".fm-answer").get_attribute("data-example") == "2", "the same X-ray"
    assert page.locator(".fm-light canvas").evaluate("canvas => canvas.toDataURL()") != heat_map
    page.get_by_role("tab", name="About").click()
    page.get_by_text("random-1").wait_for()
    page.get_by_role("tab", name="Compare").click()
    page.locator(".fm-strip input[type=file]").set_input_files(EXAMPLE)
    page.wait_for_selector(".fm-answer:not([data-example]) canvas[data-model]")
    choose(page, "snapshot")
    page.locator(".fm-tile >> nth=2").click()
    page.wait_for_selector(".fm-answer[data-example='2'] canvas[data-model]")
    assert evidence(page) == answer


def test_a_choice_is_its_visitors_own(open_page, client):
    here, there = open_page(), open_page()
    choose(here, "other")
    there.locator(".fm-tile >> nth=1").click()
    there.wait_for_selector(".fm-answer[data-example='1'] canvas[data-model]")
    here.locator(".fm-tile >> nth=1").click()
    here.wait_for_selector(".fm-answer[data-example='1'] canvas[data-model]")
    assert evidence(here) != evidence(there)
    assert there.locator(".fm-which b").inner_text() == "folder snapshot"
    assert client.predict(api_name="/models")["snapshot"]["label"] == "folder snapshot"
