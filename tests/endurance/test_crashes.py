"""Some of what `python -m tests.endurance.crashes` does at length."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="runs are forked")
def test_stopped_runs_end_like_undisturbed_ones(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    torch_s = tmp_path_factory.mktemp("torch")  # made as torchvision is imported, and left there
    result = tmp_path / "crashes.json"
    command = [sys.executable, "-m", "tests.endurance.crashes", "--few", "--json", str(result)]
    done = subprocess.run(
        command,
        cwd=ROOT,
        capture_output=True,
        text=True,
        env=os.environ | {"TMPDIR": str(tmp_path), "TORCHINDUCTOR_CACHE_DIR": str(torch_s)},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads(result.read_text())
    assert found["failed"] == []
    assert sum(found["tried"].values()) == 8
    assert [path.name for path in tmp_path.iterdir()] == ["crashes.json"]
