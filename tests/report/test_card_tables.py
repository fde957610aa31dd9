from __future__ import annotations

from itertools import pairwise

from fedmed.report.card import model_card
from tests.support.reports import MODELS, example_config, example_report, with_hospitals

REPORT, CONFIG = example_report(), example_config()


def test_every_model_is_told_with_intervals_on_every_protocol():
    card = model_card(REPORT, CONFIG)
    for protocol in ("validation", "shifted", "test"):
        scores = REPORT["protocols"][protocol]
        assert f"n = {scores['n']} images of {scores['patients']} patients" in card
        assert scores["description"] in card
        for model in MODELS:
            cells = [
                "{value:.1f} ({low:.1f}–{high:.1f})".format(
                    **{end: 100 * x for end, x in scores["models"][model][name].items()}
                )
                for name in ("accuracy", "balanced_accuracy", "precision", "recall")
            ]
            assert f"| {CONFIG['models'][model]['title']} | {' | '.join(cells)} |" in card


def test_tables_are_whole():
    lines = model_card(REPORT, CONFIG).splitlines()
    for above, line in pairwise(lines):
        if above.startswith("|") and line.startswith("|"):
            assert above.count("|") == line.count("|")


def test_the_card_of_a_thousand_hospitals_shows_some_and_the_median():
    many = model_card(with_hospitals(REPORT, 1000), with_hospitals(CONFIG, 1000))
    assert len(many) < 25_000
    assert many.count("Hospital 112 |") == 3 and "Hospital 2 |" not in many
    assert many.count("| all hospitals: median, and 95 % of them |") == 3
    assert "Of 1,000 hospitals, 10 are shown" in many
