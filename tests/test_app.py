"""What `python app.py` imports and sets before the page is there; in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[1]
# Each takes long to import, and no answer to an ordinary picture needs it.
NEEDLESS = ["torchvision", "torch._dynamo", "sympy", "sklearn", "scipy", "datasets", "pydicom"]
BUILT = f"""
import gc, json, os, sys
import app
from fedmed.inference.shelf import Shelf
from fedmed.page.shown import draw
page = app.build(Shelf(draw))
calls = [{{"function": "predict", "status": "success", "process_time": 1.0}}] * 3
page._queue.events_recorded = 3
print(json.dumps({{
    "needless": [name for name in {NEEDLESS} if name in sys.modules],
    "statistics": page._queue.compute_analytics_summary(calls),
    "collecting": gc.isenabled(),
    "openmp": os.environ["OMP_WAIT_POLICY"],
}}))
"""


@pytest.fixture(scope="module")
def built(snapshot_folder):
    environment = os.environ | {"FEDMED_SNAPSHOT": str(snapshot_folder)}
    environment.pop("OMP_WAIT_POLICY", None)
    command = [sys.executable, "-c", BUILT]
    done = subprocess.run(command, cwd=REPOSITORY, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout.splitlines()[-1])


def test_nothing_is_imported_before_it_is_needed(built):
    assert built["needless"] == []


def test_gradio_makes_no_statistics_of_past_calls(built):
    assert built["statistics"] == {"functions": {}}


def test_who_imports_it_keeps_the_garbage_collector(built):
    assert built["collecting"] is True


def test_torchs_threads_do_not_spin_beside_gradios(built):
    assert built["openmp"] == "PASSIVE"
