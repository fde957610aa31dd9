from __future__ import annotations

from benchmarks.readme import PAGES, filled


def test_figures_are_those_of_the_snapshots_that_ship():
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        assert "<!-- figures:" in text
        assert filled(text) == text, "run `make figures`"


def test_figures_follow_the_report(monkeypatch, tmp_path):
    (tmp_path / "evaluation.json").write_text("{}", encoding="utf-8")
    monkeypatch.setattr("benchmarks.readme.SNAPSHOTS", {"mine": tmp_path})
    monkeypatch.setattr("benchmarks.readme.results", lambda report: f"report: {report}")
    marked = "a\n<!-- figures: results of mine -->\nold\n<!-- /figures -->\nb\n"
    expected = "a\n<!-- figures: results of mine -->\nreport: {}\n<!-- /figures -->\nb\n"
    assert filled(marked) == expected
