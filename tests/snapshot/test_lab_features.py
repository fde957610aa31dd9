from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from fedmed.snapshot import lab_features
from fedmed.snapshot.lab_features import NAME, NoLabError
from tests.support.lab import WIDTH, drawn_features, drawn_xrays, write_lab


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_lab(tmp_path_factory.mktemp("lab"))


def test_features_come_back_within_half_a_level(folder):
    stored = lab_features.read(folder)
    ours = drawn_xrays(240, "ours")
    wanted = torch.stack([drawn_features(ours, seed) for seed in (0, 1)])
    # The rows lie in another order: compare what does not depend on it.
    step = wanted.amax((0, 1)) / 255
    found, expected = (v.sort(1).values for v in (stored.views, wanted))
    assert ((found - expected).abs() <= step).all()
    assert sorted(stored.training.labels) == sorted(xray.label for xray in ours)


def test_a_patient_keeps_their_xrays_and_no_name_is_kept(folder):
    stored = lab_features.read(folder)
    assert (np.bincount(stored.training.patients) == 2).all()
    assert b"ours-" not in (folder / NAME).read_bytes()
    # Numbers follow the digests of the files, not the names.
    first = drawn_features(drawn_xrays(240, "ours"), 0)[0]
    assert (stored.views[0, 0] - first).abs().max() > 0.1


def test_what_would_be_too_large_is_cut_by_patients(tmp_path, monkeypatch):
    monkeypatch.setattr(lab_features, "MOST_BYTES", 100_000)
    write_lab(tmp_path)
    assert (tmp_path / NAME).stat().st_size <= 100_000
    stored = lab_features.read(tmp_path)
    assert 0 < len(stored.training.labels) < 240
    assert (np.bincount(stored.training.patients) == 2).all()
    monkeypatch.setattr(lab_features, "MOST_BYTES", 50_000)
    with pytest.raises(NoLabError, match="larger than"):
        lab_features.read(tmp_path)


def test_none_and_another_backbone_are_said(folder, tmp_path):
    with pytest.raises(NoLabError, match="without features"):
        lab_features.read(tmp_path)
    with pytest.raises(NoLabError, match="another backbone"):
        lab_features.read(folder, backbone="1" * 64)
    assert lab_features.read(folder, backbone="0" * 64)


@pytest.mark.parametrize(
    ("name", "tensor", "reason"),
    [
        ("step", torch.full((WIDTH,), float("nan")), "not finite"),
        ("radius", torch.tensor(-1.0, dtype=torch.float64), "below 0"),
        ("training.labels", torch.zeros(240, dtype=torch.uint8), "lacks a class"),
        ("training.labels", torch.arange(240).to(torch.uint8), "labels of none"),
        ("training.patients", torch.full((240,), -1, dtype=torch.int32), "number below 0"),
        ("training.patients", torch.zeros(3, dtype=torch.int32), "other tensors"),
        ("centre", torch.zeros(WIDTH), "other tensors"),
        ("more", torch.zeros(1), "other tensors"),
    ],
)
def test_what_a_stranger_may_have_put_there_is_refused(folder, tmp_path, name, tensor, reason):
    tensors = load_file(folder / NAME) | {name: tensor}
    save_file(tensors, tmp_path / NAME, {"backbone": json.dumps({"sha256": ""})})
    with pytest.raises(NoLabError, match=reason):
        lab_features.read(tmp_path)


def test_what_is_no_safetensors_file_is_refused(tmp_path):
    (tmp_path / NAME).write_bytes(b"\x80\x04not a pickle that is read")
    with pytest.raises(NoLabError, match="damaged"):
        lab_features.read_dealable(tmp_path)
