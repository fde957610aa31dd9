"""What makes the digest of code and libraries another one."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from fedmed import code_digest as module
from fedmed.code_digest import OF_FEATURES, OF_ROUNDS, code_digest

FEATURES = ("task.py", "imaging/decode.py", "backbones/weights.py", "features/extract.py")
FEATURES += ("simulation/anatomy.py",)
ROUNDS = ("training/optimizer.py", "federated/rounds.py", "federated/algorithms/fedavg.py")
ROUNDS += ("data/partition.py", "data/holdout.py", "data/patients.py")


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the package's code that digests are made of."""
    package = tmp_path / "fedmed"
    code = shutil.ignore_patterns("bundled", "page", "__pycache__")
    shutil.copytree(module.PACKAGE, package, ignore=code)
    monkeypatch.setattr(module, "PACKAGE", package)
    return package


@pytest.mark.parametrize("changed", [*FEATURES, *ROUNDS])
def test_a_change_of_the_code(changed: str, package: Path) -> None:
    features, rounds = code_digest(OF_FEATURES), code_digest(OF_ROUNDS)
    (package / changed).write_bytes((package / changed).read_bytes() + b"\n# changed\n")
    before_features = changed in FEATURES
    assert (code_digest(OF_FEATURES) != features) == before_features
    assert code_digest(OF_ROUNDS) != rounds


@pytest.mark.parametrize("folder", ["imaging", "federated/algorithms"])
def test_a_new_file_of_a_package(folder: str, package: Path) -> None:
    before = code_digest(OF_ROUNDS)
    (package / folder / "new.py").write_bytes(b"# new\n")
    assert code_digest(OF_ROUNDS) != before


def test_what_decides_no_number_counts_for_nothing(package: Path) -> None:
    rounds = code_digest(OF_ROUNDS)
    (package / "report" / "card.py").write_bytes(b"# changed")
    assert code_digest(OF_ROUNDS) == rounds


@pytest.mark.parametrize("updated", ["pillow", "pydicom", "python-gdcm", "numpy", "torch"])
def test_another_version_of_a_library(updated: str, monkeypatch: pytest.MonkeyPatch) -> None:
    before, version = code_digest(OF_FEATURES), module.version
    monkeypatch.setattr(
        module, "version", lambda name: "0.0.1" if name == updated else version(name)
    )
    assert code_digest(OF_FEATURES) != before
