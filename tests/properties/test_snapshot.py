"""A snapshot changed anywhere opens and shows, or is refused with a UserError: nothing else."""

from __future__ import annotations

import contextlib
import copy
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save

from fedmed.backbones import network_files
from fedmed.backbones.network_files import KEY
from fedmed.backbones.weights import read_state
from fedmed.errors import UserError
from fedmed.inference import out_of_distribution, views
from fedmed.inference.layout import GRID
from fedmed.inference.warnings import ONE_SHADE, Known, warnings
from fedmed.page.report_tab import tab as page
from fedmed.report import table
from fedmed.snapshot.manifest import CONFIG, EXAMPLES, REPORT, SnapshotError, model_file, seal
from fedmed.snapshot.reader import Snapshot
from tests.support.reports import MODELS, example_config, example_report

REPORTED = example_report()
VALUES = st.sampled_from(
    [None, True, 0, -1, 10**30, 10**400, 0.5, 1e308, "", "../x", "<b>", "\0", [], [0], {}, {"": 0}]
)
BACKBONE = {"sha256": "0" * 64}
SAID = json.dumps({"model": "federated", "size": 64, "base": None, "origin": {"id": "drawn"}})
HEAD = save(
    {"fc.weight": torch.ones(2, 512), "fc.bias": torch.ones(2)},
    {"backbone": json.dumps(BACKBONE)},
)


def places(value: Any, at: tuple = ()) -> Iterator[tuple]:
    """The way to every field and to the first elements of every list."""
    inside = (
        value.items()
        if isinstance(value, dict)
        else enumerate(value[:3])
        if isinstance(value, list)
        else ()
    )
    for name, field in inside:
        yield (*at, name)
        yield from places(field, (*at, name))


@st.composite
def mutated(draw: st.DrawFn, value: Any) -> Any:
    """JSON with up to three fields replaced, taken out, or lists of theirs cut."""
    ways = list(places(value))
    changed = copy.deepcopy(value)
    for _ in range(draw(st.integers(1, 3))):
        *way, last = draw(st.sampled_from(ways))
        try:
            holder = changed
            for name in way:
                holder = holder[name]
            kind = draw(st.sampled_from(["replace", "replace", "remove", "cut"]))
            if kind == "remove":
                del holder[last]
            elif kind == "cut" and isinstance(holder[last], list):
                holder[last] = holder[last][: draw(st.integers(0, 2))]
            else:
                holder[last] = copy.deepcopy(draw(VALUES))
        except (KeyError, IndexError, TypeError):  # an earlier change took it away
            continue
    return changed


@st.composite
def damaged(draw: st.DrawFn, whole: bytes, reach: int = 300) -> bytes:
    """Bytes with some near the beginning changed, taken out or put in, or cut off."""
    data = bytearray(whole)
    for _ in range(draw(st.integers(1, 4))):
        place = draw(st.integers(0, min(len(data), reach)))
        data[place : place + draw(st.integers(0, 8))] = draw(st.binary(max_size=8))
    return bytes(data[: draw(st.sampled_from([len(data), len(data) - 1, len(data) // 2, 9]))])


@pytest.fixture(scope="module")
def sealed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A snapshot whose heads and report are empty files: enough for its configuration."""
    folder = tmp_path_factory.mktemp("sealed")
    for name in [REPORT, *map(model_file, MODELS)]:
        (folder / name).write_bytes(b"")
    seal(folder, example_config())
    return folder


@settings(max_examples=300)
@given(data=st.data())
def test_any_change_to_the_configuration(sealed: Path, data: st.DataObject) -> None:
    config = json.loads((sealed / CONFIG).read_text())
    folder = sealed.parent / "changed"
    shutil.copytree(sealed, folder, dirs_exist_ok=True)
    (folder / CONFIG).write_text(json.dumps(data.draw(mutated(config))))
    try:
        snapshot = Snapshot.open(folder)
    except SnapshotError as error:
        assert str(folder) in str(error)
    else:
        assert {"central", "federated"} <= set(snapshot.models)
        assert snapshot.examples == []


@settings(max_examples=150)
@given(data=st.data())
def test_a_report_is_refused_or_shown(tmp_path_factory, data: st.DataObject) -> None:
    folder = tmp_path_factory.getbasetemp()
    (folder / REPORT).write_text(json.dumps(data.draw(mutated(REPORTED))))
    try:
        found = Snapshot(folder, example_config()).report
    except SnapshotError:
        return
    assert page.html(found)
    assert table.table(found)


@given(data=st.data())
def test_any_change_to_the_list_of_examples(tmp_path_factory, data: st.DataObject) -> None:
    entry = {"file": "1.png", "label": "NORMAL", "source": "drawn", "licence": "CC0"}
    folder = tmp_path_factory.getbasetemp()
    (folder / EXAMPLES).parent.mkdir(exist_ok=True)
    (folder / EXAMPLES).write_text(json.dumps(data.draw(mutated({"examples": [entry, entry]}))))
    listed = {"files": {EXAMPLES: "", "examples/1.png": ""}}
    try:
        assert {found["file"] for found in Snapshot(folder, listed).examples} <= {"1.png"}
    except SnapshotError:
        return


@given(content=damaged(HEAD))
def test_any_damage_to_a_head(tmp_path_factory, content: bytes) -> None:
    folder = tmp_path_factory.getbasetemp()
    (folder / "head.bin").write_bytes(content)
    config = {"models": {"central": {"file": "head.bin"}}, "backbone": BACKBONE}
    try:
        heads = Snapshot(folder, config).heads()
    except SnapshotError:
        return
    assert heads.weight.shape == (1, 2, 512) and heads.bias.shape == (1, 2)
    assert bool(heads.weight.isfinite().all() and heads.bias.isfinite().all())


@given(content=damaged(save({"bn1.weight": torch.ones(64)}, {"origin": '{"id": "drawn"}'})))
def test_any_damage_to_a_backbone(tmp_path_factory, content: bytes) -> None:
    path = tmp_path_factory.getbasetemp() / "backbone.bin"
    path.write_bytes(content)
    with pytest.raises(UserError):  # it was a part of one to begin with
        read_state(path)


@given(content=damaged(save({"conv1.weight": torch.ones(64).half()}, {KEY: SAID}), reach=400))
def test_any_damage_to_a_network(tmp_path_factory, content: bytes) -> None:
    folder = tmp_path_factory.mktemp("network")
    (folder / "federated_model.safetensors").write_bytes(content)
    with pytest.raises(UserError):  # it was a part of one to begin with
        network_files.read([folder / "federated_model.safetensors"])
    with contextlib.suppress(UserError):
        assert network_files.trunk(folder) is None


def statistics() -> bytes:
    tensors = {}
    for part, size, axes in (("features", 512, 2), ("layout", GRID**2, 2)):
        tensors |= {
            f"{part}.mean": torch.zeros(size),
            f"{part}.axes": torch.zeros(axes, size),
            f"{part}.variances": torch.ones(axes),
            f"{part}.rest": torch.ones(()),
            f"{part}.limit": torch.ones(()),
        }
    return save(tensors, {"limit": "{}"})


def detector() -> bytes:
    tensors = {"weight": torch.zeros(4, GRID**2), "bias": torch.zeros(4), "limit": torch.ones(())}
    return save(tensors, {"views": json.dumps(views.VIEWS)})


@given(content=damaged(detector(), reach=500))
def test_any_damage_to_the_detector_of_views(tmp_path_factory, content: bytes) -> None:
    path = tmp_path_factory.getbasetemp() / "views.bin"
    path.write_bytes(content)
    try:
        found = views.ViewDetector.load(path)
    except UserError:
        return
    assert found.view(torch.zeros(224, 224, dtype=torch.uint8).numpy()) in views.VIEWS


@given(content=damaged(statistics(), reach=900))
def test_any_damage_to_the_statistics_of_training_images(tmp_path_factory, content: bytes) -> None:
    path = tmp_path_factory.getbasetemp() / "statistics.bin"
    path.write_bytes(content)
    try:
        found = out_of_distribution.ReferenceStatistics.load(path)
    except UserError:
        return
    pixels = torch.zeros(1, 224, 224, dtype=torch.uint8).numpy()
    assert warnings(pixels[0], torch.zeros(512), Known(found)) == [ONE_SHADE]
    assert set(found.score(torch.zeros(1, 512), pixels)) == {"features", "layout"}
