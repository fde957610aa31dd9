"""`make hospitals` from its start to its end, where its environment was made (`make flower`)."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from fedmed.backbones import backbone as backbones
from fedmed.snapshot.reader import Snapshot

REPOSITORY = Path(__file__).parents[2]
PYTHON = REPOSITORY / ".venv-flower" / "bin" / "python"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not PYTHON.exists(), reason="there is no .venv-flower: `make flower`"),
]


def rehearse(output: Path, *arguments: str) -> str:
    done = subprocess.run(
        [PYTHON, "-m", "fedmed.flower.loopback", "--output", output, *arguments],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=1800,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return done.stdout


def test_a_hospital_is_killed_and_the_head_is_that_of_one_process(tmp_path):
    output = tmp_path / "hospitals"
    said = rehearse(output, "--hospitals", "3")
    assert "The head is the same to the last bit." in said
    report = Snapshot.open(output / "snapshot").report
    federation = report["federation"]
    assert federation["tls"] and federation["authentication"].startswith("every hospital signs")
    took_part = [entry["hospitals"] for entry in federation["rounds"]]
    everybody = ["hospital_1", "hospital_2", "hospital_3"]
    assert took_part[0] == everybody and took_part[1] == everybody[:2]


def test_whole_networks_go_to_and_fro_and_end_as_in_one_process(tmp_path):
    output = tmp_path / "hospitals"
    said = rehearse(
        output,
        *("--train", "network", "--hospitals", "2", "--rounds", "2", "--keep-alive"),
        *("--format", "int8"),
    )
    assert "The network is the same to the last bit." in said
    assert backbones.load(str(output / "coordinator")).size == 64
    assert Snapshot.open(output / "coordinator" / "snapshot").models == ["federated"]
