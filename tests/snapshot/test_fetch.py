"""Fetching from a Hub that speaks the real protocol, and from the cache when it is gone."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from fedmed.errors import UserError
from fedmed.hub.client import DOWNLOAD_ATTEMPTS
from fedmed.hub.failures import FetchError
from fedmed.snapshot.fetch import fetch
from fedmed.snapshot.manifest import verify
from tests.support.hub_server import HubServer
from tests.support.hub_tools import contents, small_snapshot

REPO = "alice/fedmed"


@pytest.fixture
def snapshot(tmp_path: Path) -> Path:
    return small_snapshot(tmp_path / "snapshot")


def test_a_pinned_commit_is_fetched_and_then_needs_no_network(hub: HubServer) -> None:
    old = hub.add(REPO, {"config.json": b'"old"'})
    hub[REPO].commit({"config.json": b'"new"'})
    folder = fetch(REPO, old)
    assert (folder / "config.json").read_bytes() == b'"old"'
    hub.requests.clear()
    assert fetch(REPO, old) == folder
    assert hub.requests == []
    hub.stop()
    assert fetch(REPO, old) == folder


def test_a_branch_is_looked_up_and_offline_the_last_copy_serves(
    hub: HubServer, caplog: pytest.LogCaptureFixture
) -> None:
    hub.add(REPO, {"config.json": b"old"})
    fetch(REPO)
    hub[REPO].commit({"config.json": b"new"})
    assert (fetch(REPO) / "config.json").read_bytes() == b"new"
    hub.stop()
    with caplog.at_level(logging.WARNING, logger="fedmed.snapshot.fetch"):
        assert (fetch(REPO) / "config.json").read_bytes() == b"new"
    assert "copy fetched earlier" in caplog.text


def test_an_update_that_breaks_off_does_not_cost_the_last_copy(
    hub: HubServer, caplog: pytest.LogCaptureFixture
) -> None:
    hub.add(REPO, {"config.json": b"old"})
    fetch(REPO)
    hub[REPO].commit({"config.json": b"new " * 50})
    hub.fail("GET", "/resolve/", "drop")
    assert (fetch(REPO) / "config.json").read_bytes() == b"old"
    assert "copy fetched earlier" in caplog.text
    hub.stop()
    assert (fetch(REPO) / "config.json").read_bytes() == b"old"


@pytest.mark.parametrize("how", ["truncate", "drop"])
@pytest.mark.parametrize("name", ["config.json", "central_model.safetensors"])
def test_a_body_that_never_arrives_whole_is_given_up(
    hub: HubServer, snapshot: Path, how: str, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The client then keeps what arrived, as it does of files above 10 MB, and goes on from there.
    monkeypatch.setattr("huggingface_hub.constants.DOWNLOAD_CHUNK_SIZE", 16)
    hub.add(REPO, contents(snapshot))
    hub.fail("GET", f"/{name}", how)
    with pytest.raises(FetchError, match=f"{REPO} can't be fetched: the connection"):
        fetch(REPO)
    assert hub.count("GET", f"/{name}") <= DOWNLOAD_ATTEMPTS
    hub.heal()
    assert (fetch(REPO) / name).read_bytes() == hub[REPO].files[name]


def test_a_body_that_breaks_off_once_is_resumed(hub: HubServer, snapshot: Path) -> None:
    hub.add(REPO, contents(snapshot))
    hub.fail("GET", "/central_model", "truncate", times=1)
    assert contents(fetch(REPO)) == contents(snapshot)


# --- what is fetched


def test_what_the_snapshot_does_not_list_is_not_fetched(hub: HubServer, tmp_path: Path) -> None:
    mine = small_snapshot(tmp_path / "mine", {"examples/a[1].png": b"1"})
    others = {"train.bin": b"\0" * 999, "deep/a.pkl": b"x", "examples/a1.png": b"2", ".git/x": b""}
    commit = hub.add(REPO, contents(mine) | others)
    folder = fetch(REPO)
    assert contents(folder) == contents(mine)
    assert verify(folder)
    hub.stop()
    assert fetch(REPO) == fetch(REPO, commit) == folder


def test_a_copy_that_lacks_a_listed_file_is_not_complete(hub: HubServer, snapshot: Path) -> None:
    commit = hub.add(REPO, contents(snapshot))
    folder = fetch(REPO, commit)
    (folder / "evaluation.json").unlink()
    assert contents(fetch(REPO, commit)) == contents(snapshot)
    (folder / "evaluation.json").unlink()
    hub.stop()
    with pytest.raises(FetchError, match="the connection to"):
        fetch(REPO, commit)


def test_a_folder_of_the_original_project_is_fetched(hub: HubServer) -> None:
    models = {"central_model.pth": b"c", "client_1_model.pth": b"1", "federated_model.pth": b"f"}
    commit = hub.add(REPO, models | {"notebook.ipynb": b"n", "data.zip": b"z"})
    folder = fetch(REPO)
    assert contents(folder) == models
    hub.stop()
    assert fetch(REPO, commit) == folder


@pytest.mark.parametrize("name", ["config.json", "README.md", "federated_model.pth"])
def test_more_than_any_snapshot_is_refused_unfetched(
    name: str, hub: HubServer, snapshot: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fedmed.snapshot.fetch.MAX_MEBIBYTES", 1)
    hub.add(REPO, contents(snapshot) | {name: bytes(2**20 + 1)})
    with pytest.raises(UserError, match=f"{REPO}: its files come to more than 1 MiB"):
        fetch(REPO)
    assert hub.count("GET", "/resolve/") == 0


def test_more_than_any_snapshot_has_in_what_it_lists(
    hub: HubServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fedmed.snapshot.fetch.MAX_MEBIBYTES", 1)
    half = {f"{name}.bin": name.encode() + bytes(2**19) for name in "ab"}
    commit = hub.add(REPO, contents(small_snapshot(tmp_path / "large", half)))
    for revision in (None, commit):
        with pytest.raises(UserError, match=f"{REPO}: its files come to more than 1 MiB"):
            fetch(REPO, revision)
    assert hub.count("GET", ".bin") == 0


@pytest.mark.parametrize("token", ["hf_write", "hf_wrong", None])
def test_a_repository_that_is_not_there_is_said_so(hub: HubServer, token: str | None) -> None:
    with pytest.raises(FetchError, match="alice/none can't be fetched: it does not exist, or"):
        fetch("alice/none", token=token)


def test_a_private_repository_needs_a_token(
    hub: HubServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.add(REPO, {"config.json": b"{}"}, private=True)
    assert fetch(REPO, token="hf_read").is_dir()
    monkeypatch.delenv("HF_TOKEN")
    with pytest.raises(FetchError, match="or it is private and no accepted token was found"):
        fetch(REPO)


def test_a_revision_that_is_not_there_is_said_so(hub: HubServer) -> None:
    hub.add(REPO, {})
    for revision in ("v9", "b" * 40):
        with pytest.raises(FetchError, match=f"{REPO}@{revision} .* no such revision"):
            fetch(REPO, revision)
