"""SCAFFOLD: at the optimum it stays, and there it goes, where FedAvg drifts away."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch

from fedmed.errors import UserError
from fedmed.federated.algorithms.fedavg import FedAvg
from fedmed.federated.algorithms.scaffold import Scaffold
from fedmed.federated.rounds import federate
from fedmed.federated.state import State
from fedmed.training.local_training import train_heads
from fedmed.training.logistic import curvature, losses, optimum, penalised
from fedmed.training.optimizer import Optimisation
from fedmed.training.rows import direction_of, head_of, rows
from fedmed.training.tensors import Tensors, add, group, pick, subtract, under
from tests.support.federations import apart
from tests.support.sites import CloudSite, pooled, zero_head

WIDTH = 8
L2 = 0.0  # the two clouds overlap, so that there is an optimum without a penalty
# Whole batches, plain steps: only where hospitals drift to is left.
PLAIN = Optimisation(learning_rate=0.05, batch_size=10**6, rule="sgd")


def sites() -> list[CloudSite]:
    mixes = [(20, 200), (60, 60), (150, 15)]
    made = [CloudSite(f"hospital_{i}", *mix, WIDTH) for i, mix in enumerate(mixes, 1)]
    for place, site in enumerate(made):  # and features of another scale at each
        site.features = site.features * (1 + place)
    return made


def everyone() -> CloudSite:
    site = pooled(sites())
    site.width = WIDTH
    return site


def best() -> torch.Tensor:
    return optimum(list(rows(everyone(), PLAIN)), L2)


def go(algorithm: FedAvg, start: Tensors, rounds: int, **more: Any) -> State:
    return federate(
        sites(),
        algorithm=algorithm,
        model=start,
        rounds=rounds,
        local_epochs=10,
        optimisation=PLAIN,
        seed=0,
        **more,
    )


def away(state: State, target: torch.Tensor) -> float:
    return float((direction_of(state.model["weight"], state.model["bias"]) - target).norm())


class AtOptimum(Scaffold):
    """Starts with every hospital's control variate at its gradient there."""

    def init(self, model, samples):
        server, own = super().init(model, samples)
        theta = direction_of(model["weight"], model["bias"])
        slopes = []
        for site in sites():
            at = penalised(theta, curvature(theta, list(rows(site, PLAIN))), L2)
            slopes.append(at.gradient)
        # What the difference of the rows feels, each row feels half of, with opposite signs.
        slope = torch.stack(slopes).float()
        mine = {
            "weight": torch.stack([-slope[:, :-1], slope[:, :-1]], 1),
            "bias": torch.stack([-slope[:, -1], slope[:, -1]], 1),
        }
        return server, own | under("control", mine)


@pytest.mark.slow
def test_at_the_optimum_it_stays_where_fedavg_moves_away() -> None:
    target = best()
    stays = go(AtOptimum(), head_of(target), 20)
    drifts = go(FedAvg(), head_of(target), 20)
    assert away(stays, target) < 1e-4
    assert away(drifts, target) > 100 * away(stays, target)


@pytest.mark.slow
def test_it_comes_to_the_optimum_where_fedavg_stalls() -> None:
    target = best()
    corrected, plain = go(Scaffold(), zero_head(WIDTH), 300), go(FedAvg(), zero_head(WIDTH), 300)
    assert away(corrected, target) < 5e-4
    assert away(plain, target) > 20 * away(corrected, target)
    data = list(rows(everyone(), PLAIN))
    heads = [direction_of(s.model["weight"], s.model["bias"]) for s in (corrected, plain)]
    exact, stalled = losses(torch.stack(heads), data, L2) - losses(target[None], data, L2)
    assert exact < 1e-7 < stalled


def test_the_servers_control_variate_is_the_mean_of_the_hospitals() -> None:
    state = go(Scaffold(), zero_head(WIDTH), 3)
    counts = torch.tensor([float(len(site.labels)) for site in sites()])
    share = counts / counts.sum()
    mine, everybody = group(state.own, "control"), group(state.server, "control")
    for name, tensor in everybody.items():
        assert tensor.abs().max() > 1e-3
        assert torch.allclose(torch.einsum("h,h...->...", share, mine[name]), tensor, atol=1e-5)


def test_a_control_variate_is_the_mean_gradient_of_its_hospitals_steps() -> None:
    """After a round from zero it is the mean of plain local training's gradients (option II)."""
    state = go(Scaffold(local_step=0.01), zero_head(WIDTH), 1)
    moved = subtract(group(state.own, "model"), pick(state.models, -1))
    assert apart(moved, moved) == 0
    for name, control in group(state.own, "control").items():
        steps = group(state.own, "model")[name]
        assert torch.allclose(control, -steps / (10 * 0.01), atol=1e-5)


def test_who_may_not_ask_the_features_is_told_to_say_how_long_steps_are() -> None:
    def blind(*arguments, **named):
        return train_heads(*arguments, **named)

    with pytest.raises(UserError, match="local_step"):
        go(Scaffold(), zero_head(WIDTH), 1, trainer=blind)
    told = go(Scaffold(local_step=0.01), zero_head(WIDTH), 1, trainer=blind)
    assert apart(told.model, go(Scaffold(local_step=0.01), zero_head(WIDTH), 1).model) == 0


def test_messages_are_twice_as_large() -> None:
    once, twice = go(FedAvg(), zero_head(WIDTH), 1), go(Scaffold(), zero_head(WIDTH), 1)
    numbers = sum(tensor.numel() for tensor in zero_head(WIDTH).values())
    assert min(twice.ledger.messages) > min(once.ledger.messages) + 4 * numbers


@pytest.mark.slow
@pytest.mark.parametrize("batch", [1, 16])
def test_small_batches_do_not_make_it_diverge(batch: int) -> None:
    small = replace(PLAIN, batch_size=batch)
    state = federate(
        sites(), algorithm=Scaffold(), model=zero_head(WIDTH), rounds=5, local_epochs=2,
        optimisation=small, seed=0,
    )  # fmt: skip
    data = list(rows(everyone(), PLAIN))
    now = direction_of(state.model["weight"], state.model["bias"])
    assert losses(now[None], data, L2) < 0.7 * losses(torch.zeros(1, WIDTH + 1).double(), data, L2)


def test_who_was_away_keeps_its_control_variate_and_moves_the_servers_by_nothing() -> None:
    algorithm = Scaffold()
    samples = torch.tensor([10, 30])
    server, _ = algorithm.init(zero_head(WIDTH), samples)
    ones = {name: torch.ones_like(t) for name, t in algorithm.broadcast(server).items()}
    sent = {name: tensor[None] for name, tensor in ones.items()}
    after = algorithm.aggregate(server, sent, samples[:1], None)  # type: ignore[arg-type]
    assert torch.equal(group(after, "control")["bias"], torch.full((2,), 0.25))
    assert apart(group(after, "model"), add(zero_head(WIDTH), group(ones, "model"))) == 0
