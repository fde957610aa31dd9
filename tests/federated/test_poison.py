"""A poisoned hospital: what it does, and which algorithms mind."""

from __future__ import annotations

import pytest
import torch

from fedmed.errors import UserError
from fedmed.federated.algorithms.fedavg import FedAvg
from fedmed.federated.algorithms.robust import Krum, Median, TrimmedMean
from fedmed.federated.channel import Channel
from fedmed.federated.poison import FlippedSite, Poison
from tests.support.federations import apart, run
from tests.support.sites import accuracy, iid


@pytest.mark.parametrize(
    "text", ["", "flip", "scale", "scale:", "scale:x", "scale:inf", "scale:nan"]
)
def test_what_is_no_poison_is_refused_with_what_is(text: str) -> None:
    with pytest.raises(UserError, match="label-flip, sign-flip or scale:X"):
        Poison.parse(text)


def poisoned(algorithm, text: str, format: str = "fp32"):
    poison, sites = Poison.parse(text), iid()
    sites[1] = poison.site(sites[1])
    channel = Channel(up=(*poison.transforms("hospital_2"), *Channel.of(format).up))
    return run(sites, algorithm, rounds=4, channel=channel)


def test_flipped_labels_are_all_that_differs() -> None:
    site = iid()[0]
    flipped = Poison.parse("label-flip").site(site)
    assert isinstance(flipped, FlippedSite)
    assert torch.equal(flipped.labels, 1 - site.labels)
    assert flipped.name == site.name and torch.equal(flipped.epoch(3), site.epoch(3))
    assert not hasattr(flipped, "every_view")
    assert Poison.parse("label-flip").transforms("hospital_1") == ()


@pytest.mark.parametrize("text, factor", [("sign-flip", -1.0), ("scale:100", 100.0)])
def test_one_hospitals_updates_are_multiplied_and_no_others(text: str, factor: float) -> None:
    heard = {}

    class Listening(FedAvg):
        def aggregate(self, server, sent, samples, now):
            heard.setdefault(now.number, sent)
            return super().aggregate(server, sent, samples, now)

    run(iid(), Listening(), rounds=1)
    plain = heard.pop(1)
    poisoned(Listening(), text)
    for name, tensor in plain.items():
        expected = tensor.clone()
        expected[1] *= factor
        assert torch.allclose(heard[1][name], expected, rtol=1e-5, atol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("format", ["fp32", "int8"])
def test_scaled_updates_ruin_the_mean_and_leave_the_middle(format: str) -> None:
    assert accuracy(run(iid(), FedAvg(), rounds=4).model) > 0.85
    ruined = accuracy(poisoned(FedAvg(), "scale:-100", format).model)
    assert ruined < 0.6
    for robust in (Median(), TrimmedMean(), Krum()):
        assert accuracy(poisoned(robust, "scale:-100", format).model) > 0.8


def test_a_scale_of_one_is_no_poison() -> None:
    assert apart(poisoned(FedAvg(), "scale:1").model, run(iid(), FedAvg(), rounds=4).model) == 0
