"""Robust aggregation: one wrong update, whatever it says, moves the middle little."""

from __future__ import annotations

import pytest
import torch

from fedmed.errors import UserError
from fedmed.federated.algorithms.fedavg import FedAvg
from fedmed.federated.algorithms.robust import Krum, Median, Robust, TrimmedMean
from tests.support.federations import apart, run
from tests.support.sites import iid

KINDS: list[Robust] = [Median(), TrimmedMean(), Krum()]
EVERY = pytest.mark.parametrize("robust", KINDS, ids=lambda kind: kind.name)


def updates(hospitals: int = 7) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(3)
    return {
        "weight": torch.randn(hospitals, 2, 5, generator=generator),
        "bias": torch.randn(hospitals, 2, generator=generator),
    }


@EVERY
def test_equal_updates_are_what_fedavg_makes_of_them(robust: Robust) -> None:
    same = {name: tensor[:1].expand(5, *tensor.shape[1:]) for name, tensor in updates().items()}
    samples = torch.full((5,), 10)
    model = {name: tensor[0] for name, tensor in updates().items()}
    server, _ = robust.init(model, samples)
    ours = robust.aggregate(server, same, samples, None)  # type: ignore[arg-type]
    mean = FedAvg().aggregate(server, same, samples, None)  # type: ignore[arg-type]
    assert apart(ours, mean) < 1e-6


@EVERY
@pytest.mark.parametrize("hospitals", [3, 5, 6, 7])
@pytest.mark.parametrize("factor", [1e6, -1e6])
def test_one_update_a_million_times_too_large_stays_without_effect(
    robust: Robust, hospitals: int, factor: float
) -> None:
    sent = updates(hospitals)
    for tensor in sent.values():
        tensor[1] *= factor
    middle = robust.middle(sent)
    others = torch.arange(hospitals) != 1
    for name, tensor in sent.items():
        assert (middle[name] >= tensor[others].min(0).values).all()
        assert (middle[name] <= tensor[others].max(0).values).all()


@EVERY
def test_the_order_of_the_hospitals_changes_nothing(robust: Robust) -> None:
    sent = updates()
    shuffled = {name: tensor[torch.tensor([3, 0, 6, 2, 5, 1, 4])] for name, tensor in sent.items()}
    assert apart(robust.middle(sent), robust.middle(shuffled)) < 1e-6


@EVERY
def test_two_hospitals_are_too_few(robust: Robust) -> None:
    with pytest.raises(UserError, match="3 hospitals at least"):
        run(iid()[:2], robust)


def test_the_median_is_that_of_each_coordinate() -> None:
    for hospitals in (5, 6):
        sent = updates(hospitals)
        expected = sent["weight"].double().quantile(0.5, 0)
        assert torch.allclose(Median().middle(sent)["weight"].double(), expected, atol=1e-6)


def test_the_trimmed_mean_leaves_out_a_fifth_at_each_end() -> None:
    sent = {"weight": torch.tensor([9.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 100.0])[:, None]}
    assert TrimmedMean().middle(sent)["weight"].tolist() == [5.5]


def test_krum_takes_one_of_the_crowd() -> None:
    sent = {"weight": torch.tensor([[0.0], [0.1], [0.25], [5.0], [-7.0]])}
    assert Krum().middle(sent)["weight"].tolist() == [pytest.approx(0.1)]


def test_what_normalisation_measured_is_nothing_krum_goes_by() -> None:
    sent = updates(7)
    chosen = Krum().middle(sent)
    measured = sent | {"bn1.running_var": 1e5 * torch.rand(7, 64)}
    middle = Krum().middle(measured)
    assert all(torch.equal(middle[name], chosen[name]) for name in chosen)
    assert any(torch.equal(middle["bn1.running_var"], one) for one in measured["bn1.running_var"])


@EVERY
def test_a_round_that_two_answer_leaves_the_model_as_it_is(robust: Robust) -> None:
    sent = updates(5)
    model = {name: tensor[0] for name, tensor in sent.items()}
    server, _ = robust.init(model, torch.full((5,), 10))
    two = {name: tensor[:2] for name, tensor in sent.items()}
    after = robust.aggregate(server, two, torch.full((2,), 10), None)  # type: ignore[arg-type]
    assert apart(after, server) == 0
    three = {name: tensor[:3] for name, tensor in sent.items()}
    after = robust.aggregate(server, three, torch.full((3,), 10), None)  # type: ignore[arg-type]
    assert apart(after, server) > 0
