"""What an unfinished run keeps, and for whom."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from fedmed.data.cohort import Xray
from fedmed.errors import UserError
from fedmed.experiment import run_state
from fedmed.experiment.run_state import RunState
from fedmed.experiment.settings import Settings
from fedmed.federated.ledger import Ledger
from fedmed.federated.state import State
from tests.support.xrays import xrays

XRAYS = xrays(["IM-0001-0001.jpeg", "IM-0002-0001.jpeg"], 0)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(data="simulated", output=tmp_path / "snapshot")


def resumed(settings: Settings, **changes: object) -> Settings:
    return replace(settings, resume=True, **changes)  # type: ignore[arg-type]


def begun(settings: Settings, backbone: str = "b", images: list[Xray] = XRAYS) -> RunState:
    state = RunState(settings, backbone, images, "engine")
    state.begin()
    return state


def after(number: int) -> State:
    entry = {"hospital_1": 4240}
    return State({}, {}, {}, {}, {}, Ledger([entry] * number, [entry] * number))


def keep(state: RunState, count: int, wire: str = "fp32") -> None:
    for number in range(1, count + 1):
        state.keeper(wire)(after(number))


def rounds(state: RunState, wire: str = "fp32") -> int:
    kept = state.federation(wire)
    return kept.round if kept else 0


def test_rounds_are_kept_per_format_for_a_run_that_goes_on(settings: Settings) -> None:
    state = begun(settings)
    keep(state, 3)
    keep(state, 1, "int8")
    again = begun(resumed(settings))
    assert (rounds(again), rounds(again, "int8"), rounds(again, "fp16")) == (3, 1, 0)


def test_of_a_federation_the_last_round_is_kept_alone(settings: Settings) -> None:
    state = begun(settings)
    keep(state, 3)
    assert {path.name for path in settings.partial.iterdir()} == {"run.json", "fp32.safetensors"}


def test_what_a_private_run_sent_is_kept_and_is_no_federation(settings: Settings) -> None:
    state = begun(settings)
    keep(state, 2)
    keep(state, 1, "unprotected")
    state.outbox().write_bytes(b"what was sent")
    again = begun(resumed(settings))
    told = "round 2 of the federation in fp32, round 1 of the federation without privacy"
    assert again.words(asked=4, lacking=4) == f"Kept from before: {told}."
    assert again.outbox().read_bytes() == b"what was sent"
    assert not begun(settings).outbox().exists(), "a run that starts anew sends its own"


def test_without_resume_a_run_starts_anew(settings: Settings) -> None:
    keep(begun(settings), 2)
    assert rounds(begun(settings)) == 0


def test_with_nothing_to_resume_a_run_starts_anew(settings: Settings) -> None:
    assert rounds(begun(resumed(settings))) == 0


def test_nothing_is_written_or_lost_before_it_begins(settings: Settings) -> None:
    RunState(settings, "b", XRAYS, "engine")
    assert not settings.partial.exists()
    keep(begun(settings), 2)
    RunState(settings, "b", XRAYS, "engine")
    assert rounds(begun(resumed(settings))) == 2


def test_another_run_is_not_gone_on_with(settings: Settings) -> None:
    keep(begun(settings), 2)
    for others in (
        lambda: RunState(resumed(settings, seed=7), "b", XRAYS, "engine"),
        lambda: RunState(resumed(settings, rounds=9), "b", XRAYS, "engine"),
        lambda: RunState(resumed(settings), "another", XRAYS, "engine"),
        lambda: RunState(resumed(settings), "b", XRAYS[::-1], "engine"),
        *(
            lambda changed=changed: RunState(resumed(settings), "b", changed, "engine")
            for changed in (
                [replace(XRAYS[0], digest="0" * 64), XRAYS[1]],
                [replace(XRAYS[0], label=1), XRAYS[1]],
                [replace(XRAYS[0], patient=XRAYS[1].patient), XRAYS[1]],
                [replace(XRAYS[0], name=XRAYS[0].name.replace("train", "test")), XRAYS[1]],
            )
        ),
        lambda: RunState(resumed(settings), "b", XRAYS, "another engine"),
    ):
        with pytest.raises(UserError, match=r"--resume: .* belongs to a run with other options"):
            others()
    assert rounds(begun(resumed(settings))) == 2


def test_nor_is_one_of_other_code_or_libraries(settings: Settings, monkeypatch: Any) -> None:
    begun(settings)
    monkeypatch.setattr(run_state, "code_digest", lambda sources: "another")
    with pytest.raises(UserError, match="another version of FedMed or of a library"):
        RunState(resumed(settings), "b", XRAYS, "engine")


def test_a_damaged_round_is_said_so(settings: Settings) -> None:
    keep(begun(settings), 2)
    path = settings.partial / "fp32.safetensors"
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(UserError, match="without --resume"):
        begun(resumed(settings)).federation("fp32")


def test_a_half_written_marker_is_no_run(settings: Settings) -> None:
    settings.partial.mkdir()
    (settings.partial / "run.json.1.partial").write_text("{")
    assert rounds(begun(resumed(settings))) == 0


@pytest.mark.parametrize("resume", [False, True])
def test_somebody_elses_folder_is_left_alone(resume: bool, settings: Settings) -> None:
    settings.partial.mkdir()
    (settings.partial / "notes.txt").write_bytes(b"mine")
    with pytest.raises(UserError, match="in the way"):
        RunState(resumed(settings) if resume else settings, "b", XRAYS, "engine")
    assert (settings.partial / "notes.txt").exists()


def test_a_file_or_a_link_in_its_place_is_named(settings: Settings, tmp_path: Path) -> None:
    settings.partial.write_bytes(b"")
    with pytest.raises(UserError, match="in the way"):
        RunState(settings, "b", XRAYS, "engine")
    settings.partial.unlink()
    (tmp_path / "empty").mkdir()
    settings.partial.symlink_to(tmp_path / "empty")
    with pytest.raises(UserError, match="in the way"):
        RunState(settings, "b", XRAYS, "engine")


@pytest.mark.parametrize("marker", [b"\xff\xfe", b"[" * 99_999, b'{"mine": 1}', b"3", b""])
def test_a_marker_of_somebody_else_is_left_alone(marker: bytes, settings: Settings) -> None:
    settings.partial.mkdir()
    (settings.partial / "run.json").write_bytes(marker)
    with pytest.raises(UserError, match="in the way"):
        RunState(settings, "b", XRAYS, "engine")
    with pytest.raises(UserError, match="belongs to a run with other options"):
        RunState(resumed(settings), "b", XRAYS, "engine")
    assert (settings.partial / "run.json").read_bytes() == marker


def test_aside_is_empty_each_time_and_the_end_leaves_nothing(settings: Settings) -> None:
    state = begun(settings)
    (state.aside() / "half.safetensors").write_bytes(b"")
    assert list(state.aside().iterdir()) == []
    state.finish()
    assert not settings.partial.exists()


class Killed(BaseException):
    """Not caught by whoever shrugs at errors."""


@contextmanager
def killed_at(step: int) -> Iterator[None]:
    """Removals up to this one; of a folder, the run's marker is listed first."""
    listing, made = os.scandir, 0

    @contextmanager
    def marker_first(folder: Any = ".") -> Iterator[Iterator[os.DirEntry[str]]]:
        with listing(folder) as found:
            yield iter(sorted(found, key=lambda entry: entry.name != "run.json"))

    def stopping(remove: Callable[..., None]) -> Callable[..., None]:
        def removed(*arguments: Any, **named: Any) -> None:
            nonlocal made
            made += 1
            if made == step:
                raise Killed
            remove(*arguments, **named)

        return removed

    with pytest.MonkeyPatch.context() as patch, suppress(Killed):
        patch.setattr(os, "scandir", marker_first)
        patch.setattr(os, "unlink", stopping(os.unlink))
        patch.setattr(os, "rmdir", stopping(os.rmdir))
        yield


@pytest.mark.parametrize("step", range(1, 8))
@pytest.mark.parametrize("anew", [False, True])
def test_killed_as_it_removes_a_run_is_still_known_to_be_one(
    anew: bool, step: int, settings: Settings
) -> None:
    state = begun(settings)
    for wire in ("fp32", "fp16", "int8"):
        keep(state, 1, wire)
    (state.aside() / "head.safetensors").write_bytes(b"")
    with killed_at(step):
        begun(settings) if anew else state.finish()
    assert rounds(begun(resumed(settings)), "int8") in (0, 1)


def test_a_run_says_at_its_start_what_it_will_not_do_again(settings: Settings) -> None:
    first = RunState(settings, "b", XRAYS, "engine")
    assert first.words(90, 90) == ""
    assert first.words(90, 60) == "Kept from before: 30 of 90 backbone passes."
    again = RunState(resumed(settings), "b", XRAYS, "engine")
    assert again.words(90, 90) == "--resume: nothing kept: starts from the beginning."
    first.begin()
    keep(first, 3)
    keep(first, 1, "int8")
    told = RunState(resumed(settings), "b", XRAYS, "engine").words(90, 0)
    assert told == (
        "Kept from before: 90 of 90 backbone passes, round 3 of the federation in fp32, "
        "round 1 of the federation in int8."
    )
    assert "round" not in RunState(settings, "b", XRAYS, "engine").words(90, 0), "starts anew"


def test_broken_off_it_says_what_is_kept(settings: Settings) -> None:
    assert "round" not in run_state.kept_words(settings)
    keep(begun(settings), 3)
    told = run_state.kept_words(settings)
    assert "passes" in told and "round 3 in fp32" in told and "--resume" in told
    (settings.partial / "fp32.safetensors").write_bytes(b"half")
    assert "--resume" in run_state.kept_words(settings)
