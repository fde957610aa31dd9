"""The API's /federate: a federation with settings of one's own, streamed round by round."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import gradio as gr

from fedmed.page.lab import runs, source
from fedmed.page.shown import Snapshots, told
from fedmed.server.clients import sender

LAB: dict[str, Any] = {"concurrency_id": "lab", "concurrency_limit": 32}


def add(snapshots: Snapshots) -> None:
    """Add the endpoint, inside a `gr.Blocks`. Its name and shapes are stable."""

    # Gradio passes the request by its hint alone; a union with None it would not know.
    def federate(
        hospitals: float | None = None,
        partition: str | None = None,
        alpha: float | None = None,
        rounds: float | None = None,
        local_epochs: float | None = None,
        algorithm: str | None = None,
        participation: float | None = None,
        drop_out: float | None = None,
        poison: str | None = None,
        quantize: str | None = None,
        epsilon: float | None = None,
        seed: float | None = None,
        skew: float | None = None,
        off: str | None = None,
        late: str | None = None,
        poisoned: float | None = None,
        attack: bool | None = None,
        snapshot: str | None = None,
        request: gr.Request = None,
    ) -> Generator[dict[str, Any]]:
        """Run a federation on cached features of X-rays and stream its rounds, then a summary.

        Args:
            hospitals: How many hospitals, 2 to 50; 5 if left out.
            partition: How patients are dealt: label-skew, dirichlet, quantity-skew or iid.
            alpha: Dirichlet concentration; small is very non-IID.
            rounds: Rounds, at most 100; 20 if left out.
            local_epochs: Epochs at each hospital per round; 3 if left out.
            algorithm: As train.py has it: fedavg, scaffold, median, ridge, newton and so on.
            participation: Share of the hospitals asked in each round.
            drop_out: How likely a hospital that is asked does not answer.
            poison: label-flip, sign-flip or scale:X.
            quantize: none, fp16 or int8.
            epsilon: Differential privacy of every patient; left out, there is none.
            seed: Seed of every random choice but privacy's noise, which has none.
            skew: Largest over smallest share of a class under label-skew; 16 if left out.
            off: Hospitals that are not in the federation, by number, as 2,4.
            late: Hospitals whose answer misses every second round, by number.
            poisoned: The poisoned hospital, by number; the last if left out.
            attack: Whether the federated model is asked who was in the training set.
            snapshot: On whose features, by a name that /models lists; the first if left out.
        """
        given = {
            name: value
            for name, value in locals().items()
            if name in NAMES and value not in (None, "")
        }
        with told():
            found = source.find(snapshots, snapshot)
            for event in runs.run(found.folder, given, client=sender(request)):
                if event is None:
                    continue
                # The models themselves stay here.
                yield {name: part for name, part in event.items() if name != "trained"}

    result = gr.JSON(visible=False, label="event")
    called = gr.Button(visible=False)
    inputs = [_component(name) for name in (*NAMES, "snapshot")]
    called.click(federate, inputs, result, api_name="federate", **LAB)


NUMBERS = (
    "hospitals",
    "alpha",
    "rounds",
    "local_epochs",
    "participation",
    "drop_out",
    "epsilon",
    "seed",
    "skew",
    "poisoned",
)
NAMES = (
    "hospitals",
    "partition",
    "alpha",
    "rounds",
    "local_epochs",
    "algorithm",
    "participation",
    "drop_out",
    "poison",
    "quantize",
    "epsilon",
    "seed",
    "skew",
    "off",
    "late",
    "poisoned",
    "attack",
)

SAMPLES = {  # in the code to copy, where Gradio would say Hello!!
    "partition": "label-skew",
    "algorithm": "fedavg",
    "poison": "label-flip",
    "quantize": "int8",
    "off": "2",
    "late": "4",
    "snapshot": "imagenet",
}


def _component(name: str) -> gr.components.Component:
    if name in NUMBERS:
        return gr.Number(value=None, visible=False, label=name)
    if name == "attack":
        return gr.Checkbox(value=None, visible=False, label=name)
    text, sample = gr.Textbox(value=None, visible=False, label=name), SAMPLES[name]
    text.example_payload = text.example_value = lambda: sample
    return text
