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


# What starts the app, a browser or whole runs, or takes its time: `make quick` leaves it out. One
# test that takes its time is marked so itself, from about half a second on.
SLOW_FIXTURES = {"server", "server_of_two", "chromium", "finished", "app", "page"}
SLOW = (
    "tests/backbones/test_convert_onnx.py",
    "tests/backbones/test_quantized.py",
    "tests/endurance/",
    "tests/evaluation/test_answers.py",
    "tests/experiment/test_reference.py",
    "tests/flower/test_aftermath.py",
    "tests/flower/test_budget.py",
    "tests/flower/test_coordinator.py",
    "tests/flower/test_dicomweb.py",
    "tests/flower/test_networks.py",
    "tests/flower/test_premises.py",
    "tests/flower/test_private_runs.py",
    "tests/flower/test_processes.py",
    "tests/flower/test_secure_aggregation.py",
    "tests/flower/test_snapshot.py",
    "tests/hub/",
    "tests/inference/test_loading.py",
    "tests/inference/test_out_of_distribution.py",
    "tests/inference/test_predictor.py",
    "tests/inference/test_shelf.py",
    "tests/inference/test_views.py",
    "tests/inference/test_warnings.py",
    "tests/lab/test_pool.py",
    "tests/page/test_hostile_report.py",
    "tests/privacy/test_canaries.py",
    "tests/privacy/test_membership.py",
    "tests/properties/",
    "tests/server/test_cleanup.py",
    "tests/server/test_event_files.py",
    "tests/server/test_hostile_uploads.py",
    "tests/server/test_request_bodies.py",
    "tests/simulation/test_simulation.py",
    "tests/snapshot/test_damage.py",
    "tests/snapshot/test_hub_faults.py",
    "tests/snapshot/test_networks.py",
    "tests/snapshot/test_original.py",
    "tests/snapshot/test_publish.py",
    "tests/test_app.py",
    "tests/test_benchmarks.py",
    "tests/test_bundled.py",
    "tests/test_export.py",
    "tests/test_network.py",
    "tests/test_secrets.py",
    "tests/test_space.py",
    "tests/test_train.py",
    "tests/test_train_network.py",
    "tests/test_train_refusals.py",
    "tests/training/test_network.py",
    "tests/training/test_network_trainer.py",
    "tests/training/test_workers.py",
    "tests/uploads/test_hostile_images.py",
    "tests/uploads/test_sandbox.py",
)


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Without slow tests, what their files import is not imported either."""
    if config.option.markexpr != "not slow":
        return None
    path = collection_path.relative_to(config.rootpath).as_posix()
    return True if f"{path}/".startswith(SLOW) else None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    slow = set()
    for item in items:
        if item.nodeid.startswith(SLOW) or SLOW_FIXTURES & set(getattr(item, "fixturenames", ())):
            item.add_marker("slow")
        if item.get_closest_marker("slow"):
            slow.add(item.path)
    # Files with slow tests first, or one core would be idle at the end.
    items.sort(key=lambda item: item.path not in slow)
