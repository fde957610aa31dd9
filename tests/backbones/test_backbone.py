"""The frozen ResNet18: torchvision's numbers, files that round-trip, bad files refused."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor
from torchvision.models import resnet18, resnet34

from fedmed.backbones import backbone as module
from fedmed.backbones.backbone import Backbone, load
from fedmed.backbones.weights import read_state, write_state
from fedmed.errors import UserError
from fedmed.imaging.preprocessing import resize, to_input
from tests.support.snapshots import random_backbone

ORIGIN = {"id": "random-0", "source": "a test", "trained_on": "some X-rays"}


@pytest.fixture(scope="module")
def backbone() -> Backbone:
    return Backbone(random_backbone().state, ORIGIN)


@pytest.fixture(scope="module")
def written(backbone: Backbone, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("backbone")
    write_state(backbone.state, backbone.origin, folder)
    return folder


@pytest.fixture
def copy(written: Path, tmp_path: Path) -> Path:
    for path in written.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    return tmp_path


@pytest.fixture(scope="module")
def inputs() -> Tensor:
    return to_input(torch.rand(2, 1, 224, 224, generator=torch.Generator().manual_seed(0)))


@pytest.mark.slow
def test_features_are_those_of_torchvisions_resnet18(backbone: Backbone, inputs: Tensor) -> None:
    reference = resnet18()
    reference.load_state_dict(backbone.state, strict=False)
    reference.fc = torch.nn.Identity()
    with torch.inference_mode():
        expected = reference.eval()(inputs)
    features = backbone.features(inputs)
    assert features.shape == (2, 512)
    assert expected.std() > 0.1, "the comparison would say nothing"
    torch.testing.assert_close(features, expected, rtol=1e-4, atol=1e-4)


def test_it_is_frozen(backbone: Backbone, inputs: Tensor) -> None:
    before = backbone.features(inputs)
    assert not before.requires_grad
    layers = module.fused_layers(backbone.state)
    assert not layers.training
    assert not any(parameter.requires_grad for parameter in layers.parameters())
    assert not any(isinstance(m, torch.nn.BatchNorm2d) for m in layers.modules())
    assert torch.equal(backbone.features(inputs), before)


def test_weights_may_be_left_unrounded(backbone: Backbone, inputs: Tensor) -> None:
    state = {name: tensor * (1 + 2**-15) for name, tensor in backbone.state.items()}
    exact = Backbone(state, ORIGIN, rounded=False)
    assert all(torch.equal(exact.state[name], state[name]) for name in state)
    assert exact.sha256 != Backbone(state, ORIGIN).sha256
    assert not torch.equal(exact.features(inputs), backbone.features(inputs))


@pytest.mark.slow
def test_a_network_of_a_smaller_input_sees_images_made_smaller(
    backbone: Backbone, inputs: Tensor
) -> None:
    small = Backbone(backbone.state, ORIGIN, size=128)
    reference = resnet18()
    reference.load_state_dict(backbone.state, strict=False)
    reference.fc = torch.nn.Identity()
    with torch.inference_mode():
        expected = reference.eval()(resize(inputs, 128))
    assert small.feature_maps(inputs).shape == (2, 512, 4, 4)
    torch.testing.assert_close(small.features(inputs), expected, rtol=1e-4, atol=1e-4)
    assert torch.equal(small.features(resize(inputs, 128)), small.features(inputs))


def test_the_size_tells_backbones_apart_and_is_kept(backbone: Backbone, tmp_path: Path) -> None:
    small = Backbone(backbone.state, ORIGIN, size=128)
    assert len({backbone.sha256, small.sha256, Backbone(backbone.state, {}, size=96).sha256}) == 3
    assert Backbone(backbone.state, ORIGIN, size=224).sha256 == backbone.sha256
    write_state(small.state, small.origin, tmp_path)
    again = load(str(tmp_path))
    assert (again.size, again.sha256) == (128, small.sha256)


@pytest.mark.parametrize("size", [31, 225, 128.0, "128", True, None, 2**40])
def test_a_size_that_is_none_is_refused(size: object, backbone: Backbone, tmp_path: Path) -> None:
    write_state(backbone.state, ORIGIN | {"size": size}, tmp_path)
    with pytest.raises(UserError, match="not a whole number from 32 to 224"):
        load(str(tmp_path))


@pytest.mark.slow
@pytest.mark.parametrize("at_once", [1, 4])
def test_threads_may_share_it(at_once: int, backbone: Backbone) -> None:
    pictures = to_input(torch.rand(12, 1, 224, 224, generator=torch.Generator().manual_seed(1)))
    expected = [backbone.feature_maps(picture[None]) for picture in pictures]
    shared = Backbone(backbone.state, ORIGIN).shared_by(at_once)
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda picture: shared.feature_maps(picture[None]), pictures))
    for maps, same in zip(found, expected, strict=True):
        torch.testing.assert_close(maps, same, rtol=1e-5, atol=1e-5)


def test_features_are_the_mean_of_the_maps(backbone: Backbone, inputs: Tensor) -> None:
    maps = backbone.feature_maps(inputs)
    assert maps.shape == (2, 512, 7, 7)
    assert torch.equal(backbone.features(inputs), maps.mean(dim=(2, 3)))


def test_written_and_read_it_is_the_same(backbone: Backbone, written: Path) -> None:
    again = load(str(written))
    assert again.sha256 == backbone.sha256
    assert again.state.keys() == backbone.state.keys()
    assert all(torch.equal(again.state[name], backbone.state[name]) for name in again.state)


def test_what_is_known_of_its_origin_survives_sharding(written: Path) -> None:
    assert len(list(written.glob("backbone-*.safetensors"))) > 1
    again = load(str(written))
    assert again.origin == ORIGIN
    assert again.knows("some X-rays") and not again.knows("others")


def test_no_file_is_above_9_mb(written: Path) -> None:
    sizes = [path.stat().st_size for path in written.iterdir()]
    assert max(sizes) <= 9_000_000
    assert sum(sizes) < 23_000_000, "stored in FP16"


@pytest.mark.slow
def test_writing_it_imports_no_symbolic_algebra(written: Path, tmp_path: Path) -> None:
    """huggingface_hub's own way to write shards does, by way of torch.distributed: seconds."""
    code = (
        "import sys; from pathlib import Path; from fedmed.backbones.backbone import load;"
        "from fedmed.backbones.weights import write_state; backbone = load(sys.argv[1]);"
        "write_state(backbone.state, backbone.origin, Path(sys.argv[2]));"
        "assert 'sympy' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code, str(written), str(tmp_path)], check=True)
    assert load(str(tmp_path)).sha256 == load(str(written)).sha256


def test_one_file_will_do(backbone: Backbone, tmp_path: Path) -> None:
    path = tmp_path / "mine.safetensors"
    save_file(backbone.state, path)
    read = load(str(path))
    assert read.sha256 == backbone.sha256
    assert read.id == "file:mine.safetensors"
    assert not read.knows("some X-rays")


def test_the_classifier_is_left_out(backbone: Backbone, tmp_path: Path) -> None:
    network = resnet18(num_classes=2)
    network.load_state_dict(backbone.state, strict=False)
    path = tmp_path / "whole.safetensors"
    save_file(network.state_dict(), path)
    assert load(str(path)).sha256 == backbone.sha256


def other_shape(state: dict[str, Tensor]) -> None:
    state["conv1.weight"] = state["conv1.weight"][:32].contiguous()


def not_a_number(state: dict[str, Tensor]) -> None:
    state["bn1.bias"] = torch.full((64,), torch.nan)


def whole_numbers(state: dict[str, Tensor]) -> None:
    state["bn1.bias"] = torch.zeros(64, dtype=torch.int64)


def negative_variance(state: dict[str, Tensor]) -> None:
    state["bn1.running_var"] = torch.full((64,), -1e-3)


def too_large_for_fp16(state: dict[str, Tensor]) -> None:
    state["conv1.weight"] = torch.full((64, 3, 7, 7), 1e5)


def one_missing(state: dict[str, Tensor]) -> None:
    del state["layer4.1.bn2.running_var"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (other_shape, "conv1.weight is missing or has another shape"),
        (one_missing, "layer4.1.bn2.running_var is missing"),
        (not_a_number, "not finite, in bn1.bias"),
        (whole_numbers, "int64 in bn1.bias"),
        (negative_variance, "variances below zero, in bn1.running_var"),
        (too_large_for_fp16, "rounded to FP16, holds numbers that are not finite, in conv1"),
    ],
)
def test_a_state_that_is_no_resnet18_is_refused(
    change: Callable[[dict[str, Tensor]], None], message: str, backbone: Backbone, tmp_path: Path
) -> None:
    state = dict(backbone.state)
    change(state)
    path = tmp_path / "bad.safetensors"
    save_file(state, path)
    with pytest.raises(UserError, match=message) as refusal:
        load(str(path))
    assert str(path) in str(refusal.value)


def test_a_deeper_resnet_does_not_pass_for_an_18(tmp_path: Path) -> None:
    path = tmp_path / "resnet34.safetensors"
    save_file(resnet34().state_dict(), path)
    with pytest.raises(UserError, match=r"not a ResNet18: it also holds layer1\.2"):
        load(str(path))


@pytest.mark.parametrize("content", [b"", b"garbage", b"\xff" * 4096, b"\x80\x02}q\x00."])
def test_a_file_that_is_no_safetensors_is_refused(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "weights.pth"
    path.write_bytes(content)
    with pytest.raises(UserError, match=r"weights\.pth is not a readable safetensors file"):
        load(str(path))


def test_a_path_that_is_not_there_is_named(tmp_path: Path) -> None:
    names = "'imagenet', 'bundled', 'torchvision'"
    with pytest.raises(UserError, match=rf"--backbone .*none: no such file\. Use {names} or"):
        load(str(tmp_path / "none"))
    with pytest.raises(UserError, match="holds no backbone"):
        load(str(tmp_path))


def test_a_name_that_is_too_long_or_not_utf_8_is_refused(tmp_path: Path) -> None:
    """The snapshot names it, and a run would find out at its end."""
    with pytest.raises(UserError, match="no such file"):
        load(str(tmp_path / ("x" * 300)))
    with pytest.raises(UserError, match=r"--backbone '.*\\udcff': its name is not UTF-8"):
        load(os.fsdecode(bytes(tmp_path) + b"/mine\xff"))


def test_a_missing_shard_or_index_is_noticed(copy: Path) -> None:
    index = copy / "backbone.safetensors.index.json"
    text = index.read_text()
    index.unlink()
    with pytest.raises(UserError, match=r"index\.json, are missing or damaged"):
        read_state(copy)
    index.write_text("[]")
    with pytest.raises(UserError, match="missing or damaged"):
        read_state(copy)
    index.write_text(text)
    read_state(copy)
    next(copy.glob("backbone-*")).unlink()
    with pytest.raises(UserError, match="does not hold the backbone files"):
        read_state(copy)


@pytest.mark.parametrize(
    "origin",
    [
        *("{", "3", '["a"]', 3, '{"id": 3}', '{"source": null}', '{"recipe": []}'),
        *('{"epochs": NaN}', '{"images": 1e999}', '{"id": "\\ud800"}'),
    ],
)
def test_an_origin_that_cannot_be_read_is_refused(origin: object, copy: Path) -> None:
    index = copy / "backbone.safetensors.index.json"
    content = json.loads(index.read_text())
    content["metadata"]["origin"] = origin
    index.write_text(json.dumps(content))
    with pytest.raises(UserError, match="origin"):
        read_state(copy)


def test_a_shard_is_half_precision_but_for_the_normalisation(written: Path) -> None:
    for path in written.glob("backbone-*.safetensors"):
        for name, tensor in load_file(path).items():
            assert tensor.dtype == (torch.float16 if tensor.ndim == 4 else torch.float32), name


def test_bundled_is_the_packages_own(
    copy: Path, backbone: Backbone, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "NETWORK", copy)
    assert load("bundled").sha256 == backbone.sha256
