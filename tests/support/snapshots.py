"""A small valid snapshot, made without training, for the tests of whatever opens one."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F

from fedmed.backbones.backbone import Backbone
from fedmed.backbones.weights import State, write_state
from fedmed.imaging.preprocessing import to_input
from fedmed.report import document
from fedmed.snapshot.manifest import CARD, CONFIG, REPORT, model_file, seal
from fedmed.snapshot.networks import config_entries, stored, write_networks
from fedmed.snapshot.reader import write_head
from fedmed.training.heads import Heads
from tests.support.reports import MODELS, example_config, example_report


def random_backbone(seed: int = 0) -> Backbone:
    """A ResNet18 of random weights, with normalisation fitted to random smooth pictures.

    Without the fit its features would hardly differ from one picture to the next.
    """
    from torchvision.models import resnet18

    with torch.random.fork_rng():
        torch.manual_seed(seed)
        network = resnet18()
        pictures = F.interpolate(torch.rand(24, 1, 6, 6), 96, mode="bicubic").clamp(0, 1)
        for module in network.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                module.momentum = None  # statistics of this batch alone
        with torch.no_grad():
            network(to_input(pictures))
    return Backbone(network.state_dict(), {"id": f"random-{seed}", "source": "a test"})


def tiny_snapshot(folder: Path, *, seed: int = 0) -> Path:
    """Write a complete, sealed snapshot of seven random models into `folder` and return it."""
    backbone = random_backbone(seed)
    write_state(backbone.state, backbone.origin, folder)
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.rand(8, 1, 6, 6, generator=generator)
    pictures = F.interpolate(coarse, 224, mode="bicubic").clamp(0, 1)
    features = backbone.features(to_input(pictures))
    for model in MODELS:
        weight = torch.randn(1, 2, 512, generator=generator) / 5
        centre = weight @ features.mean(0)  # so that its answers lie on both sides of 0.5
        heads = Heads(weight, -centre)
        write_head(folder / model_file(model), heads, backbone)
    document.write(example_report(), folder / REPORT)
    config = example_config()
    config["backbone"] |= {
        **backbone.origin,
        "sha256": backbone.sha256,
        "files": sorted(path.name for path in folder.glob("backbone*")),
    }
    seal(folder, config)
    (folder / CARD).write_text("# A snapshot made by a test\n", encoding="utf-8")
    return folder


def reseal(folder: Path, **changes: Any) -> None:
    """Vouch for a snapshot's files as they are now, with these entries of config.json changed."""
    config = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
    seal(folder, config | changes)


def linked_copy(source: Path, folder: Path) -> Path:
    """A copy to damage. Its large files are links to the source's, so replace, don't write."""
    folder.mkdir()
    for path in source.iterdir():
        if path.name.startswith("backbone"):
            (folder / path.name).symlink_to(path)
        else:
            shutil.copy(path, folder)
    return folder


def random_networks(names: Sequence[str] = MODELS, *, seed: int = 0) -> dict[str, State]:
    """Whole networks near each other, as those are that training began at one place."""
    generator = torch.Generator().manual_seed(seed)
    start = random_backbone(seed).state
    networks: dict[str, State] = {}
    for name in names:
        state = {
            key: weight + 0.1 * weight.std() * torch.randn(weight.shape, generator=generator)
            if weight.ndim == 4
            else weight.clone()
            for key, weight in start.items()
        }
        weight = torch.randn(2, 512, generator=generator) / 20
        bias = torch.randn(2, generator=generator)
        networks[name] = state | {"fc.weight": weight, "fc.bias": bias}
    return networks


def tiny_networks(folder: Path, *, size: int = 64, seed: int = 0) -> Path:
    """Write a complete, sealed snapshot of seven whole networks into `folder` and return it."""
    networks = random_networks(seed=seed)
    origin = {"id": "random", "source": "a test"}
    files = write_networks(folder, networks, origin, size)
    document.write(example_report(), folder / REPORT)
    config = example_config()
    for name, entry in config["models"].items():
        entry |= {"file": files[name][0], "files": files[name]}
    seal(folder, config | config_entries(stored(networks), origin, size))
    (folder / CARD).write_text("# A snapshot made by a test\n", encoding="utf-8")
    return folder
