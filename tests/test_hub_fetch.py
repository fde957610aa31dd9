"""Fetching from a Hub that speaks the real protocol, and from the cache when it is gone."""

from __future__ import annotations

import logging

import pytest

from fedmed.hub import FetchError, fetch
from fedmed.hub_client import DOWNLOAD_ATTEMPTS
from tests.hub_server import HubServer

pytest_plugins = ["tests.hub_fixtures"]

REPO = "alice/fedmed"


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
    with caplog.at_level(logging.WARNING, logger="fedmed.hub"):
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
    hub: HubServer, how: str, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The client then keeps what arrived, as it does of files above 10 MB, and goes on from there.
    monkeypatch.setattr("huggingface_hub.constants.DOWNLOAD_CHUNK_SIZE", 16)
    hub.add(REPO, {"config.json": b"{}" * 99, "central_model.safetensors": b"head" * 99})
    hub.fail("GET", f"/{name}", how)
    with pytest.raises(FetchError, match=f"{REPO} can't be fetched: the connection"):
        fetch(REPO)
    assert hub.count("GET", f"/{name}") <= DOWNLOAD_ATTEMPTS
    hub.heal()
    assert (fetch(REPO) / name).read_bytes() == hub[REPO].files[name]


def test_a_body_that_breaks_off_once_is_resumed(hub: HubServer) -> None:
    hub.add(REPO, {"central_model.safetensors": bytes(range(256))})
    hub.fail("GET", "/central_model", "truncate", times=1)
    assert (fetch(REPO) / "central_model.safetensors").read_bytes() == bytes(range(256))


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
