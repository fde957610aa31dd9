from __future__ import annotations

import re

import pytest

from fedmed.backbones.engine import pick
from fedmed.page import about
from fedmed.task import DATASET, DISCLAIMER
from tests.support.markup import tags, text
from tests.support.reports import example_config, with_hospitals


def test_the_story_takes_about_150_words(stored):
    html = about.html(example_config(), stored)
    story = re.search(r'<div class="fm-prose">(.*?)</div>', html, re.DOTALL)[1]
    assert 120 <= len(re.findall(r"[\w’]+", text(story))) <= 190


def test_figure_limits_privacy_and_citation(stored):
    html = about.html(example_config(), stored)
    shown = text(html)
    assert len(tags(html, "g", class_="fm-house")) == 5
    assert DISCLAIMER in shown
    assert "deleted within 10 minutes" in shown
    assert f"runs on {pick().title}." in shown
    assert "trained on simulated X-rays" in shown
    sent = stored["communication"]["formats"]["fp32"]["update_bytes"]
    assert f"{sent / 1000:.1f} kB" in shown


def test_without_a_report_nothing_is_known_of_the_data():
    shown = text(about.html(example_config(), None))
    assert "whose X-rays they were trained on is not known" in shown
    assert DATASET["title"] not in shown and "children" not in shown.lower()


OWN = {"title": "Our own <films>", "licence": "unknown", "citation": "", "description": ""}


@pytest.mark.parametrize(
    ("data", "told", "not_told"),
    [
        (DATASET, "paediatric frontal radiographs, Guangzhou", "Our own"),
        (OWN, "They were trained on Our own", "Guangzhou"),
        (OWN | {"description": "Films of adults"}, "trained on: films of adults.", "aediatric"),
    ],
)
def test_it_speaks_of_the_data_that_the_models_were_trained_on(stored, data, told, not_told):
    shown = text(about.html(example_config(), stored | {"data": stored["data"] | data}))
    assert told in shown and not_told not in shown and "children" not in shown


def test_a_network_that_travels_whole_is_not_called_frozen(stored):
    head = text(about.html(example_config(), stored))
    assert "frozen but for its last layer" in head
    whole = example_config() | {"networks": {"size": 128}}
    assert "frozen" not in text(about.html(whole, stored))


def test_of_a_thousand_hospitals_the_figure_draws_the_first_ones_and_the_last():
    html = about.html(with_hospitals(example_config(), 1000), None)
    houses = re.findall(r">(Hospital \d+)<", html)
    assert houses == [f"Hospital {number}" for number in (1, 2, 3, 4, 5, 1000)]
    assert "1,000 hospitals want one good pneumonia detector" in text(html)


def test_of_whole_networks_it_says_so(stored):
    told = about.html(example_config() | {"networks": {"size": 128}}, stored)
    assert "trains all of it" in told and "11,187,138 numbers" in told
    assert "averages networks" in told and "up: a network" in told
    assert "frozen" not in told


@pytest.mark.parametrize(
    ("name", "one_round", "told"),
    [
        ("fedadam", False, "A server averages them"),
        ("median", False, "takes the median of each number"),
        ("krum", False, "picks among heads"),
        ("ridge", True, "sends these sums, once"),
        ("newton", False, "sends these sums in every round"),
    ],
)
def test_what_the_server_does_is_the_algorithms(stored, name, one_round, told):
    algorithm = stored["algorithm"] | {"name": name, "one_round": one_round}
    shown = text(about.html(example_config(), stored | {"algorithm": algorithm}))
    assert told in shown
    assert ("averages" in shown) == (name == "fedadam")
