"""Every fault of the Hub, for a push and for a start: what is said, what is kept, how it ends."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from fedmed import push
from fedmed.backbones import backbone
from fedmed.errors import UserError
from fedmed.hub import client
from fedmed.inference import choices, loading
from fedmed.snapshot.manifest import verify
from tests.support.hub_server import HubServer
from tests.support.hub_tools import contents, small_snapshot
from tests.support.shelves import first_opened

REPO = "alice/fedmed"
OLD = {"README.md": b"old"}
TOKEN = "hf_marker0123456789"


@dataclass(frozen=True)
class Fault:
    """One fault and what is to be said of it; where nothing is to be said, it does no harm."""

    name: str
    pushed: str | None  # said of a push whose commit meets it
    status: int  # that push's exit status
    asked: str | None  # said at a start that meets it as it asks for the commit
    fetched: str | None  # said at a start that meets it as it fetches a file
    how: str = "status"
    code: int = 500
    headers: dict[str, str] = field(default_factory=dict)

    def befall(self, hub: HubServer, method: str, fragment: str) -> None:
        hub.fail(method, fragment, self.how, status=self.code, headers=self.headers)


AWAY = "failed; check the network"
ABSENT = "it does not exist, or it is private"
FAULTS = [
    Fault("401", "does not accept the token", 2, ABSENT, ABSENT, code=401),
    Fault("403", "the token may not write there", 2, ABSENT, ABSENT, code=403),
    Fault("404", "no such repository", 2, ABSENT, ABSENT, code=404),
    Fault("409", "someone else changed it", 1, "HTTP 409", "HTTP 409", code=409),
    Fault("429", "too many requests", 1, "too many requests", "too many requests", code=429),
    Fault(
        "429, back in an hour",
        "too many requests; try again in 60 min",
        1,
        "too many requests; try again in 60 min",
        "too many requests; try again in 60 min",
        code=429,
        headers={"Retry-After": "3600"},
    ),
    Fault(
        "429, of a limit",
        "too many requests; try again in 5 min",
        1,
        "too many requests; try again in 5 min",
        "too many requests; try again in 5 min",
        code=429,
        headers={"RateLimit": '"api";r=0;t=300', "RateLimit-Policy": '"fixed";"api";q=500;w=300'},
    ),
    Fault("500", "HTTP 500", 1, "HTTP 500", "HTTP 500", code=500),
    Fault(
        "503, back in a day",
        "HTTP 503); try again in 1440 min",
        1,
        "HTTP 503); try again in 1440 min",
        "HTTP 503); try again in 1440 min",
        code=503,
        headers={"Retry-After": "86400"},
    ),
    Fault("reset", AWAY, 1, AWAY, AWAY, how="drop"),
    Fault("reply lost", AWAY, 1, AWAY, AWAY, how="drop reply"),
    Fault("body cut short", AWAY, 1, AWAY, AWAY, how="truncate"),
    Fault("a page to sign in", "wants you to sign in", 1, "wants you to sign in", None, how="page"),
    Fault("slow", None, 0, "did not deliver it within", "did not deliver it within", how="drip"),
    Fault("a byte changed", "does not answer as", 1, "does not answer as", "damaged", how="flip"),
]
BY_NAME = {fault.name: fault for fault in FAULTS}


@pytest.fixture(autouse=True)
def marked(hub: HubServer, snapshot_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A token to look for in whatever is said; the snapshot to fall back on; no long waits."""
    hub.add_token(TOKEN, "alice", "write")
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    monkeypatch.setattr(backbone, "IMAGENET", snapshot_folder)
    monkeypatch.setattr(backbone, "NETWORK", snapshot_folder / "none")
    monkeypatch.setattr(choices, "FETCH_SECONDS", 90.0)


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """What the client wanted to sleep, and did not."""
    slept: list[float] = []
    monkeypatch.setattr("huggingface_hub.utils._http.time.sleep", slept.append)
    return slept


@pytest.mark.parametrize("name", BY_NAME)
def test_a_push(
    name: str, hub: HubServer, tmp_path: Path, pauses: list[float], capsys: Any, caplog: Any
) -> None:
    fault = BY_NAME[name]
    snapshot = small_snapshot(tmp_path / "snapshot")
    before = contents(snapshot)
    hub.add(REPO, OLD)
    fault.befall(hub, "POST", "/commit/")
    with caplog.at_level(logging.DEBUG):
        status = push.main([str(snapshot), REPO])
    said = capsys.readouterr()
    assert status == fault.status, said.err
    assert "Traceback" not in said.err
    assert max(pauses, default=0) <= client.PAUSE_SECONDS + 1
    assert TOKEN not in said.err + said.out + caplog.text
    held = {key: data for key, data in hub[REPO].files.items() if key != ".gitattributes"}
    assert held in (OLD, before)
    assert contents(snapshot) == before
    if fault.pushed is None:
        assert held == before
        return
    assert fault.pushed in said.err
    assert "python -m fedmed.push" in said.err
    hub.heal()
    assert push.main([str(snapshot), REPO]) == 0
    held = {key: data for key, data in hub[REPO].files.items() if key != ".gitattributes"}
    assert held == before


@pytest.fixture
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A snapshot without models, and what opens it; a start with models is in test_source.py."""

    def opens(
        folder: Path, label: str, why: str, problem: str | None = None, called: str = "imagenet"
    ) -> Any:
        try:
            verify(folder)
        except UserError as error:
            raise UserError(str(error).replace(str(folder), called)) from error
        return SimpleNamespace(label=label, why=why, problem=problem)

    monkeypatch.setattr(loading, "open_folder", opens)
    folder = small_snapshot(tmp_path / "small")
    monkeypatch.setattr(backbone, "IMAGENET", folder)
    return folder


@pytest.mark.parametrize("name", BY_NAME)
@pytest.mark.parametrize("step", ["asked", "fetched"])
def test_a_start(
    name: str,
    step: str,
    hub: HubServer,
    small: Path,
    pauses: list[float],
    caplog: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    fault = BY_NAME[name]
    commit = hub.add(REPO, contents(small))
    for method in ("GET", "HEAD"):
        fragment = f"/api/models/{REPO}" if step == "asked" else "/resolve/"
        fault.befall(hub, method, fragment)
    if fault.how == "drip":
        monkeypatch.setattr(choices, "FETCH_SECONDS", 0.3)
    with caplog.at_level(logging.DEBUG):
        opened = first_opened({"FEDMED_SNAPSHOT": REPO})
    assert max(pauses, default=0) <= client.PAUSE_SECONDS + 1
    assert opened.label == "imagenet"
    assert opened.problem is not None
    words = fault.asked if step == "asked" else fault.fetched
    assert (words or "") in opened.problem
    assert TOKEN not in opened.problem + opened.why + caplog.text
    assert "/tmp" not in opened.problem
    hub.heal()
    monkeypatch.setattr(choices, "FETCH_SECONDS", 60.0)
    opened = first_opened({"FEDMED_SNAPSHOT": REPO})
    assert (opened.label, opened.problem) == (f"{REPO}@{commit[:7]}", None), "it heals by itself"


def test_a_repository_that_changes_between_two_files_is_shown_as_it_was(
    hub: HubServer, snapshot_folder: Path
) -> None:
    commit = hub.add(REPO, contents(snapshot_folder))
    hub.before("GET", "/resolve/", lambda: hub[REPO].commit({"config.json": b"other"}))
    opened = first_opened({"FEDMED_SNAPSHOT": REPO})
    assert (opened.label, opened.problem) == (f"{REPO}@{commit[:7]}", None)


def test_a_repository_that_goes_away_between_two_files_is_told(
    hub: HubServer, snapshot_folder: Path
) -> None:
    hub.add(REPO, contents(snapshot_folder))
    hub.before("GET", "/resolve/", lambda: hub.repositories.clear())
    opened = first_opened({"FEDMED_SNAPSHOT": REPO})
    assert opened.label == "imagenet"
    assert opened.problem is not None and ABSENT in opened.problem


def test_a_commit_that_is_gone_is_told(hub: HubServer, snapshot_folder: Path) -> None:
    hub.add(REPO, contents(snapshot_folder))
    opened = first_opened({"FEDMED_SNAPSHOT": f"{REPO}@{'b' * 40}"})
    assert opened.problem is not None and "no such revision" in opened.problem


def test_wrong_bytes_are_fetched_once_more(
    hub: HubServer, snapshot_folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    commit = hub.add(REPO, contents(snapshot_folder))
    hub.fail("GET", "/client_2_model.safetensors", "flip", times=1)
    opened = first_opened({"FEDMED_SNAPSHOT": REPO})
    assert (opened.label, opened.problem) == (f"{REPO}@{commit[:7]}", None)
    assert "client_2_model.safetensors is not the file" in caplog.text


def test_a_cache_that_went_bad_heals(hub: HubServer, snapshot_folder: Path) -> None:
    commit = hub.add(REPO, contents(snapshot_folder))
    asked = {"FEDMED_SNAPSHOT": f"{REPO}@{commit}"}
    blob = (first_opened(asked).snapshot.folder / "config.json").resolve()
    blob.write_bytes(blob.read_bytes()[:-20] + b" " * 20)
    assert first_opened(asked).problem is None
    blob.write_bytes(b"{")
    hub.stop()
    opened = first_opened(asked)
    assert opened.label == "imagenet"
    assert opened.problem is not None and "config.json is missing or damaged" in opened.problem


def test_a_repository_that_is_wrong_itself_is_fetched_twice_not_for_ever(
    hub: HubServer, snapshot_folder: Path
) -> None:
    files = contents(snapshot_folder)
    files["central_model.safetensors"] += b"\0"  # like no other file, or one fetch may do for two
    hub.add(REPO, files)
    opened = first_opened({"FEDMED_SNAPSHOT": REPO})
    assert opened.problem is not None and "central_model.safetensors" in opened.problem
    assert hub.count("GET", "/central_model.safetensors") == 2


def test_what_is_no_snapshot_is_not_fetched(hub: HubServer) -> None:
    hub.add(REPO, {"config.json": b'{"model_type": "bert"}', "model.safetensors": b"weights"})
    opened = first_opened({"FEDMED_SNAPSHOT": REPO})
    assert opened.problem is not None and "is no snapshot" in opened.problem
    assert hub.count("GET", "/model.safetensors") == 0
    assert hub.count("GET", "/config.json") == 1


def test_the_page_tells_of_a_copy_that_may_be_old(hub: HubServer, snapshot_folder: Path) -> None:
    hub.add(REPO, contents(snapshot_folder))
    first = first_opened({"FEDMED_SNAPSHOT": REPO})
    assert "copy fetched earlier" not in first.why
    hub.fail("GET", "/api/models/", status=500)
    second = first_opened({"FEDMED_SNAPSHOT": REPO})
    assert (second.label, second.problem) == (first.label, None)
    assert "It is a copy fetched earlier" in second.why


def test_an_address_with_a_password_is_told_without_it(
    hub: HubServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    from huggingface_hub import constants

    hub.stop()
    monkeypatch.setattr(constants, "ENDPOINT", constants.ENDPOINT.replace("//", "//me:secret@"))
    opened = first_opened({"FEDMED_SNAPSHOT": REPO})
    assert opened.problem is not None
    assert "127.0.0.1" in opened.problem and "secret" not in opened.problem


def test_a_full_disk_is_told_without_its_places(
    hub: HubServer, snapshot_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import huggingface_hub

    whole = huggingface_hub.snapshot_download

    def full(*arguments: Any, **named: Any) -> str:
        if named.get("local_files_only"):
            return whole(*arguments, **named)
        raise OSError(28, "No space left on device", "/home/me/.cache/secret")

    hub.add(REPO, contents(snapshot_folder))
    monkeypatch.setattr(huggingface_hub, "snapshot_download", full)
    opened = first_opened({"FEDMED_SNAPSHOT": REPO})
    assert opened.problem is not None and "no space left on device" in opened.problem
    assert "/home/me" not in opened.problem


# --- what is published


def test_a_card_that_is_a_link_elsewhere_is_not_published(
    hub: HubServer, tmp_path: Path, capsys: Any
) -> None:
    snapshot = small_snapshot(tmp_path / "snapshot")
    (tmp_path / "secret").write_text("a password")
    (snapshot / "README.md").unlink()
    (snapshot / "README.md").symlink_to(tmp_path / "secret")
    assert push.main([str(snapshot), REPO]) == 2
    assert "README.md is a link" in capsys.readouterr().err
    assert not hub.requests


def test_what_was_fetched_can_be_published(hub: HubServer, snapshot_folder: Path) -> None:
    hub.add(REPO, contents(snapshot_folder))
    fetched = first_opened({"FEDMED_SNAPSHOT": REPO}).snapshot.folder
    assert (fetched / "README.md").is_symlink()
    assert push.main([str(fetched), "alice/copy"]) == 0
    assert hub["alice/copy"].files == hub[REPO].files


def test_a_snapshot_that_is_replaced_meanwhile_is_not_mixed(hub: HubServer, tmp_path: Path) -> None:
    snapshot = small_snapshot(tmp_path / "snapshot")
    before = contents(snapshot)
    other = {"central_model.safetensors": b"other"}
    hub.before("POST", "/preupload/", lambda: small_snapshot(snapshot, other))
    assert push.main([str(snapshot), REPO]) == 0
    held = {key: data for key, data in hub[REPO].files.items() if key != ".gitattributes"}
    assert held == before
