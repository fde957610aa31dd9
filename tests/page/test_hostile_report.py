"""Sealed snapshots whose words and numbers are meant to break the page: no markup, no dead page."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from fedmed.backbones import backbone
from fedmed.errors import UserError
from fedmed.inference.loading import Opened
from fedmed.inference.predictor import Prediction, agreement
from fedmed.inference.shelf import Shelf
from fedmed.page import about, header
from fedmed.page.answer import Answer
from fedmed.page.examples import Example, strip
from fedmed.page.report_tab import tab as report_page
from fedmed.report import document
from tests.support.reports import MODELS, example_config, example_report
from tests.support.snapshots import reseal, tiny_snapshot

MARK = "\"'><script>alert(1)</script><img src=x onerror=alert(2)>&amp;{{}}"


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Where plain values are; of a list, and of fields that hold the same kind, the first."""
    fields = value.items() if isinstance(value, dict) else enumerate(value[:1])
    kinds: set[str] = set()
    for name, field in fields:
        if not isinstance(field, (dict, list)):
            yield (*path, name)
        elif (kind := shape(field)) not in kinds:
            kinds.add(kind)
            yield from places(field, (*path, name))


def shape(value: Any) -> str:
    """The names below, however deep: what has the same is of one kind."""
    if isinstance(value, dict):
        return str({name: shape(field) for name, field in value.items()})
    return shape(value[0]) + "[]" if isinstance(value, list) and value else type(value).__name__


def put(content: Any, path: tuple[Any, ...], value: Any) -> Any:
    copy = json.loads(json.dumps(content))
    inner = copy
    for step in path[:-1]:
        inner = inner[step]
    inner[path[-1]] = value
    return copy


def strings_replaced(content: Any, keep: tuple[str, ...]) -> Any:
    """Every text replaced by MARK but those under the names to keep."""
    if isinstance(content, dict):
        return {
            name: field if name in keep else strings_replaced(field, keep)
            for name, field in content.items()
        }
    if isinstance(content, list):
        return [strings_replaced(field, keep) for field in content]
    return MARK if isinstance(content, str) else content


def answer(config: dict[str, Any]) -> str:
    thresholds = {model: config["models"][model]["threshold"]["value"] for model in MODELS}
    labels = {model: ("NORMAL", "PNEUMONIA")[place % 2] for place, model in enumerate(MODELS)}
    prediction = Prediction(
        probabilities={model: {"NORMAL": 0.4, "PNEUMONIA": 0.6} for model in MODELS},
        labels=labels,
        thresholds=thresholds,
        evidence={model: np.zeros((7, 7), np.float32) for model in MODELS},
        agreement=agreement(labels),
        warnings=[],
        pixels=np.zeros((224, 224), np.uint8),
    )
    image = Image.new("L", (30, 30))
    example = Example(image, "NORMAL", MARK, MARK)
    return Answer(image, prediction, config, None, MARK, example, 0).html() + strip([example], 0)


def assert_harmless(html: str) -> None:
    assert "<script" not in html and "<img src=x" not in html
    assert MARK[:3] not in html  # which would end an attribute


def test_no_text_of_a_snapshot_becomes_markup(stored: dict[str, Any]) -> None:
    hostile = strings_replaced(stored, keep=("hospitals", "sent"))
    hostile["timing"][MARK] = 1.5
    hostile["environment"][MARK] = MARK
    hostile["recipe"][MARK] = [MARK]
    document.validate(hostile)
    config = strings_replaced(example_config(), keep=("classes",))
    html = report_page.html(hostile) + about.html(config, hostile) + answer(config)
    assert html.count("&lt;script&gt;") > 30
    assert_harmless(html)


def test_names_of_hospitals_do_not_either(stored: dict[str, Any]) -> None:
    hostile = json.loads(json.dumps(stored).replace('"hospital_1"', json.dumps(MARK)))
    document.validate(hostile)
    assert_harmless(report_page.html(hostile))


def test_no_text_in_place_of_a_number_becomes_markup(stored: dict[str, Any]) -> None:
    drawn = 0
    for path in places(stored):
        hostile = put(stored, path, MARK)
        try:
            document.validate(hostile)
        except UserError as error:
            assert "evaluation.json" in str(error)
            continue
        drawn += 1
        try:
            html = report_page.html(hostile) + about.html(example_config(), hostile)
        except (KeyError, ValueError):  # `show` then shows the bundled snapshot
            continue
        assert_harmless(html)
    assert drawn > 20


class Opens:
    """What a page is drawn of, without models."""

    def __init__(self, found: dict[str, Any]) -> None:
        self.report = found
        self.models = list(MODELS)
        self.config = example_config()


def draw(opened: Opened) -> str:
    """All that is drawn of a report as the app starts."""
    snapshot = opened.snapshot
    return (
        header.html(opened)
        + report_page.html(snapshot.report)
        + about.html(snapshot.config, snapshot.report)
        + header.which(opened)
    )


@pytest.mark.parametrize("wrong", [0, -1, 2**53, 1e300, 1.0, 0.3, [], {}, None, True])
def test_numbers_that_cannot_be_are_refused_drawn_or_told(
    wrong: Any, stored: dict[str, Any]
) -> None:
    """Drawn as they are, or an error that `show` catches: no endless drawing."""
    for path in places(stored):
        hostile = put(stored, path, wrong)
        try:
            document.validate(hostile)
            html = draw(Opened(Opens(hostile), None, "a", "b"))  # type: ignore[arg-type]
        except (UserError, ValueError, KeyError, ZeroDivisionError, OverflowError, StopIteration):
            continue
        assert len(html) < 1_000_000


@pytest.fixture
def bundled(snapshot_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(backbone, "IMAGENET", snapshot_folder)
    monkeypatch.setattr(backbone, "NETWORK", snapshot_folder / "none")
    return snapshot_folder


def test_a_sealed_report_that_cannot_be_drawn_does_not_keep_the_page_from_coming_up(
    bundled: Path, tmp_path: Path
) -> None:
    folder = tiny_snapshot(tmp_path / "mine")
    for path, wrong in (
        (("rounds",), []),
        (("communication", "formats", "fp32", "update_bytes"), 0),
        (("communication", "sent"), "int4"),
        (("protocols", "test", "models", "central", "calibration", "count"), []),
        (("partition", "hospitals"), []),
    ):
        (folder / "evaluation.json").write_text(json.dumps(put(example_report(), path, wrong)))
        reseal(folder)
        drawn = Shelf(draw, {"FEDMED_SNAPSHOT": str(folder)}).page()
        assert "The reason: mine" in drawn or "can&#39;t show it" in drawn
        assert "Models shown: <b>imagenet</b>" in drawn
