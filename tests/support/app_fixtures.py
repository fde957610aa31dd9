"""The real app, started once as visitors start it, on a snapshot of random models."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.error import URLError
from urllib.request import urlopen

import pytest

from tests.support.lab import write_lab
from tests.support.reports import example_report
from tests.support.snapshots import linked_copy, reseal, tiny_snapshot

REPOSITORY = Path(__file__).parents[2]
CHROMIUM = (
    "--no-sandbox --disable-gpu --disable-background-networking --disable-component-update "
    "--disable-sync --no-first-run"
)
START_SECONDS = 240
SECRET = "hf_" + "NobodyMaySeeThis" * 2


@pytest.fixture(scope="session")
def stored() -> dict[str, Any]:
    """A report as train.py makes it. Read only: copy it to change it."""
    return example_report()


@pytest.fixture(scope="session")
def scratch(tmp_path_factory) -> Path:
    """Where the running app has its `uploads` and its `log`."""
    return tmp_path_factory.mktemp("app")


@pytest.fixture(scope="session")
def server(snapshot_folder, scratch) -> Iterator[str]:
    """The address of a running `python app.py`, with a token in its environment.

    Its snapshot has features of few patients for the lab, so that its runs are short.
    """
    shown = write_lab(linked_copy(snapshot_folder, scratch / snapshot_folder.name))
    reseal(shown)
    with _running(str(shown), scratch) as url:
        yield url


@pytest.fixture(scope="session")
def server_of_two(snapshot_folder, tmp_path_factory) -> Iterator[str]:
    """The same on two snapshots of other models: `snapshot`, and `other`."""
    other = tiny_snapshot(tmp_path_factory.mktemp("second") / "other", seed=1)
    asked = f"{snapshot_folder}, {other}"
    with _running(asked, tmp_path_factory.mktemp("app of two")) as url:
        yield url


@contextmanager
def _running(snapshots: str, scratch: Path) -> Iterator[str]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = os.environ | {
        "FEDMED_SNAPSHOT": snapshots,
        "GRADIO_SERVER_PORT": str(port),
        "GRADIO_TEMP_DIR": str(scratch / "uploads"),
        "HF_HUB_OFFLINE": "1",
        "HF_TOKEN": SECRET,
    }
    environment.pop("GRADIO_SERVER_NAME", None)
    with (scratch / "log").open("wb") as log:
        command = [sys.executable, "app.py"]
        app = subprocess.Popen(command, cwd=REPOSITORY, env=environment, stdout=log, stderr=log)
    try:
        url = f"http://127.0.0.1:{port}/"
        _wait(url, app, scratch / "log")
        yield url
    finally:
        app.terminate()
        app.wait(START_SECONDS)
        assert not list((scratch / "uploads").glob("*fedmed-uploads-*")), "uploads outlived the app"


def _wait(url: str, app: subprocess.Popen, log: Path) -> None:
    given_up = time.monotonic() + START_SECONDS
    while time.monotonic() < given_up and app.poll() is None:
        try:
            urlopen(url, timeout=5).close()
            return
        except (URLError, OSError):
            time.sleep(0.2)
    pytest.fail(f"app.py did not come up:\n{log.read_text()[-2000:]}")


@pytest.fixture
def page(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[SimpleNamespace]:
    """A running small app, see `small_app`."""
    from tests.support import small_app

    monkeypatch.setenv("GRADIO_ANALYTICS_ENABLED", "False")
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path))
    with small_app.running(tmp_path) as page:
        yield page


# Playwright keeps an event loop running, and tests of other modules run some of their own.
@pytest.fixture(scope="module")
def chromium():
    """A real browser; tests that want one are skipped where there is none."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    found = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "chrome"))), None)
    if found is None:
        pytest.skip("no chromium found; install it (Debian: apt-get install chromium)")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=found, args=CHROMIUM.split())
        yield browser
        browser.close()
