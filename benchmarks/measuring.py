"""What all benchmarks share: the machine, repeats that take turns, tables, and where results go.

The cores are seldom ours alone, so whatever is compared takes turns in one process, and medians
and their ratios are quoted.
"""

from __future__ import annotations

import json
import os
import platform
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results"
LIBRARIES = ("torch", "openvino", "numpy", "pillow", "scikit-learn", "gradio", "gradio_client")


def machine() -> dict[str, Any]:
    """Processor, cores, memory in GiB, operating system, versions, and the day."""
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "memory_gib": _memory_gib(),
        "system": platform.system(),
        "versions": {"python": platform.python_version()} | _versions(),
        "date": datetime.now(UTC).date().isoformat(),
    }


def median_of(repeats: int, works: Mapping[str, Callable[[], object]]) -> dict[str, float]:
    """Median seconds of each work over repeats in turns, after one of each that does not count."""
    seconds = in_turns(repeats, works)
    return {name: statistics.median(found) for name, found in seconds.items()}


def in_turns(repeats: int, works: Mapping[str, Callable[[], object]]) -> dict[str, list[float]]:
    """Seconds of each repeat of each work; a change in the machine's load meets all of them."""
    for work in works.values():
        work()  # caches of files, weights and code
    seconds: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(repeats):
        for name, work in works.items():
            started = time.perf_counter()
            work()
            seconds[name].append(time.perf_counter() - started)
    return seconds


def table(rows: Sequence[Mapping[str, object]]) -> str:
    """Rows of the same columns as a Markdown table; fractions with three significant digits."""
    lines = [[str(name) for name in rows[0]]] + [[_cell(v) for v in row.values()] for row in rows]
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    lines.insert(1, ["-" * width for width in widths])
    return "\n".join(
        f"| {' | '.join(cell.ljust(w) for cell, w in zip(line, widths, strict=True))} |"
        for line in lines
    )


def write(topic: str, result: Mapping[str, Any], folder: Path | None = None) -> Path:
    """Write a result and the machine it comes from to FOLDER/TOPIC.json, RESULTS unless given."""
    path = (folder or RESULTS) / f"{topic}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    content = dict(result) | {"machine": machine()}
    path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    return path


def kept(topic: str) -> list[dict[str, Any]]:
    """The `rows` that a topic wrote before."""
    path = RESULTS / f"{topic}.json"
    found = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    rows: list[dict[str, Any]] = found.get("rows", [])
    return rows


def _cell(value: object) -> str:
    if not isinstance(value, float):
        return "" if value is None else str(value)
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    named = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return named[0] if named else platform.machine()


def _memory_gib() -> float | None:
    try:
        return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1)
    except (AttributeError, ValueError, OSError):  # not on Windows
        return None


def _versions() -> dict[str, str]:
    found = {}
    for library in LIBRARIES:
        try:
            found[library] = version(library)
        except PackageNotFoundError:
            continue
    return found
