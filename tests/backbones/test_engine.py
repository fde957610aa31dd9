"""Engines: the same maps whichever runs, and a way on where one does not start."""

from __future__ import annotations

import builtins
import logging
from collections.abc import Callable, Iterator
from importlib.util import find_spec

import pytest
import torch
from torch import Tensor

from fedmed.backbones import engine
from fedmed.backbones.backbone import Backbone, fused_layers
from fedmed.errors import UserError
from fedmed.imaging.preprocessing import to_input
from tests.support.snapshots import random_backbone

needs_openvino = pytest.mark.skipif(find_spec("openvino") is None, reason="it is an extra")


@pytest.fixture(scope="module")
def backbone() -> Backbone:
    return random_backbone()


@pytest.fixture(scope="module")
def inputs() -> Tensor:
    return to_input(torch.rand(3, 1, 224, 224, generator=torch.Generator().manual_seed(0)))


@pytest.fixture(autouse=True)
def choose(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], engine.Engine]]:
    """Picks an engine as a process that begins with FEDMED_ENGINE set would."""

    def pick(name: str) -> engine.Engine:
        engine._on_cpu.cache_clear()
        monkeypatch.setenv("FEDMED_ENGINE", name)
        return engine.pick()

    monkeypatch.delenv("FEDMED_ENGINE", raising=False)
    engine._on_cpu.cache_clear()
    yield pick
    engine._on_cpu.cache_clear()


@pytest.fixture
def no_openvino(monkeypatch: pytest.MonkeyPatch) -> None:
    """OpenVINO is there, and made for another system."""
    find, imported = engine.find_spec, builtins.__import__
    monkeypatch.setattr(engine, "find_spec", lambda name: name == "openvino" or find(name))

    def refuse(name: str, *more: object) -> object:
        if name.split(".")[0] == "openvino":
            raise ImportError("libopenvino.so: wrong ELF class")
        return imported(name, *more)  # type: ignore[arg-type]

    monkeypatch.setattr(builtins, "__import__", refuse)


def maps(chosen: engine.Engine, backbone: Backbone, inputs: Tensor, at_once: int = 1) -> Tensor:
    return chosen.prepare(fused_layers(backbone.state), inputs.shape[-1], at_once)(inputs)


@pytest.mark.slow
@needs_openvino
@pytest.mark.parametrize("at_once", [1, 2])
def test_openvinos_maps_are_pytorchs(
    at_once: int, choose: Callable[[str], engine.Engine], backbone: Backbone, inputs: Tensor
) -> None:
    expected = maps(choose("torch"), backbone, inputs)
    found = maps(choose("openvino"), backbone, inputs, at_once)
    assert found.shape == (3, 512, 7, 7)
    assert expected.std() > 0.1, "the comparison would say nothing"
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.slow
@needs_openvino
@pytest.mark.parametrize(("size", "cells"), [(128, 4), (100, 4), (32, 1)])
def test_an_input_may_be_smaller(
    size: int,
    cells: int,
    choose: Callable[[str], engine.Engine],
    backbone: Backbone,
    inputs: Tensor,
) -> None:
    small = inputs[..., :size, :size]
    expected = maps(choose("torch"), backbone, small)
    assert expected.shape == (3, 512, cells, cells)
    assert expected.std() > 0.1, "the comparison would say nothing"
    torch.testing.assert_close(
        maps(choose("openvino"), backbone, small), expected, rtol=1e-4, atol=1e-4
    )


@needs_openvino
def test_installed_openvino_is_chosen(choose: Callable[[str], engine.Engine]) -> None:
    assert choose("auto").title.startswith("OpenVINO ")
    assert choose("").id == choose("openvino").id


def test_bf16_is_close_and_another_engine(
    choose: Callable[[str], engine.Engine], backbone: Backbone, inputs: Tensor
) -> None:
    exact, rough = choose("torch"), choose("torch-bf16")
    assert exact.id != rough.id
    found, expected = maps(rough, backbone, inputs), maps(exact, backbone, inputs)
    assert found.dtype == torch.float32
    assert not torch.equal(found, expected)
    likeness = torch.cosine_similarity(found.mean((2, 3)), expected.mean((2, 3)))
    assert likeness.min() > 0.999


@pytest.mark.parametrize("openvino", [False, pytest.param(True, marks=needs_openvino)])
@pytest.mark.parametrize("able", [{}, {"avx512_bf16": True}, {"amx_bf16": True}])
def test_training_views_pass_in_bf16_where_the_processor_has_it(
    able: dict[str, bool],
    openvino: bool,
    choose: Callable[[str], engine.Engine],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if not openvino:
        monkeypatch.setattr(engine, "find_spec", lambda name: None)
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: able)
    monkeypatch.setitem(engine.ENGINES, "openvino-bf16", lambda: engine.Engine("ov", "ov", None))  # type: ignore[arg-type]
    exact = choose("auto")
    to_train = engine.pick_to_train()
    if able:
        assert to_train.id == ("ov" if openvino else "torch bf16 cpu")
    else:
        assert to_train is exact
    assert "FP32" in exact.title, "what is scored"


def test_an_engine_that_is_asked_for_is_for_everything(
    choose: Callable[[str], engine.Engine], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"amx_bf16": True})
    assert choose("torch") is engine.pick_to_train()


def test_without_openvino_it_is_pytorch_and_nothing_is_said(
    choose: Callable[[str], engine.Engine],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(engine, "find_spec", lambda name: None)
    assert choose("auto").title == f"PyTorch {torch.__version__.split('+')[0]}, FP32"
    assert caplog.records == []


@pytest.mark.usefixtures("no_openvino")
@pytest.mark.parametrize("name", ["auto", "openvino", "openvino-bf16"])
def test_one_that_does_not_start_makes_way_and_says_so_once(
    name: str, choose: Callable[[str], engine.Engine], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        first = choose(name)
        assert engine.pick() is first
    assert first.title.startswith("PyTorch ")
    (said,) = caplog.messages
    assert "libopenvino.so: wrong ELF class" in said and "\n" not in said


@pytest.mark.parametrize("name", ["fast", "openvino int8", "OPENVINO"])
def test_an_unknown_one_is_named_with_what_there_is(
    name: str, choose: Callable[[str], engine.Engine]
) -> None:
    with pytest.raises(UserError, match=f"FEDMED_ENGINE={name}: choose from auto, torch, torch-b"):
        choose(name)
    with pytest.raises(UserError, match="FEDMED_ENGINE"):
        random_backbone()


def test_a_backbone_runs_on_the_chosen_one(
    choose: Callable[[str], engine.Engine], backbone: Backbone, inputs: Tensor
) -> None:
    chosen = choose("torch-bf16")
    ours = Backbone(backbone.state, backbone.origin)
    assert ours.engine is chosen
    assert torch.equal(ours.feature_maps(inputs), maps(chosen, backbone, inputs))


@pytest.mark.parametrize("name", ["gpu", "meta", "cuda:99", "cpu:0", "xla", ""])
def test_a_device_that_is_not_there_is_refused(name: str) -> None:
    with pytest.raises(UserError, match="--device") as caught:
        engine.pick_device(name)
    assert "auto, cpu, cuda" in str(caught.value)


def test_the_devices_that_are_there_are_taken() -> None:
    assert engine.pick_device("cpu") == "cpu"
    assert engine.pick_device("auto") == ("cuda" if torch.cuda.is_available() else "cpu")
