"""Heads that lie: refused, with the file named."""

from __future__ import annotations

import json
import pickle
import struct
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save

from fedmed.snapshot.manifest import SnapshotError
from fedmed.snapshot.reader import Snapshot
from tests.support.snapshots import linked_copy, reseal

HEAD = "central_model.safetensors"


@pytest.fixture
def folder(snapshot_folder: Path, tmp_path: Path) -> Path:
    return linked_copy(snapshot_folder, tmp_path / "snapshot")


def backbone_of(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "config.json").read_text())["backbone"]


def head_of(folder: Path, content: bytes) -> dict[str, torch.Tensor]:
    """What the central head is read as, without the digests in between."""
    (folder / HEAD).unlink()
    (folder / HEAD).write_bytes(content)
    return Snapshot(folder, json.loads((folder / "config.json").read_text())).head("central")


def tensors(**changes: torch.Tensor) -> dict[str, torch.Tensor]:
    return {"fc.weight": torch.zeros(2, 512), "fc.bias": torch.zeros(2)} | {
        name.replace("_", "."): tensor for name, tensor in changes.items()
    }


def header(text: bytes, data: bytes = bytes(4104), size: int | None = None) -> bytes:
    return struct.pack("<Q", len(text) if size is None else size) + text + data


WEIGHT = b'"fc.weight":{"dtype":"F32","shape":[2,512],"data_offsets":[0,4096]}'
BIAS = b'"fc.bias":{"dtype":"F32","shape":[2],"data_offsets":[4096,4104]}'


@pytest.mark.parametrize(
    "content",
    [
        b"",
        pickle.dumps(tensors()),
        header(b"{" + WEIGHT + b"," + BIAS + b"}", size=2**63),
        header(b"{" + WEIGHT + b"," + BIAS + b"}", size=10**7),
        header(b"{" + WEIGHT + b"," + BIAS + b"}", data=bytes(4000)),
        header(b"{" + WEIGHT + b"," + BIAS + b"}", data=bytes(5000)),
        header(b"{" + WEIGHT + b"," + BIAS.replace(b"4096,4104", b"0,8") + b"}"),
        header(b"{" + WEIGHT.replace(b"512", b"4294967296") + b"," + BIAS + b"}"),
        header(b"{" + WEIGHT.replace(b"F32", b"F33") + b"," + BIAS + b"}"),
        header(b"{" + WEIGHT.replace(b"F32", b"I32") + b"," + BIAS + b"}"),
        header(b'{"__metadata__":{"backbone":"{}"},' + WEIGHT + b"," + BIAS + b"}"),
        header(b'{"__metadata__":{"backbone":"3"},' + WEIGHT + b"," + BIAS + b"}"),
        header(
            b'{"__metadata__":{"backbone":"' + b"[" * 99_999 + b'"},' + WEIGHT + b"," + BIAS + b"}"
        ),
        header(b"[" * 100_000),
        save(tensors()),
        save(tensors(), {"backbone": json.dumps({"sha256": "0" * 64})}),
        save(tensors(fc_bias=torch.zeros(3))),
        save(tensors(extra=torch.zeros(1))),
    ],
)
def test_a_head_that_lies_is_refused_by_name(content: bytes, folder: Path) -> None:
    with pytest.raises(SnapshotError, match=rf"the head of central \({HEAD}\)"):
        head_of(folder, content)


@pytest.mark.parametrize(
    "changes",
    [
        {"fc_weight": torch.full((2, 512), torch.nan)},
        {"fc_bias": torch.tensor([0.0, torch.inf])},
        {"fc_bias": torch.zeros(2, dtype=torch.int64)},
        {"fc_bias": torch.zeros(2, dtype=torch.bool)},
        {"fc_bias": torch.full((2,), 1e300, dtype=torch.float64)},
        {"fc_bias": torch.full((2,), torch.nan).to(torch.float8_e4m3fn)},
    ],
)
def test_numbers_that_are_none_are_refused(changes: dict[str, torch.Tensor], folder: Path) -> None:
    belongs = {"backbone": json.dumps({"sha256": backbone_of(folder)["sha256"]})}
    assert head_of(folder, save(tensors(), belongs))["fc.bias"].dtype == torch.float32
    with pytest.raises(SnapshotError, match=rf"{HEAD}.*not finite"):
        head_of(folder, save(tensors(**changes), belongs))


@pytest.mark.parametrize("dtype", [torch.float64, torch.float16, torch.float8_e4m3fn])
def test_fractions_of_another_width_are_read_as_fp32(dtype: torch.dtype, folder: Path) -> None:
    belongs = {"backbone": json.dumps({"sha256": backbone_of(folder)["sha256"]})}
    head = head_of(folder, save(tensors(fc_bias=torch.tensor([0.5, -2]).to(dtype)), belongs))
    assert head["fc.bias"].dtype == torch.float32
    assert head["fc.bias"].tolist() == [0.5, -2]


def test_any_byte_of_a_head_s_header_may_be_wrong(folder: Path) -> None:
    """Sealed all the same: it is refused, or is a head all the same."""
    content = (folder / HEAD).read_bytes()
    refused = 0
    for place in range(8 + struct.unpack("<Q", content[:8])[0]):
        for bit in (1, 0x20):
            damaged = content[:place] + bytes([content[place] ^ bit]) + content[place + 1 :]
            try:
                head = head_of(folder, damaged)
                assert all(bool(tensor.isfinite().all()) for tensor in head.values())
            except SnapshotError as error:
                assert HEAD in str(error)
                refused += 1
    assert refused > 300


def test_a_head_of_another_backbone_is_refused(folder: Path, tmp_path: Path) -> None:
    reseal(
        folder,
        backbone=backbone_of(folder) | {"sha256": "1" * 64},
    )
    with pytest.raises(SnapshotError, match="belongs to another backbone"):
        Snapshot.open(folder).heads()
