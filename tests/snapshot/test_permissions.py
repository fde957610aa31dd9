"""What a repository holds already: an older snapshot is replaced, anything else is left alone."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from fedmed import push
from fedmed.errors import UserError
from fedmed.hub.client import DOWNLOAD_ATTEMPTS
from fedmed.hub.failures import PublishError
from fedmed.snapshot import permissions
from fedmed.snapshot.manifest import verify
from fedmed.snapshot.publish import check_access, publish
from tests.support.hub_server import HubServer
from tests.support.hub_tools import contents, small_snapshot

REPO = "alice/fedmed"
WORK = {"model.safetensors": b"months of work", "train_log.txt": b"log", "LICENSE": b"mit"}


@pytest.fixture
def snapshot(tmp_path: Path) -> Path:
    return small_snapshot(tmp_path / "snapshot")


def held(hub: HubServer) -> dict[str, bytes]:
    return {name: data for name, data in hub[REPO].files.items() if name != ".gitattributes"}


def assert_left_alone(hub: HubServer, snapshot: Path, named: str = "") -> None:
    """Training is refused, and publishing; nothing is sent."""
    before = held(hub)
    for refused in (lambda: check_access(REPO, private=False), lambda: publish(snapshot, REPO)):
        with pytest.raises(UserError, match=f"{REPO}: it holds no FedMed snapshot") as caught:
            refused()
        assert caught.value.exit_status == 2
        assert named in str(caught.value) and "another repository name" in str(caught.value)
    assert held(hub) == before
    assert hub.count("POST") == hub.count("PUT") == 0


def test_someone_s_work_is_left_alone(hub: HubServer, snapshot: Path, capsys: Any) -> None:
    hub.add(REPO, WORK)
    assert_left_alone(hub, snapshot, "such as model.safetensors")
    assert push.main([str(snapshot), REPO]) == 2
    assert capsys.readouterr().err.startswith(f"error: can't publish to {REPO}")


@pytest.mark.parametrize(
    "config", [b'{"model_type": "bert"}', b'{"files": ["model.safetensors"]}', b"{", b"\xff", b""]
)
def test_another_project_s_config_json_counts_for_nothing(
    config: bytes, hub: HubServer, snapshot: Path
) -> None:
    hub.add(REPO, WORK | {"config.json": config})
    assert_left_alone(hub, snapshot)


def test_a_config_json_that_was_altered_counts_for_nothing(hub: HubServer, snapshot: Path) -> None:
    config = json.loads((snapshot / "config.json").read_text())
    config["files"] |= dict.fromkeys(WORK, "0" * 64)
    hub.add(REPO, contents(snapshot) | WORK | {"config.json": json.dumps(config).encode()})
    assert_left_alone(hub, snapshot)


def test_a_config_json_of_any_size_is_not_fetched(
    hub: HubServer, snapshot: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.add(REPO, contents(snapshot))
    monkeypatch.setattr(permissions, "MAX_MEBIBYTES", 0)
    assert_left_alone(hub, snapshot)
    assert hub.count("GET", "/resolve/") == 0


@pytest.mark.parametrize("name", ["README.md", "LICENSE", "LICENSE.txt"])
def test_what_a_new_repository_may_hold_is_no_one_s_work(
    name: str, hub: HubServer, snapshot: Path
) -> None:
    hub.add(REPO, {name: b"made by the Hub"})
    check_access(REPO, private=False)
    publish(snapshot, REPO)
    assert held(hub) == {name: b"made by the Hub"} | contents(snapshot)


def test_what_was_put_beside_a_snapshot_stays(hub: HubServer, snapshot: Path) -> None:
    publish(snapshot, REPO)
    beside = {"notes.txt": b"n", "figures/roc.png": b"r", "old/central_model.safetensors": b"o"}
    hub[REPO].commit(hub[REPO].files | beside)
    check_access(REPO, private=False)
    publish(small_snapshot(snapshot, {"evaluation.json": b"{} "}), REPO)
    assert held(hub) == contents(snapshot) | beside


def test_a_card_of_an_older_snapshot_does_not_stay(hub: HubServer, snapshot: Path) -> None:
    publish(snapshot, REPO)
    (snapshot / "README.md").unlink()
    publish(snapshot, REPO)
    assert held(hub) == contents(snapshot)


def test_what_would_keep_the_snapshot_from_opening_does_not_stay(
    hub: HubServer, snapshot: Path, tmp_path: Path
) -> None:
    hub.add(REPO, contents(snapshot) | {"left.safetensors": b"l", "backbone.json": b"b"})
    publish(snapshot, REPO)
    for name, data in held(hub).items():
        (tmp_path / "clone" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "clone" / name).write_bytes(data)
    verify(tmp_path / "clone")


def test_the_config_json_is_read_at_the_commit_that_is_replaced(
    hub: HubServer, snapshot: Path
) -> None:
    hub.add(REPO, contents(snapshot))
    hub.before("GET", "/resolve/", lambda: hub[REPO].commit(WORK))
    with pytest.raises(PublishError, match="someone else changed it meanwhile"):
        publish(snapshot, REPO)
    assert held(hub) == WORK


def test_a_config_json_that_never_arrives_whole_is_given_up(
    hub: HubServer, snapshot: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.DOWNLOAD_CHUNK_SIZE", 16)
    hub.add(REPO, contents(snapshot))
    hub.fail("GET", "/config.json", "truncate")
    with pytest.raises(PublishError, match=r"the connection to .* failed"):
        check_access(REPO, private=False)
    assert hub.count("GET", "/config.json") <= DOWNLOAD_ATTEMPTS


def test_asking_leaves_nothing_in_the_cache(hub: HubServer, snapshot: Path, tmp_path: Path) -> None:
    hub.add(REPO, contents(snapshot))
    check_access(REPO, private=False)
    publish(snapshot, REPO)
    assert not list((tmp_path / "cache").rglob("config.json"))
