from __future__ import annotations

from benchmarks.readme import PAGES, SNAPSHOTS, card, filled
from fedmed.snapshot.manifest import CARD


def test_figures_are_those_of_the_snapshots_that_ship():
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        assert "<!-- figures:" in text
        assert filled(text) == text, "run `make figures`"


def test_the_cards_that_ship_are_as_they_are_written_today():
    for folder in SNAPSHOTS.values():
        assert card(folder) == (folder / CARD).read_text(encoding="utf-8"), "run `make figures`"


def test_figures_follow_the_report(monkeypatch, tmp_path):
    (tmp_path / "evaluation.json").write_text("{}", encoding="utf-8")
    monkeypatch.setattr("benchmarks.readme.SNAPSHOTS", {"mine": tmp_path})
    monkeypatch.setattr("benchmarks.readme.results", lambda report: f"report: {report}")
    marked = "a\n<!-- figures: results of mine -->\nold\n<!-- /figures -->\nb\n"
    expected = "a\n<!-- figures: results of mine -->\nreport: {}\n<!-- /figures -->\nb\n"
    assert filled(marked) == expected
