"""What the tests of the Hub share: pointing the client at a server, small folders to send."""

from __future__ import annotations

from pathlib import Path

import pytest
from huggingface_hub import constants

from fedmed.snapshot.manifest import seal
from fedmed.task import CLASSES


def use_endpoint(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What HF_ENDPOINT does for a process that starts with it."""
    monkeypatch.setattr(constants, "ENDPOINT", url)
    template = url + "/{repo_id}/resolve/{revision}/{filename}"
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)


def small_snapshot(folder: Path, contents: dict[str, bytes] | None = None) -> Path:
    """A folder that passes for a snapshot in everything but its size."""
    files = {
        "README.md": b"---\nlicense: mit\n---\n# A card\n",
        "central_model.safetensors": bytes(range(256)) * 8,
        "evaluation.json": b"{}",
        "examples/examples.json": b'{"examples": []}',
    } | (contents or {})
    for name, data in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    models = {"central": {"file": "central_model.safetensors"}}
    seal(folder, {"classes": list(CLASSES), "models": models})
    return folder


def contents(folder: Path) -> dict[str, bytes]:
    paths = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}
