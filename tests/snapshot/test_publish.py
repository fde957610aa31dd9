"""Publishing to a Hub that speaks the real protocol, and every way that can fail."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from fedmed.errors import UserError
from fedmed.hub.failures import FetchError, PublishError
from fedmed.snapshot import publish as publishing
from fedmed.snapshot.fetch import fetch, parse_reference
from fedmed.snapshot.publish import check_access, publish
from tests.support.hub_server import HubServer
from tests.support.hub_tools import contents, small_snapshot, use_endpoint

REPO = "alice/fedmed"


@pytest.fixture
def snapshot(tmp_path: Path) -> Path:
    return small_snapshot(tmp_path / "snapshot")


def published(server: HubServer, repo: str = REPO) -> dict[str, bytes]:
    return {k: v for k, v in server[repo].files.items() if k != ".gitattributes"}


# --- publishing


def test_what_is_fetched_is_what_was_published(hub: HubServer, snapshot: Path) -> None:
    url = publish(snapshot, REPO)
    assert url == f"{hub.url}/{REPO}/commit/{hub[REPO].head}"
    folder = fetch(REPO)
    assert contents(folder) == contents(snapshot)
    assert hub.count("PUT", "/lfs/") == 1


def test_publishing_is_one_commit_and_removes_what_is_stale(hub: HubServer, tmp_path: Path) -> None:
    old = small_snapshot(tmp_path / "old", {"client_9_model.safetensors": b"9", "mine.txt": b"m"})
    hub.add(REPO, contents(old) | {"left_model.safetensors": b"l", "backbone.json": b"b"})
    snapshot = small_snapshot(tmp_path / "snapshot")
    publish(snapshot, REPO, message="Second run")
    assert len(hub[REPO].commits) == 2
    assert published(hub) == contents(snapshot)
    assert ".gitattributes" in hub[REPO].files


def test_a_file_that_changes_after_it_was_verified_is_not_sent(
    hub: HubServer, snapshot: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    verify = publishing.verify

    def verified(folder: Path) -> dict[str, Any]:
        config = verify(folder)
        (folder / "central_model.safetensors").write_bytes(b"of another run")
        return config

    monkeypatch.setattr(publishing, "verify", verified)
    with pytest.raises(UserError, match=r"central_model\.safetensors has just been changed"):
        publish(snapshot, REPO)
    assert hub.count("POST") == hub.count("PUT") == 0


def test_publishing_the_same_again_changes_nothing(hub: HubServer, snapshot: Path) -> None:
    first = publish(snapshot, REPO)
    commits = len(hub[REPO].commits)
    assert publish(snapshot, REPO) == first
    assert len(hub[REPO].commits) == commits


def test_files_that_config_json_does_not_name_stay_at_home(hub: HubServer, snapshot: Path) -> None:
    (snapshot / "patient.dcm").write_bytes(b"private")
    publish(snapshot, REPO)
    assert "patient.dcm" not in published(hub)


def test_private_is_private_and_an_existing_public_repository_is_not_taken_for_it(
    hub: HubServer, snapshot: Path
) -> None:
    publish(snapshot, REPO, private=True)
    assert hub[REPO].private
    hub.add("alice/public", {})
    for refused in (
        lambda: publish(snapshot, "alice/public", private=True),
        lambda: check_access("alice/public", private=True),
    ):
        with pytest.raises(UserError, match="exists and is public"):
            refused()
    assert published(hub, "alice/public") == {}


def test_a_tampered_snapshot_is_never_sent(hub: HubServer, snapshot: Path) -> None:
    (snapshot / "central_model.safetensors").write_bytes(b"tampered")
    with pytest.raises(UserError, match=r"central_model\.safetensors"):
        publish(snapshot, REPO)
    assert hub.requests == []


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (401, "does not accept the token"),
        (403, "may not write there"),
        (404, "no such repository"),
        (409, "someone else changed it"),
        (412, "someone else changed it"),
        (400, "the Hub refused it"),
        (500, "an error of its own"),
        (503, "an error of its own"),
    ],
)
def test_a_refused_commit_leaves_the_old_snapshot_and_says_what_to_run(
    hub: HubServer, snapshot: Path, status: int, words: str
) -> None:
    hub.add(REPO, {"README.md": b"old"})
    hub.fail("POST", "/commit/", status=status)
    with pytest.raises(PublishError, match=words) as caught:
        publish(snapshot, REPO)
    assert published(hub) == {"README.md": b"old"}
    message = str(caught.value)
    assert message.startswith(f"publishing to {REPO} failed")
    assert f"python -m fedmed.push {snapshot} {REPO}" in message
    assert ("Nothing there was changed" in message) == (status < 500)
    assert caught.value.__cause__ is not None
    hub.heal()
    publish(snapshot, REPO)
    assert published(hub) == contents(snapshot)


@pytest.mark.parametrize("step", ["/preupload/", "objects/batch", "/lfs/", "/commit/"])
def test_a_dropped_connection_leaves_the_old_snapshot(
    hub: HubServer, snapshot: Path, step: str
) -> None:
    hub.add(REPO, {"README.md": b"old"})
    hub.fail("POST", step, "drop")
    hub.fail("PUT", step, "drop")
    with pytest.raises(PublishError, match="failed; check the network"):
        publish(snapshot, REPO)
    assert published(hub) == {"README.md": b"old"}


def test_a_lost_reply_leaves_the_new_snapshot_and_running_again_succeeds(
    hub: HubServer, snapshot: Path
) -> None:
    hub.fail("POST", "/commit/", "drop reply")
    with pytest.raises(PublishError, match="the old snapshot or all of the new one"):
        publish(snapshot, REPO)
    assert published(hub) == contents(snapshot)
    hub.heal()
    publish(snapshot, REPO)
    assert len(hub[REPO].commits) == 2


def test_a_commit_made_meanwhile_is_not_overwritten(hub: HubServer, snapshot: Path) -> None:
    hub.add(REPO, {})
    hub.before("POST", "/preupload/", lambda: hub[REPO].commit({"theirs.txt": b"theirs"}))
    with pytest.raises(PublishError, match="someone else changed it meanwhile"):
        publish(snapshot, REPO)
    assert published(hub) == {"theirs.txt": b"theirs"}


# --- access, before a long training


def test_access_to_a_new_and_to_an_own_repository(hub: HubServer) -> None:
    check_access(REPO, private=False)
    assert hub.count("POST") == 0 and not hub.repositories
    hub.add(REPO, {})
    check_access(REPO, private=False)


def test_without_a_token_the_way_to_one_is_told(
    hub: HubServer, snapshot: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("HF_TOKEN")
    for refused in (lambda: check_access(REPO, private=False), lambda: publish(snapshot, REPO)):
        with pytest.raises(UserError, match=r"no Hugging Face token.*hf auth login.*HF_TOKEN"):
            refused()
    assert hub.requests == []


@pytest.mark.parametrize("token", ["topsecret\u2019x", "topsecret\x01x", "top\tsecret"])
def test_a_token_that_cannot_be_one_is_refused_unseen(
    token: str, hub: HubServer, snapshot: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", token)
    for refused in (lambda: check_access(REPO, private=False), lambda: publish(snapshot, REPO)):
        with pytest.raises(UserError, match="characters that no token has") as caught:
            refused()
        assert caught.value.exit_status == 2
        assert "secret" not in str(caught.value)
    assert hub.requests == []


def test_reading_with_such_a_token_says_the_same(
    hub: HubServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", "topsecret\u2019x")
    with pytest.raises(FetchError, match="characters that no token has"):
        fetch(REPO)


@pytest.mark.parametrize(
    ("token", "repo", "words"),
    [
        ("hf_wrong", REPO, "does not accept the token"),
        ("hf_read", REPO, "can only read"),
        ("hf_write", "bob/fedmed", "repositories of alice, hospital, not of bob"),
        ("hf_write", "clinic/fedmed", "not of clinic"),
        ("hf_fine", REPO, "fine-grained .* may not write there"),
    ],
)
def test_a_token_that_may_not_write_is_refused_before_training(
    hub: HubServer, token: str, repo: str, words: str
) -> None:
    hub.add_token("hf_write", "alice", "write", orgs={"hospital": "write", "clinic": "read"})
    only_reads = {"entity": {"type": "user", "name": "alice"}, "permissions": ["repo.content.read"]}
    hub.add_token("hf_fine", "alice", "fineGrained", fineGrained={"scoped": [only_reads]})
    with pytest.raises(UserError, match=words) as caught:
        check_access(repo, private=False, token=token)
    assert not isinstance(caught.value, PublishError)


@pytest.mark.parametrize("entity", ["alice", REPO])
def test_a_fine_grained_token_with_write_access_is_accepted(hub: HubServer, entity: str) -> None:
    writes = {"entity": {"type": "user", "name": entity}, "permissions": ["repo.write"]}
    hub.add_token("hf_fine", "alice", "fineGrained", fineGrained={"scoped": [writes]})
    check_access(REPO, private=False, token="hf_fine")


def test_an_organization_with_write_access_is_accepted(hub: HubServer, snapshot: Path) -> None:
    hub.add_token("hf_write", "alice", "write", orgs={"hospital": "contributor"})
    check_access("hospital/fedmed", private=False)
    publish(snapshot, "hospital/fedmed")


def test_a_hub_in_trouble_is_not_the_user_s_mistake(hub: HubServer) -> None:
    hub.fail("GET", "/api/whoami-v2", status=502)
    with pytest.raises(PublishError, match=r"an error of its own \(HTTP 502\)"):
        check_access(REPO, private=False)


# --- names


def test_references() -> None:
    assert parse_reference("alice/fedmed") == ("alice/fedmed", None)
    assert parse_reference("alice/fedmed@v1.0") == ("alice/fedmed", "v1.0")
    assert parse_reference("alice/fedmed@" + "a" * 40) == ("alice/fedmed", "a" * 40)


@pytest.mark.parametrize("reference", ["", "fedmed", "a/b/c", "alice/", "../x", "a/b@", "a b/c"])
def test_what_is_no_reference_is_refused(reference: str) -> None:
    with pytest.raises(UserError):
        parse_reference(reference)


# --- a Hub out of reach


def test_an_unreachable_hub_is_given_up_in_seconds(
    hub: HubServer, snapshot: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound but not listening: connections are refused
        use_endpoint(f"http://127.0.0.1:{taken.getsockname()[1]}", monkeypatch)
        started = time.monotonic()
        for attempt, kind in (
            (lambda: fetch(REPO), FetchError),
            (lambda: fetch(REPO, "c" * 40), FetchError),
            (lambda: publish(snapshot, REPO), PublishError),
            (lambda: check_access(REPO, private=False), PublishError),
        ):
            with pytest.raises(kind, match="failed; check the network"):
                attempt()
        assert time.monotonic() - started < 30


def test_a_silent_hub_is_given_up(
    hub: HubServer, snapshot: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("publish", "fetch"):
        monkeypatch.setattr(f"fedmed.snapshot.{module}.PROBE_SECONDS", 0.2)
    monkeypatch.setattr("fedmed.hub.client.ANSWER_SECONDS", 0.2)
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()  # the kernel accepts; nobody ever answers
        use_endpoint(f"http://127.0.0.1:{silent.getsockname()[1]}", monkeypatch)
        for attempt in (
            lambda: fetch(REPO),
            lambda: publish(snapshot, REPO),
            lambda: check_access(REPO, private=False),
        ):
            with pytest.raises(UserError, match="did not answer in time"):
                attempt()


def test_offline_mode_is_respected_and_named(
    hub: HubServer, snapshot: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.add(REPO, {"config.json": b"{}"})
    folder = fetch(REPO)
    hub.requests.clear()
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    assert fetch(REPO) == folder
    with pytest.raises(PublishError, match="offline mode is on"):
        publish(snapshot, REPO)
    assert hub.requests == []


def test_a_fresh_process_finds_the_hub_by_hf_endpoint(
    hub: HubServer, snapshot: Path, tmp_path: Path
) -> None:
    code = (
        "import sys; from pathlib import Path; from fedmed.snapshot.fetch import fetch\n"
        "from fedmed.snapshot.publish import publish\n"
        "assert 'huggingface_hub' not in sys.modules\n"
        f"publish(Path({str(snapshot)!r}), {REPO!r}); print(fetch({REPO!r}))"
    )
    environment = os.environ | {
        "HF_ENDPOINT": hub.url,
        "HF_HOME": str(tmp_path / "home"),
        "HF_HUB_DISABLE_XET": "1",
        "HF_TOKEN": "hf_write",
    }
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, check=True, capture_output=True, text=True
    )
    folder = Path(done.stdout.strip())
    assert folder.is_relative_to(tmp_path / "home")
    assert contents(folder).items() >= contents(snapshot).items()
