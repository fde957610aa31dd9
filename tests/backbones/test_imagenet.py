"""The backbone that ships: torchvision's resnet18 to the letter, its features, its papers."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors import safe_open
from torchvision.models import resnet18

from fedmed.backbones import convert_onnx
from fedmed.backbones.backbone import IMAGENET, Backbone, load
from fedmed.backbones.convert_onnx import ORIGIN, PACKAGE, SHA256
from fedmed.imaging.preprocessing import to_grey, to_input
from fedmed.simulation import simulate

ABOUT = Path(convert_onnx.__file__).with_name("imagenet")


@pytest.fixture(scope="module")
def imagenet() -> Backbone:
    return load("imagenet")


def test_names_and_shapes_are_torchvisions_less_the_classifier(imagenet: Backbone) -> None:
    expected = {
        name: tensor.shape
        for name, tensor in resnet18().state_dict().items()
        if not name.startswith("fc.") and not name.endswith("num_batches_tracked")
    }
    assert {name: tensor.shape for name, tensor in imagenet.state.items()} == expected


def test_it_needs_no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.hub, "urlopen", lambda *_, **__: pytest.fail("it asked a network"))
    assert load("imagenet").id == ORIGIN["id"]


@pytest.mark.slow
def test_its_features_tell_pictures_apart(imagenet: Backbone) -> None:
    """A network that had learned nothing gives everything nearly the same features."""
    made = [simulate(90_600 + number, number % 2).pixels for number in range(4)]
    pixels = np.stack([np.asarray(Image.fromarray(one).resize((224, 224))) for one in made])
    features = imagenet.features(to_input(to_grey(pixels)))
    apart = 1 - torch.cosine_similarity(features[:, None], features[None], dim=2)
    assert apart[~torch.eye(4, dtype=torch.bool)].min() > 0.01
    assert ((features > 0.05).float().mean(1) > 0.5).all(), "features that are alive"


def test_it_says_where_it_comes_from(imagenet: Backbone) -> None:
    told = {name: value for name, value in imagenet.origin.items() if name != "recipe"}
    assert told == ORIGIN
    assert "trained_on" not in imagenet.origin, "no X-ray trained it"
    readme = (ABOUT / "README.md").read_text(encoding="utf-8")
    for text in (PACKAGE, *SHA256, *SHA256.values(), imagenet.sha256, "image-net.org"):
        assert text in readme
    licence = (ABOUT / "LICENSE").read_text(encoding="utf-8")
    assert "MIT License" in licence and ".NET Foundation" in licence


def test_it_is_stored_small_in_shards_that_any_host_takes() -> None:
    sizes = [path.stat().st_size for path in IMAGENET.glob("backbone*")]
    assert max(sizes) <= 9_000_000
    assert sum(sizes) < 23_000_000
    index = json.loads((IMAGENET / "backbone.safetensors.index.json").read_text(encoding="utf-8"))
    for shard in set(index["weight_map"].values()):
        with safe_open(IMAGENET / shard, framework="pt") as opened:
            for name in opened.keys():  # noqa: SIM118
                normalises = re.search(r"bn|downsample\.1", name)
                assert opened.get_tensor(name).dtype == (
                    torch.float32 if normalises else torch.float16
                )
