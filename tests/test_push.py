"""The command that publishes a snapshot from disk."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from fedmed import push
from tests.support.hub_server import HubServer
from tests.support.hub_tools import small_snapshot

REPO = "alice/fedmed"


@pytest.fixture
def snapshot(tmp_path: Path) -> str:
    return str(small_snapshot(tmp_path / "snapshot"))


def test_it_prints_where_the_snapshot_is(
    hub: HubServer, snapshot: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert push.main([snapshot, REPO, "--private"]) == 0
    assert capsys.readouterr().out == f"{hub.url}/{REPO}/commit/{hub[REPO].head}\n"
    assert hub[REPO].private


def test_one_that_a_killed_run_had_moved_away_is_put_back(hub: HubServer, snapshot: str) -> None:
    Path(snapshot).rename(Path(snapshot).with_name(".snapshot.fedmed-retired"))
    assert push.main([snapshot, REPO]) == 0


def test_a_bad_snapshot_is_2(
    hub: HubServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert push.main([str(tmp_path / "none"), REPO]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ") and "none is no snapshot" in error
    assert hub.requests == []


def test_files_that_are_listed_in_pairs_are_2(
    hub: HubServer, snapshot: str, capsys: pytest.CaptureFixture[str]
) -> None:
    config = json.loads((Path(snapshot) / "config.json").read_text())
    del config["config_sha256"]
    config["files"] = list(config["files"].items())
    (Path(snapshot) / "config.json").write_text(json.dumps(config))
    assert push.main([snapshot, REPO]) == 2
    assert "config.json is missing or damaged" in capsys.readouterr().err
    assert hub.requests == []


def test_a_bad_name_is_2(hub: HubServer, snapshot: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert push.main([snapshot, "fedmed"]) == 2
    assert "USER/REPO" in capsys.readouterr().err
    assert hub.requests == []


def test_a_failing_hub_is_1_and_the_printed_command_works_later(
    hub: HubServer, snapshot: str, capsys: pytest.CaptureFixture[str]
) -> None:
    hub.fail("POST", "/commit/", status=500)
    assert push.main([snapshot, REPO, "--private"]) == 1
    error = capsys.readouterr().err
    assert "Traceback" not in error
    again = error.split("To try again: ")[1].split()
    assert again[:3] == ["python", "-m", "fedmed.push"]
    hub.heal()
    assert push.main(again[3:]) == 0


def test_interrupted_is_130(
    snapshot: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("fedmed.snapshot.publish.publish", interrupted)
    assert push.main([snapshot, REPO]) == 130
    assert "run it again" in capsys.readouterr().err


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "fedmed.push", *arguments],
        env=os.environ | {"COLUMNS": "80"},
        capture_output=True,
        text=True,
    )


def test_help_reads_well_at_80_columns() -> None:
    done = run("--help")
    assert done.returncode == 0
    assert max(map(len, done.stdout.splitlines())) <= 80
    for word in ("SNAPSHOT", "USER/REPO", "--private", "--message", "HF_TOKEN"):
        assert word in done.stdout


def test_an_unknown_option_is_named() -> None:
    done = run("snapshot", REPO, "--pubic")
    assert done.returncode == 2
    assert "--pubic" in done.stderr
