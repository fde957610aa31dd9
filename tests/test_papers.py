"""docs/papers.md names the files that there are, and every paper that the code cites by number."""

from __future__ import annotations

import re
from pathlib import Path

from fedmed.federated.algorithms import ALGORITHMS

ROOT = Path(__file__).parents[1]
PAPERS = (ROOT / "docs" / "papers.md").read_text(encoding="utf-8")
ARXIV = re.compile(r"arXiv:\d{4}\.\d{4,5}")


def test_the_files_are_there() -> None:
    named = re.findall(r"\[([^\]]+)\]\(\.\./([^)]+)\)", PAPERS)
    assert len(named) == PAPERS.count("| [") > 5
    assert [title for title, target in named if title != target] == []
    assert [target for _, target in named if not (ROOT / target).is_file()] == []


def test_every_algorithm_has_its_row() -> None:
    modules = [kind.__module__.replace(".", "/") for kind in ALGORITHMS.values()]
    assert [module for module in modules if f"{module}.py" not in PAPERS] == []


def test_every_number_cited_in_the_code_is_listed() -> None:
    sources = sorted((ROOT / "fedmed").rglob("*.py"))
    cited = {number for path in sources for number in ARXIV.findall(path.read_text("utf-8"))}
    assert cited and cited <= set(ARXIV.findall(PAPERS))
