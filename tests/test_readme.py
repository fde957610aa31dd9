from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from benchmarks.readme import README, REPOSITORY, filled


def test_figures_are_those_of_the_bundled_snapshot():
    text = README.read_text(encoding="utf-8")
    assert filled(text) == text, "run `make figures`"


def test_figures_follow_the_report(monkeypatch, tmp_path):
    (tmp_path / "evaluation.json").write_text("{}", encoding="utf-8")
    monkeypatch.setattr("benchmarks.readme.BUNDLED", tmp_path)
    monkeypatch.setattr("benchmarks.readme.results", lambda report: f"report: {report}")
    marked = "a\n<!-- figures: results -->\nold\n<!-- /figures -->\nb\n"
    expected = "a\n<!-- figures: results -->\nreport: {}\n<!-- /figures -->\nb\n"
    assert filled(marked) == expected


def architecture() -> list[tuple[int, Path]]:
    """The files and folders that README's tree names, each with the number of its line."""
    section = README.read_text(encoding="utf-8").split("## Architecture")[1].split("\n## ")[0]
    named, folder = [], REPOSITORY
    for number, line in enumerate(section.splitlines()):
        if not line.startswith("    "):
            continue
        if not line.startswith("      "):
            folder = REPOSITORY
        for name in re.findall(r"[\w/]+(?:\.py|/)(?=[\s,;]|$)", line):
            named.append((number, folder / name))
        if line.strip() == "fedmed/":
            folder = REPOSITORY / "fedmed"
    return named


def test_every_file_that_the_architecture_names_is_there():
    named = architecture()
    assert len(named) > 30
    for _, path in named:
        assert path.exists(), path


def test_files_import_those_above_them():
    """Or beside them; what the tree does not name, such as errors.py, anybody may."""
    ranks = {path: number for number, path in architecture() if path.name != "fedmed"}
    for path, number in ranks.items():
        for file in [path] if path.is_file() else path.rglob("*.py"):
            for name in imported(file):
                module = REPOSITORY.joinpath(*name.split("."))
                parts = [module, *module.parents]
                places = [p for part in parts[:-1] for p in (part.with_suffix(".py"), part)]
                rank = next((ranks[place] for place in places if place in ranks), 0)
                assert rank <= number, f"{file} imports {name}"


def imported(file: Path) -> Iterator[str]:
    """The modules of ours that a file imports, other than for their types."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    typed = [node for node in ast.walk(tree) if isinstance(node, ast.If)]
    typed = [node for node in typed if ast.unparse(node.test) == "TYPE_CHECKING"]
    passed = {inner for node in typed for inner in ast.walk(node)}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node not in passed:
            names = [f"{node.module}.{alias.name}" for alias in node.names]
            yield from (name for name in names if name.startswith("fedmed."))
