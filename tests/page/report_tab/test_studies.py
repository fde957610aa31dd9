"""The Report tab draws a study that there is, and is silent without."""

from __future__ import annotations

import copy

from fedmed.page.report_tab.studies import dots, studies
from fedmed.page.report_tab.tab import html
from fedmed.report.studies import told
from tests.support.markup import tags, text
from tests.support.reports import example_report
from tests.support.studies import cell, example_study

STUDY = example_study()
DRAWN = studies({"study": STUDY})


def test_every_question_has_its_sentences_and_its_chart() -> None:
    shown = text(DRAWN)
    assert all(sentence in shown for sentence in told(STUDY))  # type: ignore[arg-type]
    titles = [tag["aria-label"] for tag in tags(DRAWN, "svg")]
    assert titles == [
        "Accuracy against bytes", "How patients are dealt", "What privacy costs",
        "One hospital poisoned, label-skew", "What joining gives", "What each contributes",
    ]  # fmt: skip


def test_a_point_tells_its_figures() -> None:
    tips = [tag["data-tip"] for tag in tags(DRAWN, "circle")]
    assert any("fedavg, iid: AUC 93.0" in tip and "840,000 bytes" in tip for tip in tips)
    assert len(tags(DRAWN, "tr")) == 1 + len(STUDY["cells"])


def test_what_was_not_run_is_not_drawn() -> None:
    few = copy.deepcopy(STUDY)
    few["cells"], few["by_hospital"] = [cell("fedavg", 0.9)], {}
    titles = [tag["aria-label"] for tag in tags(studies({"study": few}), "svg")]
    assert titles == ["Accuracy against bytes", "How patients are dealt"]
    assert dots("nothing", [], "") == ""


def test_the_tab_holds_it_where_there_is_one() -> None:
    plain = html(example_report())
    assert "The study" not in text(plain) and studies(example_report()) == ""
    assert "The study" in text(html({**example_report(), "study": STUDY}))
