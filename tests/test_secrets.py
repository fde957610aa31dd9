"""A token is never in what the commands say, write or serve, whether they succeed or fail."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import urllib.request
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import constants

import train
from fedmed import push
from fedmed.experiment.settings import Settings
from fedmed.inference.shelf import Shelf
from fedmed.page import launch
from fedmed.page.shown import draw
from fedmed.server.guards import guard
from fedmed.uploads.storage import Uploads
from tests.support.hub_server import HubServer
from tests.support.hub_tools import contents, small_snapshot

TOKEN = "hf_marker0123456789abcdef"
REPO = "alice/fedmed"


@pytest.fixture(autouse=True)
def marked(hub: HubServer, monkeypatch: pytest.MonkeyPatch) -> None:
    hub.add_token(TOKEN, "alice", "write")
    monkeypatch.setenv("HF_TOKEN", TOKEN)


def assert_nowhere(folder: Path) -> None:
    for path in folder.rglob("*"):
        if path.is_file():
            assert TOKEN.encode() not in path.read_bytes(), path


def test_a_run_that_publishes(
    hub: HubServer, settings: Settings, tmp_path: Path, capsys: Any
) -> None:
    hub.fail("POST", "/commit/", status=500, times=10)
    assert train.run(replace(settings, push_to=REPO, examples=0)) == 1
    hub.heal()
    assert push.main([str(settings.output), REPO]) == 0
    said = capsys.readouterr()
    assert TOKEN not in said.out + said.err
    assert_nowhere(tmp_path)
    assert not any(TOKEN.encode() in data for data in hub[REPO].files.values())


@pytest.mark.parametrize("status", [200, 400, 401, 403, 429, 500])
def test_a_push_whose_hub_repeats_the_token(status: int, hub: HubServer, tmp_path: Path) -> None:
    """As a proxy may: an answer's text is told, the token in it is not."""
    snapshot = small_snapshot(tmp_path / "snapshot")
    if status != 200:
        hub.fail("POST", "/commit/", status=status, headers={"X-Error-Message": f"bad {TOKEN}"})
    environment = os.environ | {
        "HF_ENDPOINT": hub.url,
        "HF_HOME": str(tmp_path / "home"),
        "HF_HUB_DISABLE_XET": "1",
        "HF_HUB_VERBOSITY": "debug",
    }
    done = subprocess.run(
        [sys.executable, "-m", "fedmed.push", str(snapshot), REPO],
        env=environment,
        capture_output=True,
        text=True,
    )
    assert (done.returncode == 0) == (status == 200), done.stderr
    assert TOKEN not in done.stdout + done.stderr
    assert_nowhere(tmp_path)


def test_the_page_and_its_api(
    hub: HubServer, snapshot_folder: Path, tmp_path: Path, caplog: Any, monkeypatch: Any
) -> None:
    import app

    hub.add(REPO, contents(snapshot_folder), private=True)
    snapshots = Shelf(draw, {"FEDMED_MODEL_REPO": REPO})
    assert snapshots.page().label.startswith(REPO)
    page = app.build(snapshots)
    _, url, _ = page.launch(
        prevent_thread_lock=True,
        quiet=True,
        server_port=None,
        **launch.options(),
        app_kwargs=guard(Uploads(tmp_path)),
    )
    try:
        served = b"".join(
            urllib.request.urlopen(f"{url}{path}").read()
            for path in ("", "config", "gradio_api/info")
        )
    finally:
        page.close()
    assert TOKEN.encode() not in served and len(served) > 10_000
    assert TOKEN not in json.dumps(app.api.describe(snapshots)) + caplog.text
    assert_nowhere(Path(constants.HF_HUB_CACHE))
