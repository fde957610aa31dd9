"""Heads of a hospital's own: better at home, further from the federated one, held near by Ditto."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from fedmed.experiment.personal import NEAR, personalise, report
from fedmed.experiment.settings import Settings
from fedmed.federated.algorithms.fedavg import FedAvg
from fedmed.report.claims_federation import personal
from fedmed.training.heads import Heads, probabilities
from fedmed.training.logistic import losses
from fedmed.training.rows import EveryRow, direction_of
from tests.support.federations import run
from tests.support.reports import changed, example_report
from tests.support.sites import OPTIMISATION, skewed

SITES = skewed(16)
FEDERATED = Heads.of(run(SITES, FedAvg()).model)


def made(kind: str, rounds: int = 10) -> Heads:
    settings = Settings(personalise=kind, epochs=30, rounds=rounds, local_epochs=3)
    return personalise(settings, FEDERATED, SITES, OPTIMISATION)


def away(heads: Heads) -> torch.Tensor:
    return (heads.weight - FEDERATED.weight).flatten(1).norm(dim=1)


@pytest.mark.parametrize("kind", ["finetune", "ditto"])
def test_it_lowers_the_loss_at_home(kind: str) -> None:
    heads = made(kind)
    for h, site in enumerate(SITES):
        several = torch.stack([FEDERATED.weight[0], heads.weight[h]])
        biases = torch.stack([FEDERATED.bias[0], heads.bias[h]])
        before, after = losses(
            direction_of(several, biases), EveryRow(site, OPTIMISATION), l2=0.0
        ).tolist()
        assert after < before, site.name


def test_ditto_stays_nearer() -> None:
    assert bool((away(made("ditto")) < away(made("finetune"))).all())
    assert report(Settings(personalise="ditto"))["lambda"] == NEAR


def told(own: float, everybody: float) -> str:
    gains = {
        name: {key: of | {"personal": value} for key, of, value in (
            ("own_mix", gain["own_mix"], own), ("everybody", gain["everybody"], everybody))}
        for name, gain in example_report()["gains"].items()
    }  # fmt: skip
    made: dict[str, Any] = changed("gains", to=gains)
    made["personalised"] = report(Settings(personalise="finetune"))
    return personal(made, "test")  # type: ignore[arg-type]


@pytest.mark.slow
def test_what_it_gives_is_told_as_it_came() -> None:
    assert "serves all 5 hospitals better" in told(0.95, 0.7)
    assert "70.0 % in the mean, the federated one 85.0 %" in told(0.95, 0.7)
    assert "serves all 5 hospitals worse" in told(0.5, 0.7)
    assert "serves 2 of 5 hospitals better and serves 2 of 5" in told(0.84, 0.7)
    assert personal(example_report(), "test") == ""  # type: ignore[arg-type]


def test_probabilities_differ_between_hospitals() -> None:
    found = probabilities(made("finetune"), SITES[0].features)
    assert float(found.std(0).mean()) > 0.01
