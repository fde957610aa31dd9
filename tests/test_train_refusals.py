"""What train.py refuses before it writes anything, and what becomes of a run it cannot publish."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import train
from fedmed.experiment.settings import Settings
from fedmed.snapshot.reader import Snapshot
from tests.support.films import write_films
from tests.support.hub_server import HubServer


def untouched(folder: Path) -> bool:
    return not folder.exists() and not folder.with_name(folder.name + ".partial").exists()


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"data": "none"}, "--data none: no such folder"),
        ({"backbone": "none"}, "--backbone none: no such file"),
        ({"device": "gpu"}, "--device gpu"),
        ({"hospitals": 30}, "lower --hospitals"),
        ({"output": Path(".")}, "--output ."),
    ],
)
def test_bad_input_is_2_with_one_message_and_nothing_written(
    changes: dict[str, Any],
    told: str,
    settings: Settings,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert train.run(replace(settings, **changes)) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ") and told in error
    assert "Traceback" not in error
    assert untouched(settings.output)


def test_unreadable_images_are_listed_and_nothing_is_written(
    settings: Settings, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: Any
) -> None:
    data = write_films(tmp_path / "clinic")
    for name, content in (("train/NORMAL/IM-0900-0001.jpeg", b""), ("test/NORMAL/a.txt", b"hi")):
        (data / name).write_bytes(content)
    cut = next((data / "train/PNEUMONIA").glob("*.jpeg"))
    cut.write_bytes(cut.read_bytes()[:600])
    monkeypatch.setenv("FEDMED_CACHE", str(tmp_path / "cache"))
    assert train.run(replace(settings, data=str(data))) == 2
    error = capsys.readouterr().err
    assert "3 of " in error
    for name in ("IM-0900-0001.jpeg", "a.txt", cut.name):
        assert name in error
    assert untouched(settings.output)
    assert not any((tmp_path / "cache").rglob("*.safetensors"))


class TestPublishing:
    def test_the_snapshot_arrives_as_it_is(
        self, hub: HubServer, settings: Settings, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert train.run(replace(settings, push_to="alice/fedmed", private=True)) == 0
        assert f"Published: {hub.url}/alice/fedmed/commit/" in capsys.readouterr().out
        repository = hub["alice/fedmed"]
        assert repository.private
        for path in settings.output.rglob("*"):
            if path.is_file():
                name = path.relative_to(settings.output).as_posix()
                assert repository.files[name] == path.read_bytes()

    @pytest.mark.parametrize(("token", "status"), [("hf_read", 2), ("", 2), ("hf_wrong", 2)])
    def test_the_token_is_checked_before_any_work(
        self,
        token: str,
        status: int,
        hub: HubServer,
        settings: Settings,
        monkeypatch: Any,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        monkeypatch.setenv("HF_TOKEN", token)
        monkeypatch.setattr("fedmed.data.load", None)
        assert train.run(replace(settings, push_to="alice/fedmed")) == status
        assert "token" in capsys.readouterr().err
        assert untouched(settings.output)

    def test_a_failed_push_keeps_the_snapshot_and_tells_the_command(
        self, hub: HubServer, settings: Settings, capsys: pytest.CaptureFixture[str]
    ) -> None:
        hub.fail("POST", "/commit/", status=500)
        assert train.run(replace(settings, push_to="alice/fedmed")) == 1
        error = capsys.readouterr().err
        assert f"python -m fedmed.push {settings.output} alice/fedmed" in error
        assert "Traceback" not in error
        Snapshot.open(settings.output)

    def test_interrupted_while_publishing_the_command_is_told(
        self, hub: HubServer, settings: Settings, monkeypatch: Any, capsys: Any
    ) -> None:
        def interrupted(*_: object, **__: object) -> None:
            raise KeyboardInterrupt

        monkeypatch.setattr("fedmed.snapshot.publish.publish", interrupted)
        for private, option in ((False, ""), (True, " --private")):
            asked = replace(settings, push_to="alice/fedmed", private=private, examples=0)
            assert train.run(asked) == 130
            error = capsys.readouterr().err
            assert error.endswith(f"fedmed.push {settings.output} alice/fedmed{option}\n")
            assert "--resume" not in error
