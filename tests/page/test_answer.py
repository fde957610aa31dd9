from __future__ import annotations

import base64
import json
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from fedmed.page import answer
from fedmed.page.answer import problem
from fedmed.page.examples import Example
from fedmed.page.result import as_json
from tests.support.markup import tags, text
from tests.support.predictions import config, prediction
from tests.support.reports import MODELS, example_report

REPORT = example_report()
FILM = Image.fromarray((np.arange(90 * 120) % 251).astype(np.uint8).reshape(90, 120))


def Answer(image, prediction, config, example=None, number=None, report=REPORT):
    return answer.Answer(image, prediction, config, report, "folder x", example, number)


def test_seven_bars_with_verdict_threshold_and_mix():
    html = Answer(FILM, prediction(("hospital_1", "central")), config()).html()
    models = tags(html, "article", class_="fm-model")
    assert [model["data-model"] for model in models] == list(MODELS)
    bars = tags(html, "div", class_="fm-bar")
    assert [bar["data-label"] for bar in bars[:3]] == ["PNEUMONIA", "NORMAL", "PNEUMONIA"]
    assert all("threshold 50 %" in bar["aria-label"] for bar in bars)
    assert [tag["style"] for tag in tags(html, "b") if "style" in tag] == ["left:50.00%"] * 7
    assert "90 %" in text(html)
    assert "P(PNEUMONIA) 90 %" in text(html)
    assert "95 NORMAL" not in text(html) and "95 PNEUMONIA" in text(html)  # hospital 1's mix


def test_dissent_is_marked_and_counted():
    html = Answer(FILM, prediction(("hospital_4",)), config()).html()
    marked = tags(html, "article", class_="fm-dissents")
    assert [model["data-model"] for model in marked] == ["hospital_4"]
    assert "6 of 7 say NORMAL" in text(html)


def test_the_browser_gets_the_maps_themselves():
    found = prediction(())
    html = Answer(FILM, found, config()).html()
    section = tags(html, "section", class_="fm-answer")[0]
    maps = json.loads(section["data-evidence"])
    assert list(maps) == list(MODELS)
    for model, expected in found.evidence.items():
        np.testing.assert_allclose(maps[model], expected, atol=5e-4)


def test_an_example_shows_what_was_expected_and_where_it_is_from():
    example = Example(FILM, "PNEUMONIA", "simulated <b>film</b>", "MIT")
    html = Answer(FILM, prediction(("central",)), config(), example, 3).html()
    assert tags(html, "section", class_="fm-answer")[0]["data-example"] == "3"
    assert "Expected PNEUMONIA 1 of 7 models say so" in text(html)
    assert "simulated &lt;b&gt;film" in html
    assert "Expected" not in text(Answer(FILM, prediction(()), config()).html())


def test_warnings_are_visible_and_escaped():
    html = Answer(FILM, prediction((), warnings=("Unlike <any> X-ray.",)), config()).html()
    assert len(tags(html, "div", class_="fm-warning", role="alert")) == 1
    assert "Unlike &lt;any&gt; X-ray." in html


def test_under_a_warning_the_answer_steps_back():
    html = Answer(FILM, prediction((), warnings=("Unlike.", "In colour.")), config()).html()
    assert len(tags(html, "section", class_="fm-doubtful")) == 1
    assert html.count("<h2>") == 1 and "<h2>Unlike.</h2>" in html
    assert "What the models would say: All seven models say NORMAL." in text(html)
    plain = Answer(FILM, prediction(()), config()).html()
    assert not tags(plain, "section", class_="fm-doubtful")
    assert "<h2>All seven models say NORMAL.</h2>" in plain and "would say" not in text(plain)


def test_notes_are_told_without_alarm():
    found = replace(prediction(()), notes=["A <frame> was cut off."])
    html = Answer(FILM, found, config()).html()
    assert "A &lt;frame&gt; was cut off." in html and "fm-doubtful" not in html


def test_unknown_training_mix():
    about = config()
    about["models"]["hospital_3"]["training"] = None
    assert text(Answer(FILM, prediction(()), about).html()).count("training images unknown") == 1


@pytest.mark.parametrize("shape", [(40, 400), (400, 40), (1, 1)])
def test_films_of_any_shape(shape):
    html = Answer(Image.new("L", shape), prediction(()), config()).html()
    light = tags(html, "div", class_="fm-light")[0]
    assert light["style"] == f"--ratio:{shape[0] / shape[1]:.4f}"


def test_a_problem_takes_the_answers_place():
    html = problem("It is <script>")
    assert "It is &lt;script&gt;" in html
    assert not tags(html, "article")


def test_of_a_thousand_hospitals_some_are_shown_and_all_are_counted():
    models = ("central", "federated", *(f"hospital_{k}" for k in range(1, 1001)))
    html = Answer(FILM, prediction(models[2:414], models), config(models)).html()
    articles = tags(html, "article", class_="fm-model")
    assert len(articles) == 12 and articles[-1]["data-model"] == "hospital_1000"
    assert len(json.loads(tags(html, "section", class_="fm-answer")[0]["data-evidence"])) == 12
    assert len(tags(html, "option")) == 12
    assert "412 of all 1,000 hospitals say PNEUMONIA" in text(html)
    assert "590 of 1,002 say NORMAL" in text(html)
    assert len(html) < 300_000


def test_each_model_tells_how_it_did_on_every_set_of_the_report():
    html = Answer(FILM, prediction(()), config()).html()
    found = tags(html, "p", class_="fm-standing")
    sets = ["test", "validation", "shifted"]
    assert [tag["data-protocol-is"] for tag in found] == sets * len(MODELS)
    scores = REPORT["protocols"]["test"]["models"]["federated"]
    (healthy, ill) = map(sum, scores["confusion_matrix"])
    tip = found[3]["data-tip"]
    assert f"of {ill} PNEUMONIA X-rays it finds {100 * scores['recall']['value']:.1f} % (" in tip
    assert f"of {healthy} NORMAL ones" in tip
    assert f"{100 * scores['specificity']['value']:.1f} % (" in tip
    assert f"On the official test, n = {ill} + {healthy}" in text(html)


def test_models_without_a_report_say_that_nothing_is_known_of_them():
    html = Answer(FILM, prediction(()), config(), report=None).html()
    assert not tags(html, "p", class_="fm-standing")
    assert "How often these models are right is not known" in text(html)


@pytest.mark.parametrize(
    ("temperature", "told"), [({}, "not calibrated"), ({"temperature": 2}, "calibrated on")]
)
def test_whether_probabilities_are_calibrated_is_said(temperature, told):
    about = config()
    for model in about["models"].values():
        model |= temperature
    assert told in text(Answer(FILM, prediction(()), about).html())


def test_an_answer_is_saved_as_the_api_gives_it():
    found = prediction(("hospital_1",), warnings=("Odd <picture>.",))
    (link,) = tags(Answer(FILM, found, config()).html(), "a", class_="fm-save")
    kind, _, data = link["href"].partition(",")
    assert kind == "data:application/json;base64"
    assert json.loads(base64.b64decode(data)) == as_json(found, "folder x")


def test_the_heat_map_can_be_switched_off_and_says_what_it_is_not():
    html = Answer(FILM, prediction(()), config()).html()
    assert tags(html, "input", class_="fm-map-on", type="checkbox")
    assert "What moved the model, not where disease is." in text(html)
