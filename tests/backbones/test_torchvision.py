"""torchvision's weights as a backbone: fetched once, damage named, offline the way out."""

from __future__ import annotations

import socket
from http.client import RemoteDisconnected
from pathlib import Path
from urllib.error import URLError

import pytest
import torch
from torchvision.models import resnet18

from fedmed.backbones.backbone import load
from fedmed.errors import UserError
from tests.support.snapshots import random_backbone


@pytest.fixture(autouse=True)
def empty_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    return tmp_path


@pytest.mark.parametrize(
    "error",
    [URLError("no network here"), RemoteDisconnected("no network here"), TimeoutError("no n")],
)
def test_offline_the_message_names_the_way_out(
    error: Exception, monkeypatch: pytest.MonkeyPatch, empty_cache: Path
) -> None:
    waits = []

    def urlopen(*_: object, **__: object) -> None:
        waits.append(socket.getdefaulttimeout())
        raise error

    monkeypatch.setattr(torch.hub, "urlopen", urlopen)
    before = socket.getdefaulttimeout()
    with pytest.raises(UserError, match="--backbone imagenet") as refusal:
        load("torchvision")
    assert str(error) in str(refusal.value)
    assert waits[0] is not None, "it would wait for ever"
    assert socket.getdefaulttimeout() == before
    assert [path for path in empty_cache.rglob("*") if path.is_file()] == []


@pytest.mark.parametrize("content", [b"", b"garbage" * 100, b"\x80\x02garbage"])
def test_a_damaged_cached_file_is_named(content: bytes, empty_cache: Path) -> None:
    checkpoints = empty_cache / "hub" / "checkpoints"
    checkpoints.mkdir(parents=True)
    (checkpoints / "resnet18-f37072fd.pth").write_bytes(content)
    with pytest.raises(UserError) as refusal:
        load("torchvision")
    assert str(empty_cache) in str(refusal.value)
    assert "--backbone imagenet" in str(refusal.value)


def test_cached_it_needs_no_network(empty_cache: Path) -> None:
    checkpoints = empty_cache / "hub" / "checkpoints"
    checkpoints.mkdir(parents=True)
    network = resnet18()
    backbone = random_backbone()
    network.load_state_dict(backbone.state, strict=False)
    torch.save(network.state_dict(), checkpoints / "resnet18-f37072fd.pth")
    loaded = load("torchvision")
    assert loaded.sha256 == backbone.sha256
    assert not loaded.knows("some X-rays")
