"""Heads of every algorithm, and where an update format cannot hold what is learned."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch

from fedmed.errors import UserError
from fedmed.experiment.fit import fit
from fedmed.experiment.settings import Settings
from fedmed.experiment.timing import Stopwatch
from fedmed.federated.algorithms import ALGORITHMS
from fedmed.training.recipe import RECIPES
from fedmed.training.tensors import digest
from tests.support.sites import CloudSite, pooled, skewed
from tests.support.xrays import xrays

# So large a step that FP16 cannot hold the weights it leads to, and FP32 can.
WILD = Settings(rounds=3, local_epochs=2, epochs=1, learning_rate=1e5)


@pytest.fixture
def prepared() -> Any:
    """Hospitals of made-up features, and nothing kept from before."""
    sites = skewed()
    images = [*xrays(["a.jpeg"], 0), *xrays(["b.jpeg"], 1)]
    return SimpleNamespace(
        training=images,
        recipe=RECIPES["mission"],
        validation=SimpleNamespace(features=torch.zeros(1, 512)),
        everything=pooled(sites),
        hospitals=sites,
        sites=[site.name for site in sites],
        audit={"simulated": False},
        state=SimpleNamespace(federation=lambda _: None, keeper=lambda _: None),
    )


def test_a_format_that_is_only_compared_ends_no_run(
    prepared: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = Settings(**{**vars(WILD), "hospitals": len(prepared.hospitals)})
    fitted = fit(settings, prepared, Stopwatch())
    assert list(fitted.unfinished) == ["fp16"]
    assert list(fitted.federations) == ["fp32", "int8"]
    assert "lower --learning-rate" in fitted.unfinished["fp16"]
    assert "goes on without FP16" in capsys.readouterr().out


def test_the_format_that_is_sent_ends_it(prepared: Any) -> None:
    settings = Settings(**{**vars(WILD), "hospitals": len(prepared.hospitals), "quantize": "fp16"})
    with pytest.raises(UserError, match="lower --learning-rate"):
        fit(settings, prepared, Stopwatch())


@pytest.mark.slow
def test_every_algorithm_trains_and_the_report_is_told_of_it(prepared: Any) -> None:
    federated, central = set(), set()
    for name in ALGORITHMS:
        # FedProx differs from FedAvg from the second step on.
        settings = Settings(algorithm=name, rounds=2, local_epochs=2, epochs=1)
        fitted = fit(settings, prepared, Stopwatch())
        told = fitted.plan.report(fitted.federations["fp32"])["algorithm"]
        assert told["name"] == name
        assert told["rounds"] == (1 if told["one_round"] else 2)
        federated.add(digest(fitted.federated.tensors()))
        central.add(digest(fitted.central.tensors()))
    assert (len(federated), len(central)) == (len(ALGORITHMS), 1)


@pytest.mark.parametrize("name", ["ridge", "lda"])
def test_of_few_xrays_no_second_moments_are_sent(name: str, prepared: Any) -> None:
    settings = Settings(algorithm=name, rounds=1, local_epochs=1, epochs=1)
    few = [CloudSite(site.name, 6, 6) for site in prepared.hospitals]
    prepared.hospitals, prepared.everything = few, pooled(few)
    with pytest.raises(UserError, match="sends no second moments"):
        fit(settings, prepared, Stopwatch())
    prepared.audit["simulated"] = True
    assert set(fit(settings, prepared, Stopwatch()).federations) == {"fp32", "fp16", "int8"}
