from __future__ import annotations

import re

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


def test_every_file_that_the_architecture_names_is_there():
    section = README.read_text(encoding="utf-8").split("## Architecture")[1].split("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("    ")]
    folder = ""
    for line in lines:
        if not line.startswith("      "):
            folder = ""
        for name in re.findall(r"[\w/]+(?:\.py|/)(?=[\s,;]|$)", line):
            assert (REPOSITORY / folder / name).exists(), f"{folder}{name}"
        if line.strip() == "fedmed/":
            folder = "fedmed/"
