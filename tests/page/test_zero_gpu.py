from __future__ import annotations

import importlib
import sys
from types import SimpleNamespace

from fedmed.page import zero_gpu


def test_a_gpu_function_exists_where_spaces_is_installed(monkeypatch):
    asked = []
    monkeypatch.setitem(sys.modules, "spaces", SimpleNamespace(GPU=asked.append))
    importlib.reload(zero_gpu)
    assert len(asked) == 1 and callable(asked[0])


def test_nothing_happens_elsewhere(monkeypatch):
    monkeypatch.setitem(sys.modules, "spaces", None)  # importing it fails
    importlib.reload(zero_gpu)
    assert zero_gpu.spaces is None
