"""A Space is made of what the app needs, and of nothing of one's own."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from fedmed import space
from fedmed.errors import UserError
from fedmed.snapshot.manifest import SnapshotError

OURS = ("train.py", "pyproject.toml", "Makefile", "requirements.lock")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A small project, in which somebody worked."""
    root = tmp_path / "project"
    written = [*space.NEEDED, *OURS, "fedmed/a.py", "fedmed/page/a.css", "examples/examples.json"]
    private = [".venv/bin/python", ".git/config", "snapshot/config.json", "weights/a.safetensors"]
    private += ["data/train/NORMAL/a.jpeg", "fedmed/__pycache__/a.pyc", "fedmed/.cache/b.py"]
    private += ["fedmed/mine.safetensors", "fedmed/data/xray.dcm", "examples/mine.jpeg", "a.png"]
    private += ["tests/test_a.py", "fedmed/bundled/deep/er/a.safetensors", "build/x.py", ".env"]
    for name in (*written, *private, "fedmed/bundled/one/backbone.safetensors"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text("content")
    return root


def test_what_is_needed_is_copied_and_nothing_else(root: Path, tmp_path: Path) -> None:
    expected = {*space.NEEDED, "fedmed/a.py", "fedmed/page/a.css", "examples/examples.json"}
    expected.add("fedmed/bundled/one/backbone.safetensors")
    folder = tmp_path / "space"
    for _ in range(2):  # the second time in place of the first
        assert set(space.make(folder, root)) == expected
        found = {p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()}
        assert found == expected


def test_what_should_not_be_there_is_refused(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(UserError, match="holds something else"):
        space.make(root, root)
    assert (root / "train.py").exists()
    monkeypatch.setattr(space, "MOST_MEBIBYTES", 0)
    with pytest.raises(UserError, match="the largest file is"):
        space.make(tmp_path / "space", root)
    monkeypatch.undo()
    (root / "fedmed" / "linked.py").symlink_to("/etc/hostname")
    with pytest.raises(UserError, match=r"linked\.py is a link"):
        space.make(tmp_path / "space", root)
    (root / "app.py").unlink()
    with pytest.raises(UserError, match=r"app\.py is missing"):
        space.make(tmp_path / "space", root)


def test_a_snapshot_that_was_altered_is_refused(root: Path, tmp_path: Path) -> None:
    (root / "fedmed" / "bundled" / "one" / "config.json").write_text("{}")
    with pytest.raises(SnapshotError):
        space.make(tmp_path / "space", root)


@pytest.mark.slow
def test_the_app_starts_from_it_alone(tmp_path: Path) -> None:
    folder = tmp_path / "space"
    names = space.make(folder)
    assert not {name for name in names if name.startswith(("tests", "benchmarks", *OURS))}
    code = (
        "import app, fedmed; from fedmed.inference.shelf import Shelf; from pathlib import Path\n"
        "assert Path(fedmed.__file__).is_relative_to(Path.cwd()), fedmed.__file__\n"
        "print([one.name for one in Shelf(lambda opened: opened.label, {}).choices])"
    )
    environment = os.environ | {"PYTHONPATH": "."}
    told = subprocess.check_output(
        [sys.executable, "-c", code], cwd=folder, text=True, timeout=300, env=environment
    )
    assert told.strip().endswith("['network', 'imagenet']")
    shutil.rmtree(folder)
