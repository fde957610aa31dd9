"""A digest of code and libraries: what is kept of one version's numbers is no other version's."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

PACKAGE = Path(__file__).parent

# What decides the numbers, from encoded bytes to features: packages, so that a new file counts.
OF_FEATURES = ("task.py", "imaging", "simulation", "backbones", "features")
# And on to what a federation makes of them.
OF_ROUNDS = (*OF_FEATURES, "data", "training", "federated", "privacy", "experiment")
LIBRARIES = (
    "pillow",
    "pydicom",
    "python-gdcm",
    "pylibjpeg-openjpeg",
    "numpy",
    "torch",
    "torchvision",
)


def code_digest(sources: Sequence[str]) -> str:
    """The sha256 of files and packages of FedMed, and of the libraries' versions."""
    digest = hashlib.sha256()
    for library in LIBRARIES:
        with suppress(PackageNotFoundError):
            digest.update(f"{library} {version(library)}\n".encode())
    for path in (PACKAGE / name for name in sources):
        for file in sorted(path.rglob("*.py")) if path.is_dir() else [path]:
            digest.update(file.read_bytes())
    return digest.hexdigest()
