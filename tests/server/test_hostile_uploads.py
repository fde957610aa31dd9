"""The table of hostile images, and hostile file names, through the running app."""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Callable
from html import unescape
from pathlib import Path
from typing import Any

import httpx
import pytest
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError

pytest.importorskip("pydicom")

from fedmed.uploads.storage import PREFIX
from tests.support.hostile_images import COSTLY, TOO_COSTLY, Case, cases
from tests.support.image_bytes import PICTURE, saved
from tests.support.reports import MODELS

GOOD = saved(PICTURE, "PNG")
# The app reads as tests/uploads/test_hostile_images.py does, which goes through the whole table: of
# each refusal the first, of the others a few.
SLOW = {case.name for case in cases() if case.says == TOO_COSTLY} | {case.name for case in COSTLY}
TABLE = [case for case in cases() if case.name not in SLOW]
REFUSED = {case.says: case for case in reversed(TABLE) if case.says}
SAMPLE = [*REFUSED.values(), *[case for case in TABLE if not case.says][::5]]
# Each of the costly ones takes seconds, until it is stopped: two of them, one for either limit.
NAMED = ("progressive JPEG of 20,000 scans", "TIFF with entries over one another")
STOPPED = [case for case in cases() if case.name in NAMED]
NAMES = (
    "../../../../tmp/escaped.png",
    "..\\..\\escaped.png",
    "/etc/escaped.png",
    "%2e%2e%2fescaped.png",
    "<img src=x onerror=alert(1)>.png",
    '"><script>alert(1)</script>.svg',
    "{{7*7}}.html",
    "\u202egnp.exe",
    "CON",
    ".htaccess",
    "x" * 400 + ".png",
    "; rm -rf ~.png",
)


def upload(server: str, name: str, data: bytes) -> str:
    """Where the server says that it keeps an uploaded file."""
    reply = httpx.post(f"{server}gradio_api/upload", files={"files": (name, data)}, timeout=60)
    reply.raise_for_status()
    return reply.json()[0]


@pytest.fixture(scope="module")
def shown(server: str) -> Callable[[str, bytes], str]:
    """What the page shows in the answer's place after an upload, as the page itself asks for it."""
    config = httpx.get(f"{server}config", timeout=60).json()
    event = next(d["id"] for d in config["dependencies"] if d["targets"][0][1] == "upload")

    def ask(name: str, data: bytes) -> str:
        file = {"path": upload(server, name, data), "orig_name": name}
        session = uuid.uuid4().hex
        asked = {
            "data": [file | {"meta": {"_type": "gradio.FileData"}}],
            "fn_index": event,
            "session_hash": session,
        }
        httpx.post(f"{server}gradio_api/queue/join", json=asked, timeout=60).raise_for_status()
        stream = f"{server}gradio_api/queue/data?session_hash={session}"
        with httpx.stream("GET", stream, timeout=120) as lines:
            for line in lines.iter_lines():
                message: dict[str, Any] = json.loads(line[5:]) if line.startswith("data:") else {}
                if message.get("msg") == "process_completed":
                    assert message["success"], message
                    return message["output"]["data"][0]
        raise AssertionError("the page got no answer")

    return ask


def wrong(case: Case, said: str | None) -> str | None:
    """What is wrong with what was said of a case (None: it was read), if anything."""
    wanted = case.says or (TOO_COSTLY if case.costly else "")
    fits = not case.says or case.costly if said is None else wanted and re.search(wanted, said)
    return None if fits else f"{case.name}: {said}"


def test_some_of_the_table_through_the_api(server: str, tmp_path: Path) -> None:
    client = Client(server, verbose=False)

    def predict(data: bytes) -> dict[str, Any]:
        (tmp_path / "film.png").write_bytes(data)
        return client.predict(image=handle_file(tmp_path / "film.png"), api_name="/predict")

    before = predict(GOOD)["models"]
    problems = []
    for case in [*SAMPLE, *STOPPED]:
        said = None
        try:
            assert list(predict(case.build())["models"]) == list(MODELS)
        except AppError as error:
            said = str(error)
            assert said.endswith("Accepted: JPEG, PNG, DICOM, TIFF, BMP or WebP.") and not set(
                said
            ) & set("<>")
        problems.append(wrong(case, said))
    assert not list(filter(None, problems))
    assert predict(GOOD)["models"] == before


def test_some_of_the_table_through_the_page(shown: Callable[[str, bytes], str]) -> None:
    before = shown("film.png", GOOD)
    problems = []
    for case in SAMPLE:
        html = shown("film.png", case.build())
        refusal = re.search(r'class="fm-problem".*?<p>(.*?)</p>', html, re.DOTALL)
        problems.append(wrong(case, refusal and unescape(refusal[1])))
        assert "<script" not in html and "<img src=x" not in html
    assert not list(filter(None, problems))
    assert shown("film.png", GOOD) == before


@pytest.mark.parametrize("name", NAMES)
def test_a_file_s_name_is_neither_shown_nor_followed(
    server: str, shown: Callable[[str, bytes], str], name: str
) -> None:
    kept = Path(upload(server, name, GOOD)).resolve()
    folder = next(parent for parent in kept.parents if parent.name.startswith(PREFIX))
    assert kept.is_file() and len(kept.relative_to(folder).parts) == 2
    assert not re.search(r"[<>\"\\/]", kept.name)
    assert shown(name, b"no image") == shown("film.png", b"no image")
