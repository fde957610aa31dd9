"""A small lab.safetensors of features that were drawn, not computed, for tests of the lab."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import torch

from fedmed.data.cohort import Xray
from fedmed.snapshot import lab_features
from fedmed.snapshot.lab_features import LabFeatures

WIDTH = 512


def _nothing() -> None:
    raise AssertionError("no pixels are read")


def drawn_xrays(count: int, group: str) -> list[Xray]:
    """X-rays of count / 2 patients, every third NORMAL, without pixels."""
    return [
        Xray(
            name=f"{group}-{number}",
            label=int((number // 2) % 3 > 0),
            patient=f"{group}-{number // 2}",
            digest=hashlib.sha256(f"{group} {number}".encode()).hexdigest(),
            load=_nothing,  # type: ignore[arg-type]
        )
        for number in range(count)
    ]


def drawn_features(xrays: list[Xray], seed: int, apart: float = 0.25) -> torch.Tensor:
    """Features [n, 512], never below 0, in which the classes lie a little apart."""
    generator = np.random.default_rng(seed)
    labels = np.array([xray.label for xray in xrays])
    features = generator.gamma(2.0, 0.4, (len(xrays), WIDTH))
    features[:, :64] += apart * labels[:, None]
    return torch.from_numpy(features.astype(np.float32))


def write_lab(folder: Path, *, training: int = 240, held_out: int = 120) -> Path:
    """Write lab.safetensors of drawn features into `folder` and return the folder."""
    ours, theirs = drawn_xrays(training, "ours"), drawn_xrays(held_out, "theirs")
    lab_features.write(
        folder,
        views=[drawn_features(ours, 0), drawn_features(ours, 1)],
        training=ours,
        features=drawn_features(theirs, 2),
        held_out=theirs,
        centre=torch.full((WIDTH,), 0.8, dtype=torch.float64),
        radius=8.0,
        backbone={"id": "drawn", "sha256": "0" * 64},
        source="drawn by a test",
    )
    return folder


def small_lab(folder: Path) -> LabFeatures:
    """What `write_lab` writes, read again."""
    return lab_features.read(write_lab(folder))
