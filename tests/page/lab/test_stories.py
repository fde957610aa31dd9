"""Every guided story, run from its first step to its last sentence on a phone."""

from __future__ import annotations

import re
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from gradio_client import Client

from fedmed.page.elements import size
from tests.support.lab_page import PHONE, kept_runs

Run = dict[str, Any]

# Of each story: what its two runs set, what the later one is called, and what it is held against.
STORIES: dict[str, tuple[Run, Run, str, str]] = {
    "What skew does": (
        {"skew": 1, "rounds": 5},
        {"skew": 256, "rounds": 5},
        "Dealt worlds apart, five rounds",
        "dealt alike",
    ),
    "What FedAvg leaves on the table": (
        {"rounds": 3},
        {"algorithm": "ridge", "rounds": 1},
        "One message",
        "three rounds of averages",
    ),
    "A hospital drops out": ({}, {"off": [5]}, "Without hospital 5 the federation", "with it"),
    "A poisoned hospital, and the median": (
        {"poison": "scale:100", "poisoned": 5},
        {"poison": "scale:100", "poisoned": 5, "algorithm": "median"},
        "With one hospital poisoned, the median",
        "the average",
    ),
    "What privacy costs": (
        {},
        {"epsilon": 1},
        "With epsilon 1, federated training",
        "without privacy",
    ),
    "Can you tell who was in it?": ({"attack": True}, {"attack": True, "epsilon": 1}, "", ""),
}


def test_every_story_ends_in_a_sentence_about_the_runs_that_it_ran(lab, server):
    page = lab(PHONE, color_scheme="dark", reduced_motion="reduce")
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    assert page.locator(".fm-lab-chips button").all_inner_texts() == list(STORIES)
    for title, (*settings, later, earlier) in STORIES.items():
        said = told(page, title)
        runs = kept_runs(page)
        first, second = (run_of(runs, one) for one in settings)
        if later:
            assert said.startswith(compared(second, first, later, earlier)), title
        if title == "What skew does":
            worst = min(one["balanced_accuracy"] for one in second["alone"].values())
            assert said.endswith(f" The worst hospital alone has {percent(worst)}.")
        elif title == "What FedAvg leaves on the table":
            moved = f"It moved {size(second['bytes'])}, the averages {size(first['bytes'])}."
            assert said.endswith(f" {moved}")
            client = Client(server, verbose=False)
            for run, asked in zip((first, second), settings, strict=True):
                *_, last = client.submit(**asked, api_name="/federate")
                assert run["federated"] == last["summary"]["federated"]
        elif "attack" in settings[0]:
            assert said == attacked(first["attack"], second["attack"])


def told(page, title: str) -> str:
    """Click through a story and return its last sentence."""
    page.locator(".fm-lab-chips").get_by_role("button", name=title, exact=True).click()
    panel, step = page.locator(".fm-lab-story"), 1
    steps = int(re.match(r"1 of (\d+)\.", panel.inner_text())[1])
    while step < steps:
        assert panel.inner_text().startswith(f"{step} of {steps}.")
        panel.locator(".fm-lab-next").click()
        step += 1
        upcoming = ".fm-lab-ending" if step == steps else f"p:text('{step} of {steps}.')"
        panel.locator(upcoming).wait_for()
    said = panel.locator(".fm-lab-ending").inner_text()
    assert page.locator(".fm-lab-said").inner_text() == said
    panel.get_by_role("button", name="Done").click()
    assert panel.is_hidden()
    return said


def run_of(runs: list[Run], asked: Run) -> Run:
    """The summary of the run that differs from the defaults in what is asked, and in no more."""
    plain = {"rounds": 20, "skew": 16, "algorithm": "fedavg", "off": []}
    plain |= dict.fromkeys(("epsilon", "poison", "poisoned")) | {"attack": False}
    (found,) = (
        run
        for run in runs
        if all(run["settings"][name] == asked.get(name, plain[name]) for name in plain)
    )
    return found["summary"]


def compared(run: Run, other: Run, what: str, against: str) -> str:
    """What is to be said of a run beside another."""
    here, there = (one["federated"]["balanced_accuracy"] for one in (run, other))
    if abs(here - there) < 0.005:
        how = "as good as"
    else:
        how = f"{rounded(100 * abs(here - there))} points {'more' if here > there else 'less'} than"
    return f"{what} reached {percent(here)}, {how} {against} ({percent(there)})."


def attacked(plain: Run, private: Run) -> str:
    coin = "hardly better than" if plain["auc"] < 0.55 else "better than"
    return (
        f"The attack's AUC is {rounded(plain['auc'], 3)}, {coin} a coin (0.5); with privacy "
        f"{rounded(private['auc'], 3)}. {plain['members']} patients were in, {plain['others']} not."
    )


def percent(share: float) -> str:
    return f"{rounded(100 * share)} %"


def rounded(number: float, decimals: int = 1) -> Decimal:
    """As JavaScript's toFixed: a tie goes up."""
    return Decimal(number).quantize(Decimal(1).scaleb(-decimals), ROUND_HALF_UP)
