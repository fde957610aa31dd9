from __future__ import annotations

from types import SimpleNamespace

import pytest

from fedmed.backbones.backbone import IMAGENET
from fedmed.page.lab import source
from fedmed.snapshot.lab_features import NoLabError


def shelf(**labs):
    """Snapshots by name, each with the folder of its lab or None."""
    return SimpleNamespace(page=lambda name: SimpleNamespace(lab=labs[name]))


def test_a_snapshot_s_own_features_come_first_then_those_that_ship(tmp_path):
    snapshots = shelf(own=tmp_path, bare=None)
    own = source.find(snapshots, "own")
    assert own.folder == tmp_path and own.note == ""
    borrowed = source.find(snapshots, "bare")
    assert borrowed.folder == IMAGENET and "keeps no features" in borrowed.note


def test_where_there_are_none_it_is_said(monkeypatch):
    monkeypatch.setattr(source, "shipped", lambda reason: [])
    with pytest.raises(NoLabError, match="No features to federate on"):
        source.find(shelf(bare=None), "bare")
