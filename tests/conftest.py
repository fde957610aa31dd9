from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.snapshots import tiny_snapshot

pytest_plugins = [
    "tests.support.app_fixtures",
    "tests.support.hub_fixtures",
    "tests.support.runs",
]


@pytest.fixture(scope="session")
def snapshot_folder(tmp_path_factory) -> Path:
    """A sealed snapshot of random models. Read only: copy it to change it."""
    return tiny_snapshot(tmp_path_factory.mktemp("snapshot") / "snapshot")


@pytest.fixture(autouse=True)
def feature_cache_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test reads or fills the user's feature cache."""
    monkeypatch.setenv("FEDMED_CACHE", str(tmp_path / "feature-cache"))
    monkeypatch.delenv("FEDMED_CACHE_GIB", raising=False)
