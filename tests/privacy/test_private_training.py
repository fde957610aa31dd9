"""Private training: what one patient can change is bounded, and the noise is what was promised."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch

from fedmed.errors import UserError
from fedmed.experiment.choices import PRIVATE
from fedmed.federated.algorithm import Algorithm
from fedmed.federated.algorithms import ALGORITHMS
from fedmed.federated.algorithms.fedavg import FedAvg
from fedmed.federated.algorithms.scaffold import Scaffold
from fedmed.federated.rounds import federate
from fedmed.federated.state import State
from fedmed.privacy import private_training
from fedmed.privacy.accountant import epsilon_of
from fedmed.privacy.mechanism import CLIP, MOST_STEP, Mechanism
from fedmed.privacy.outbox import Outbox
from fedmed.privacy.private_training import PrivateGradient, PrivateTrainer
from fedmed.privacy.rows import PatientSite
from fedmed.training.gradient import Batch, HeadBatch, pack
from fedmed.training.optimizer import Optimisation
from fedmed.training.tensors import Tensors, repeat
from tests.support.patients import SPACE, WIDTH, hospitals, mechanism
from tests.support.sites import accuracy, zero_head


def train(trainer: PrivateTrainer, sites: list[PatientSite], epochs: range) -> Tensors:
    start = repeat(zero_head(WIDTH), len(sites))
    return trainer(start, sites, epochs, Optimisation(), seed=0)


def batch(rows: torch.Tensor, labels: torch.Tensor, head: torch.Tensor) -> HeadBatch:
    count = len(rows)
    return HeadBatch(
        torch.zeros(1, dtype=torch.int64),
        head,
        rows[None],
        labels[None],
        torch.full((1, count), 1 / count, dtype=torch.float64),
        torch.ones(1, count, dtype=torch.bool),
    )


@pytest.fixture
def silent(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """No noise, and the standard deviations that were asked for."""
    asked: list[float] = []

    def none(exact: np.ndarray, scale: float) -> np.ndarray:
        asked.append(scale)
        return exact.astype(np.float64)

    monkeypatch.setattr(private_training, "add_noise", none)
    return asked


def test_no_patient_moves_the_sum_by_more_than_the_clip(silent: list[float]) -> None:
    generator = torch.Generator().manual_seed(3)
    rows = SPACE.rows(5 * torch.randn(30, WIDTH, generator=generator))
    labels = torch.randint(2, (30,), generator=generator)
    head = 20 * torch.randn(1, 2, WIDTH + 1, generator=generator).double()
    private = PrivateGradient(clip=0.5, noise=1.0, size=30)
    whole = pack(private(batch(rows, labels, head)))
    moved = []
    for left_out in range(30):
        kept = torch.arange(30) != left_out
        without = pack(private(batch(rows[kept], labels[kept], head)))
        moved.append(30 * float((whole - without).norm()))
    assert max(moved) <= 0.5 + 1e-9
    assert max(moved) > 0.49, "some patient is clipped"


def test_the_noise_of_all_steps_together_is_worth_epsilon(silent: list[float]) -> None:
    made = mechanism(epsilon=2.0, steps=6)
    train(PrivateTrainer(made, SPACE), hospitals()[:1], range(6))
    # Weights and bias, six times; each release moves by at most the clip.
    assert len(silent) == 12 and set(silent) == {made.noise}
    mu = math.sqrt(sum((made.clip / scale) ** 2 for scale in silent[::2]))
    assert epsilon_of(mu, 1e-5) == pytest.approx(2.0, rel=1e-6)


def test_without_noise_it_is_plain_gradient_descent(silent: list[float]) -> None:
    """Against autograd, where nothing is clipped."""
    site = hospitals()[2]
    made = mechanism(steps=4, clip=10.0, step=0.7)
    weight = torch.zeros(2, WIDTH + 1, dtype=torch.float64, requires_grad=True)
    rows = SPACE.rows(site.rows)
    for _ in range(4):
        loss = torch.nn.functional.cross_entropy(rows @ weight.T, site.labels)
        (gradient,) = torch.autograd.grad(loss, weight)
        weight = (weight - 0.7 * gradient).detach().requires_grad_()
    expected = SPACE.leave(weight.detach()[None])
    found = train(PrivateTrainer(made, SPACE), [site], range(4))
    assert torch.allclose(pack(found).double(), expected, atol=1e-6)


def test_the_noise_is_there_and_differs_between_hospitals() -> None:
    site = PatientSite("one", torch.zeros(10, WIDTH), torch.zeros(10, dtype=torch.int64))
    twin = PatientSite("two", site.rows, site.labels)
    made = mechanism(steps=1, step=1.0)
    found = SPACE.enter(pack(train(PrivateTrainer(made, SPACE), [site, twin], range(1))).double())
    assert not torch.equal(found[0], found[1])
    # What both classes share was left out: of two noises, half the difference is left.
    spread = found[:, 0, :].std() * 10 / made.noise
    assert 0.3 < float(spread) * math.sqrt(2) < 3


@pytest.mark.slow
def test_it_learns_in_a_federation() -> None:
    sites = hospitals()
    count = sum(len(site.labels) for site in sites)
    made = Mechanism.of(8.0, 1e-5, 20, patients=count, hospitals=5)
    state = federate(
        sites,
        algorithm=FedAvg(),
        model=zero_head(WIDTH),
        rounds=5,
        local_epochs=4,
        trainer=PrivateTrainer(made, SPACE),
        seed=1,
    )
    assert accuracy(state.model) > 0.8


def test_steps_beyond_the_budget_are_refused() -> None:
    trainer = PrivateTrainer(mechanism(steps=6), SPACE)
    train(trainer, hospitals()[:1], range(3, 6))
    with pytest.raises(UserError, match="privacy budget is spent"):
        train(trainer, hospitals()[:1], range(4, 7))


def test_an_algorithm_steps_along_what_was_released_and_nothing_else(silent: list[float]) -> None:
    """Whatever it makes of a step, noise is drawn once for each, as without it."""
    made = mechanism(steps=4, step=0.7)
    seen: list[Tensors] = []

    def along(batch: Batch) -> Tensors:
        seen.append(batch.gradient())
        assert batch.gradient() is seen[-1], "asked again, it is not drawn again"
        for otherwise in (lambda: batch.gradient(batch.weights), batch.norms):
            with pytest.raises(UserError, match="--algorithm fedavg"):
                otherwise()
        return batch.gradient()

    trainer, site = PrivateTrainer(made, SPACE), hospitals()[2]
    told = trainer.optimisation(Optimisation())
    start = repeat(zero_head(WIDTH), 1)
    found = trainer(start, [site], range(4), told, seed=0, gradient=along)
    assert len(seen) == 4 and silent == [made.noise] * 8
    plain = trainer(start, [site], range(4), told, seed=0)
    assert torch.allclose(pack(found), pack(plain), atol=1e-6)


def privately(
    sites: list[PatientSite], algorithm: Algorithm, trainer: PrivateTrainer, rounds: int
) -> State:
    """Federate as a private run does, four steps a round."""
    return federate(
        sites,
        algorithm=trainer.fit(algorithm),
        model=zero_head(WIDTH),
        rounds=rounds,
        local_epochs=4,
        optimisation=trainer.optimisation(Optimisation()),
        trainer=trainer,
        seed=1,
    )


@pytest.mark.slow
@pytest.mark.parametrize("name", [n for n in PRIVATE if n != "class-means"])
def test_every_algorithm_that_may_be_private_learns_so(name: str) -> None:
    sites = hospitals()
    count = sum(len(site.labels) for site in sites)
    made = Mechanism.of(8.0, 1e-5, 20, patients=count, hospitals=5)
    trainer = PrivateTrainer(made, SPACE)
    state = privately(sites, ALGORITHMS[name](), trainer, rounds=5)
    # At 20 seeds from 0.81 (Krum, which keeps the noise of one hospital) to 0.92; untrained 0.5.
    assert accuracy(state.model) > 0.7


def test_private_scaffold_corrects_by_what_was_released(silent: list[float]) -> None:
    """Without noise, the control variates are the hospitals' mean steps, and their mean is kept."""
    sites = hospitals()
    made = Mechanism.of(8.0, 1e-5, 20, patients=500, hospitals=5)
    trainer = PrivateTrainer(made, SPACE)
    state = privately(sites, Scaffold(), trainer, rounds=1)
    # In the first round nothing is corrected: FedAvg's path, of which the mean step is a quarter.
    plain = trainer(repeat(zero_head(WIDTH), 5), sites, range(4), Optimisation(), seed=1)
    for key, tensor in plain.items():
        assert torch.allclose(state.own[f"control/{key}"], -tensor / (4 * made.step), atol=1e-5)


def test_a_feature_that_is_no_number_is_refused() -> None:
    site = hospitals()[0]
    site.rows[3, 2] = torch.nan
    with pytest.raises(UserError, match="hospital_1: a feature is NaN"):
        train(PrivateTrainer(mechanism(), SPACE), [site], range(1))


def resumed(path: Path, rounds: int, state: State | None, outbox: bool) -> State:
    """Three rounds of two steps, or as many as there are up to `rounds`."""
    box = Outbox(path / "sent.safetensors") if outbox else None
    return federate(
        hospitals(),
        algorithm=FedAvg(),
        model=zero_head(WIDTH),
        rounds=rounds,
        local_epochs=2,
        trainer=PrivateTrainer(mechanism(), SPACE, box),
        seed=1,
        state=state,
    )


def test_a_round_is_sent_again_and_not_made_again(tmp_path: Path) -> None:
    """Killed after a round was sent and before it was kept, it goes on with the same bits."""
    before = resumed(tmp_path, 2, None, True)
    third = resumed(tmp_path, 3, before, True)
    again = resumed(tmp_path, 3, before, True)
    assert torch.equal(third.model["weight"], again.model["weight"])
    anew = resumed(tmp_path, 3, before, False)
    assert not torch.equal(third.model["weight"], anew.model["weight"]), "noise has no seed"


@pytest.mark.parametrize("epsilon", [0.5, 3.0, 100.0])
@pytest.mark.parametrize("steps", [1, 60])
def test_steps_follow_from_what_is_public(epsilon: float, steps: int) -> None:
    made = Mechanism.of(epsilon, 1e-5, steps, patients=2000, hospitals=5)
    assert 0 < made.step <= MOST_STEP and made.clip == CLIP
    more = Mechanism.of(epsilon, 1e-5, steps, patients=4000, hospitals=5)
    assert more.step >= made.step
    assert epsilon_of(math.sqrt(steps) / made.noise_multiplier, 1e-5) == pytest.approx(epsilon)
