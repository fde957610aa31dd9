"""Several snapshots to choose from, of which one is in memory."""

from __future__ import annotations

import gc
import shutil
import threading
import weakref
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from fedmed.backbones import backbone
from fedmed.errors import UserError
from fedmed.inference import choices, loading, shelf
from fedmed.inference.loading import Opened
from fedmed.inference.shelf import Shelf
from fedmed.snapshot.manifest import seal
from tests.support.hub_server import HubServer
from tests.support.hub_tools import contents
from tests.support.snapshots import linked_copy, tiny_snapshot

REPO = "alice/fedmed"


@pytest.fixture(scope="module")
def other_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_snapshot(tmp_path_factory.mktemp("second") / "other", seed=1)


@pytest.fixture(autouse=True)
def ships(snapshot_folder: Path, other_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backbone, "NETWORK", other_folder)
    monkeypatch.setattr(backbone, "IMAGENET", snapshot_folder)


def label(opened: Opened) -> str:
    return opened.label


def names(shown: Shelf[Any]) -> list[str]:
    return [choice.name for choice in shown.choices]


def answers(opened: Opened) -> dict[str, dict[str, float]]:
    ramp = Image.fromarray(np.add.outer(np.arange(224), np.arange(224)).clip(0, 255).astype("u1"))
    return opened.predictor.predict_image(ramp).probabilities


def test_the_two_that_ship(snapshot_folder: Path, other_folder: Path) -> None:
    shown = Shelf(label, {})
    assert names(shown) == ["network", "imagenet"] and shown.first == "network"
    assert shown.opened().snapshot.folder == other_folder
    assert shown.opened("imagenet").snapshot.folder == snapshot_folder
    assert "one of those that come with FedMed" in shown.opened().why
    assert shown.problem is None


def test_a_backbone_that_ships_without_heads_is_no_choice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backbone, "NETWORK", tmp_path)
    shown = Shelf(label, {})
    assert names(shown) == ["imagenet"]
    assert "the one that comes with FedMed" in shown.opened().why


def test_one_that_is_asked_for_is_the_only_choice(snapshot_folder: Path) -> None:
    assert names(Shelf(label, {"FEDMED_SNAPSHOT": str(snapshot_folder)})) == ["snapshot"]


def test_several_are_listed_in_their_order(
    hub: HubServer, snapshot_folder: Path, other_folder: Path
) -> None:
    commit = hub.add(REPO, contents(snapshot_folder))
    shown = Shelf(label, {"FEDMED_SNAPSHOT": f"{other_folder},{REPO} ,, {snapshot_folder}"})
    assert names(shown) == ["other", REPO, "snapshot"] and shown.first == "other"
    assert shown.page() == "folder other"
    assert not hub.requests, "the Hub is asked once one of its repositories is chosen"
    assert shown.page(REPO) == f"{REPO}@{commit[:7]}"
    hub.stop()
    shown.opened("snapshot")
    assert shown.opened(REPO).label == f"{REPO}@{commit[:7]}", "the commit is kept to"


def test_folders_of_one_name_are_told_apart(snapshot_folder: Path, tmp_path: Path) -> None:
    copy = linked_copy(snapshot_folder, tmp_path / "snapshot")
    shown = Shelf(label, {"FEDMED_SNAPSHOT": f"{snapshot_folder},{copy},{copy}"})
    assert names(shown) == ["snapshot", "snapshot (2)"]
    assert shown.opened("snapshot (2)").snapshot.folder == copy


def test_a_folder_whose_name_has_a_comma(snapshot_folder: Path, tmp_path: Path) -> None:
    copy = linked_copy(snapshot_folder, tmp_path / "mine, and yours")
    assert names(Shelf(label, {"FEDMED_SNAPSHOT": str(copy)})) == ["mine, and yours"]
    copy.rename(tmp_path / ".mine, and yours.fedmed-retired")  # by a run that was killed
    assert names(Shelf(label, {"FEDMED_SNAPSHOT": str(copy)})) == ["mine, and yours"]


def test_a_name_there_is_not() -> None:
    with pytest.raises(UserError, match=r"no snapshot x\. Choose from: network, imagenet\."):
        Shelf(label, {}).opened("x")


def test_one_is_in_memory_and_calls_in_flight_keep_theirs() -> None:
    shown = Shelf(label, {})
    first = shown.opened()
    before = answers(first)
    gone = weakref.ref(first.predictor)
    gc.disable()  # what was there as the app started is never looked through
    try:
        other = shown.opened("imagenet")
        assert answers(other) != before
        assert answers(first) == before
        del first
        assert gone() is None, "no circle keeps it"
    finally:
        gc.enable()
    assert shown.opened("imagenet") is other
    assert answers(shown.opened()) == before


def test_threads_each_get_what_they_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = Shelf(label, {})
    opens = loading.open_folder
    opening: list[int] = []

    def one_at_a_time(*args: Any) -> Opened:
        assert not opening
        opening.append(1)
        try:
            return opens(*args)
        finally:
            opening.pop()

    monkeypatch.setattr(loading, "open_folder", one_at_a_time)
    expected = {name: answers(shown.opened(name)) for name in names(shown)}
    with ThreadPoolExecutor(6) as pool:
        asked = names(shown) * 4
        for name, found in zip(
            asked, pool.map(lambda name: answers(shown.opened(name)), asked), strict=True
        ):
            for model, said in found.items():
                assert said == pytest.approx(expected[name][model], abs=1e-6)


def test_a_drawn_page_is_kept_without_opening_it_again(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = Shelf(label, {})
    assert [shown.page("imagenet"), shown.page()] == ["imagenet", "network"]
    monkeypatch.setattr(loading, "open_folder", None)
    assert [shown.page("imagenet"), shown.page()] == ["imagenet", "network"]


def damage(folder: Path) -> Path:
    (folder / "central_model.safetensors").write_bytes(b"no weights")
    return folder


def test_a_first_one_that_does_not_open_leaves_the_next(
    snapshot_folder: Path, other_folder: Path, tmp_path: Path
) -> None:
    bad = damage(linked_copy(snapshot_folder, tmp_path / "bad"))
    shown = Shelf(label, {"FEDMED_SNAPSHOT": f"{bad},{other_folder}"})
    assert shown.first == "other" and names(shown) == ["bad", "other"]
    assert shown.problem is not None and "bad: central_model.safetensors" in shown.problem
    assert shown.opened().problem == shown.problem
    assert str(tmp_path) not in shown.problem


def test_where_none_opens_it_is_those_that_ship(tmp_path: Path) -> None:
    shown = Shelf(label, {"FEDMED_SNAPSHOT": f"{tmp_path}/a,{tmp_path}/b"})
    assert names(shown) == ["network", "imagenet"]
    assert shown.problem is not None
    assert "no folder a" in shown.problem and "no folder b" in shown.problem


def test_one_that_ships_and_does_not_open_leaves_the_other(
    other_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backbone, "NETWORK", damage(linked_copy(other_folder, tmp_path / "bad")))
    shown = Shelf(label, {})
    assert shown.first == "imagenet"
    assert shown.problem is not None and "network" in shown.problem
    monkeypatch.setattr(backbone, "IMAGENET", tmp_path / "none")
    with pytest.raises(UserError, match=r"^imagenet is no snapshot"):
        Shelf(label, {})


def test_another_that_does_not_open_is_told_and_tried_again_later(
    snapshot_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = shutil.copytree(snapshot_folder, tmp_path / "mine")
    config = (copy / "config.json").read_bytes()
    shown = Shelf(label, {"FEDMED_SNAPSHOT": f"{snapshot_folder},{copy}"})
    (copy / "config.json").write_bytes(b"{")
    said = r"The snapshot mine could not be opened\. The reason: mine is no snapshot"
    for ask in (shown.opened, shown.page):
        with pytest.raises(UserError, match=said):
            ask("mine")
    assert shown.opened().label == "folder snapshot"
    (copy / "config.json").write_bytes(config)
    with pytest.raises(UserError, match=said):
        shown.opened("mine")
    monkeypatch.setattr(shelf.time, "monotonic", lambda: 1e12)
    assert shown.opened("mine").label == "folder mine"


def test_one_that_cannot_be_drawn_is_told(snapshot_folder: Path, other_folder: Path) -> None:
    def draw(opened: Opened) -> str:
        if opened.label == "folder other":
            raise ZeroDivisionError
        return opened.label

    shown = Shelf(draw, {"FEDMED_SNAPSHOT": f"{snapshot_folder},{other_folder}"})
    with pytest.raises(UserError, match=r"can't show it \(ZeroDivisionError\)"):
        shown.page("other")
    assert shown.page() == "folder snapshot"


def test_others_go_on_while_the_hub_is_asked(
    snapshot_folder: Path, other_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, go = threading.Event(), threading.Event()

    def fetch(*_: Any, **__: Any) -> Path:
        asked.set()
        assert go.wait(60)
        return other_folder

    monkeypatch.setattr(choices.fetch, "fetch", fetch)
    listed = f"{snapshot_folder},{REPO},{other_folder}"
    shown = Shelf(label, {"FEDMED_SNAPSHOT": listed})
    with ThreadPoolExecutor(1) as pool:
        slow = pool.submit(shown.page, REPO)
        assert asked.wait(60)
        assert shown.opened("other").label == "folder other"
        assert shown.page("snapshot") == "folder snapshot"
        go.set()
        assert slow.result(60).startswith(REPO)


def test_a_folder_of_the_shipped_ones_name_is_not_taken_for_it(
    snapshot_folder: Path, tmp_path: Path
) -> None:
    copy = linked_copy(snapshot_folder, tmp_path / "network")
    seal(copy, {"schema_version": 1})
    shown = Shelf(label, {"FEDMED_SNAPSHOT": str(copy)})
    assert shown.opened().snapshot.folder == backbone.NETWORK
