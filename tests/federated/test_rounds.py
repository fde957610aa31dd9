"""Rounds: broadcast, local training, aggregate, and what a federation ends with."""

from __future__ import annotations

from typing import Any, ClassVar

import pytest
import torch

from fedmed.federated import channel as channel_module
from fedmed.federated import rounds
from fedmed.federated.algorithms.fedadam import FedAdam
from fedmed.federated.algorithms.fedavg import FedAvg
from fedmed.federated.algorithms.fedavgm import FedAvgM
from fedmed.federated.algorithms.fedyogi import FedYogi
from fedmed.federated.algorithms.ridge import Ridge
from fedmed.federated.channel import Channel
from fedmed.federated.rounds import federate
from fedmed.federated.state import State
from fedmed.training.heads import Heads, new_heads, stack, unstack
from fedmed.training.local_training import train
from fedmed.training.tensors import Tensors, add, group, under
from tests.support.sites import OPTIMISATION, accuracy, iid, pooled, skewed, zero_head


def run(sites, format: str = "fp32", **options) -> State:
    options = {
        "algorithm": FedAvg(),
        "model": zero_head(),
        "rounds": 5,
        "local_epochs": 3,
        "optimisation": OPTIMISATION,
        "seed": 42,
    } | options
    return federate(sites, channel=Channel.of(format), **options)


def local(state: State) -> Heads:
    return Heads.of(group(state.own, "model"))


@pytest.mark.slow
@pytest.mark.parametrize("sites", [iid(), skewed()], ids=["iid", "label-skew"])
def test_the_federated_head_comes_close_to_the_centralized_one(sites):
    central = train(new_heads(1, 512), [pooled(sites)], range(15), OPTIMISATION, seed=42)
    state = run(sites)
    assert accuracy(central) > 0.8
    assert accuracy(state.model) > accuracy(central) - 0.02


def test_under_label_skew_the_federated_head_beats_most_local_ones():
    state = run(skewed())
    alone = sorted(accuracy(head) for head in unstack(local(state)))
    assert accuracy(state.model) > alone[-2]


def test_a_round_starts_from_the_global_head_of_the_one_before():
    sites = iid()
    first = run(sites, rounds=1)
    second = run(sites, rounds=2)
    start = stack([Heads.of(first.model)] * 5)
    expected = train(start, sites, range(3, 6), OPTIMISATION, seed=42)
    assert torch.allclose(local(second).weight, expected.weight, atol=1e-6)
    assert torch.allclose(second.held["weight"], first.model["weight"], atol=1e-7)


def test_the_model_to_start_from_is_what_the_first_round_sends():
    begin = {"weight": torch.randn(2, 512), "bias": torch.randn(2)}
    state = run(iid(), model=begin, rounds=1, local_epochs=0)
    assert all(torch.equal(state.held[name], begin[name]) for name in begin)
    assert torch.equal(state.model["weight"], begin["weight"])


@pytest.mark.slow
@pytest.mark.parametrize("format", ["fp16", "int8"])
def test_a_quantized_federation_stays_close(format):
    exact, rounded = run(skewed()), run(skewed(), format)
    assert abs(accuracy(exact.model) - accuracy(rounded.model)) < 0.005
    error = (exact.model["weight"] - rounded.model["weight"]).abs().max()
    assert 0 < error < 0.02 * exact.model["weight"].abs().max()


class Idle(FedAvg):
    """Trains nothing and moves the global head once, so that only the way down is left."""

    TARGET: ClassVar[torch.Tensor] = torch.linspace(-1, 3, 1024).reshape(2, 512)

    def local(self, received, own, sites, now):
        return {name: tensor.expand(5, *tensor.shape) * 0 for name, tensor in received.items()}, own

    def aggregate(self, server, sent, samples, now):
        move = self.TARGET if now.number == 1 else torch.zeros(2, 512)
        return under("model", add(group(server, "model"), {"weight": move, "bias": torch.zeros(2)}))


def test_what_quantization_loses_on_the_way_down_is_sent_again():
    seen: list[State] = []
    run(iid(), "int8", algorithm=Idle(), on_round=seen.append)
    errors = [float((state.held["weight"] - Idle.TARGET).abs().max()) for state in seen[1:]]
    assert errors[0] > 1e-3
    assert errors[1] < errors[0] / 50
    assert errors[2] < errors[1] / 50


def test_the_server_sees_only_decoded_bytes(monkeypatch):
    """Where the wire delivers zeros, nothing of local training reaches the global head."""
    decode = channel_module.decode

    def zeros(messages, layout) -> Tensors:
        return {name: tensor * 0 for name, tensor in decode(messages, layout).items()}

    monkeypatch.setattr(channel_module, "decode", zeros)
    state = run(iid(), rounds=2)
    assert not state.model["weight"].any() and not state.held["weight"].any()
    assert local(state).weight.any()


def test_epochs_are_numbered_through_all_rounds():
    sites = iid()
    run(sites, rounds=3, local_epochs=2)
    assert sites[0].asked == [0, 1, 2, 3, 4, 5]


def test_an_algorithm_does_no_more_rounds_than_it_can_use():
    class OneShot(FedAvg):
        most_rounds: ClassVar[int | None] = 1

    seen: list[State] = []
    state = run(iid(), algorithm=OneShot(), rounds=5, on_round=seen.append)
    assert (state.round, len(seen), len(state.models["weight"])) == (1, 1, 1)


def test_an_algorithm_may_tell_the_hospitals_nothing():
    """As a closed form does, that adds up what the hospitals send: here their class counts."""

    class Counts(FedAvg):
        def broadcast(self, server):
            return {}

        def expected(self, server):
            return {"counts": ("I64", [2])}

        def local(self, received, own, sites, now):
            counts = [torch.bincount(site.labels, minlength=2) for site in sites]
            return {"counts": torch.stack(counts)}, own

        def aggregate(self, server, sent, samples, now):
            return under("model", {"weight": torch.zeros(2, 512), "bias": sent["counts"].sum(0)})

    state = run(skewed(), algorithm=Counts(), rounds=1)
    assert state.model["bias"].tolist() == [470, 775]
    assert 0 < state.ledger.down[0]["hospital_1"] < 32 < state.ledger.up[0]["hospital_1"]


def test_everybody_is_told_who_takes_part_and_in_which_round():
    told = []

    class Listening(FedAvg):
        def local(self, received, own, sites, now):
            told.append((now.number, now.hospitals, now.epochs))
            return super().local(received, own, sites, now)

    run(iid()[:2], algorithm=Listening(), rounds=2, local_epochs=2)
    names = ("hospital_1", "hospital_2")
    assert told == [(1, names, range(0, 2)), (2, names, range(2, 4))]


def test_on_round_sees_every_round():
    seen: list[State] = []
    final = run(iid(), rounds=3, on_round=seen.append)
    assert [state.round for state in seen] == [1, 2, 3]
    assert [len(state.ledger.up) for state in seen] == [1, 2, 3]
    assert seen[-1] is final


def test_many_large_messages_are_averaged_as_they_come(monkeypatch):
    """As many as fit, one after the other: the same sums, and never all in memory."""
    whole = run(skewed(), algorithm=Ridge(), rounds=1)
    heard = []

    class Listening(Ridge):
        def aggregate(self, server, sent, samples, now):
            heard.append((len(sent["targets"]), samples.tolist()))
            return super().aggregate(server, sent, samples, now)

    monkeypatch.setattr(rounds, "TOGETHER_BYTES", 2_200_000)
    parts = run(skewed(), algorithm=Listening(), rounds=1)
    assert heard == [(3, [650, 330, 265])]
    assert parts.ledger == whole.ledger
    for part in ("models", "own", "server"):
        for name, tensor in getattr(whole, part).items():
            assert torch.allclose(tensor, getattr(parts, part)[name], atol=1e-6)


STATISTICS = {"bn1.running_var": torch.ones(4), "bn1.running_mean": torch.ones(4)}


def federated(model: Tensors, moved: float, **more: Any) -> Tensors:
    """The model after rounds in which training takes `moved` off every number."""
    state = federate(
        iid()[:3],
        model=model,
        local_epochs=1,
        trainer=lambda start, *rest, **named: {n: t - moved for n, t in start.items()},
        seed=0,
        **more,
    )
    return state.model


def test_variances_never_fall_below_nothing() -> None:
    found = federated(STATISTICS, 2.0, algorithm=FedAvg(), rounds=1)
    assert torch.equal(found["bn1.running_var"], torch.zeros(4))
    assert torch.equal(found["bn1.running_mean"], -torch.ones(4))


@pytest.mark.parametrize("kind", [FedAvgM, FedAdam, FedYogi])
def test_what_normalisation_measured_is_averaged_whatever_steps_the_server_takes(kind) -> None:
    """With momentum, a variance that has fallen once goes on to fall, and nothing is left of it."""
    model = STATISTICS | {"conv1.weight": torch.ones(4)}
    plain, stepped = (
        federated(model, 0.25, algorithm=algorithm, rounds=2) for algorithm in (FedAvg(), kind())
    )
    assert all(torch.equal(stepped[name], plain[name]) for name in STATISTICS)
    assert torch.allclose(stepped["bn1.running_var"], torch.full((4,), 0.5))
    assert not torch.allclose(stepped["conv1.weight"], plain["conv1.weight"], atol=0.1)


def test_the_last_model_alone_is_held_where_asked_and_is_the_same() -> None:
    every, last = run(iid()), run(iid(), every_round=False)
    assert len(every.models["weight"]) == 5 and len(last.models["weight"]) == 1
    assert torch.equal(every.model["weight"], last.model["weight"])
    assert last.round == 5
