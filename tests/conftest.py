from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.snapshots import tiny_networks, tiny_snapshot

pytest_plugins = [
    "tests.support.app_fixtures",
    "tests.support.chance",
    "tests.support.hub_fixtures",
    "tests.support.lab_page",
    "tests.support.runs",
]


@pytest.fixture(scope="session")
def snapshot_folder(tmp_path_factory) -> Path:
    """A sealed snapshot of random models. Read only: copy it to change it."""
    return tiny_snapshot(tmp_path_factory.mktemp("snapshot") / "snapshot")


@pytest.fixture(scope="session")
def networks_folder(tmp_path_factory) -> Path:
    """A sealed snapshot of random whole networks, 58 MB. Read only: copy it to change it."""
    return tiny_networks(tmp_path_factory.mktemp("networks") / "networks")


@pytest.fixture(autouse=True)
def feature_cache_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test reads or fills the user's feature cache."""
    monkeypatch.setenv("FEDMED_CACHE", str(tmp_path / "feature-cache"))
    monkeypatch.delenv("FEDMED_CACHE_GIB", raising=False)


# What starts the app, a browser or whole runs, or takes its time: `make quick` leaves it out.
SLOW_FIXTURES = {"server", "chromium", "finished", "app"}
SLOW = (
    "tests/endurance/",
    "tests/properties/",
    "tests/server/test_hostile_uploads.py",
    "tests/server/test_request_bodies",
    "tests/snapshot/test_damage.py",
    "tests/snapshot/test_hub_faults.py",
    "tests/test_network.py",
    "tests/test_secrets.py",
    "tests/test_train",
    "tests/uploads/test_hostile_images.py",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        name = item.nodeid
        if name.startswith(SLOW) or SLOW_FIXTURES & set(getattr(item, "fixturenames", ())):
            item.add_marker("slow")
