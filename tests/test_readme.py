from __future__ import annotations

from benchmarks.readme import README, filled


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
