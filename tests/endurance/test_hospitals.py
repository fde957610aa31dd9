"""`make hospitals` from its start to its end, where its environment was made (`make flower`)."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from fedmed.snapshot.reader import Snapshot

REPOSITORY = Path(__file__).parents[2]
PYTHON = REPOSITORY / ".venv-flower" / "bin" / "python"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not PYTHON.exists(), reason="there is no .venv-flower: `make flower`"),
]


def test_a_hospital_is_killed_and_the_head_is_that_of_one_process(tmp_path):
    output = tmp_path / "hospitals"
    done = subprocess.run(
        [PYTHON, "-m", "fedmed.flower.loopback", "--hospitals", "3", "--output", output],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=1800,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    assert "The head is the same to the last bit." in done.stdout
    report = Snapshot.open(output / "snapshot").report
    federation = report["federation"]
    assert federation["tls"] and federation["authentication"].startswith("every hospital signs")
    took_part = [entry["hospitals"] for entry in federation["rounds"]]
    everybody = ["hospital_1", "hospital_2", "hospital_3"]
    assert took_part[0] == everybody and took_part[1] == everybody[:2]
