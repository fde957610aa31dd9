from __future__ import annotations

from pathlib import Path

import pytest

from tests.snapshots import tiny_snapshot


@pytest.fixture(scope="session")
def snapshot_folder(tmp_path_factory) -> Path:
    """A sealed snapshot of random models. Read only: copy it to change it."""
    return tiny_snapshot(tmp_path_factory.mktemp("snapshot") / "snapshot")
