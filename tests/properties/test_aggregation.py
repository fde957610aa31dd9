"""FedAvg is a mean weighted by samples: nothing more, whatever the order."""

from __future__ import annotations

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from fedmed.federated.algorithms.fedavg import FedAvg
from fedmed.training.heads import Heads

SAMPLES = st.lists(st.integers(1, 10_000), min_size=1, max_size=8)
NUMBERS = st.floats(-100, 100, width=32)


@st.composite
def rounds(draw: st.DrawFn) -> tuple[Heads, torch.Tensor]:
    """Updates of some hospitals and their numbers of samples."""
    samples = draw(SAMPLES)
    seed = draw(st.integers(0, 2**16))
    generator = torch.Generator().manual_seed(seed)
    bias = draw(arrays.arrays(np.float32, (len(samples), 2), elements=NUMBERS))
    weight = torch.randn(len(samples), 2, 512, generator=generator)
    return Heads(weight, torch.from_numpy(bias)), torch.tensor(samples)


@given(rounds())
def test_it_is_the_weighted_mean(drawn) -> None:
    updates, samples = drawn
    found = FedAvg().aggregate(updates, samples)
    for part, whole in zip(updates, found, strict=True):
        expected = np.average(part.double().numpy(), axis=0, weights=samples.numpy())
        assert np.allclose(whole[0].numpy(), expected, rtol=1e-5, atol=1e-4)
        assert whole.shape == (1, *part.shape[1:]) and whole.dtype == torch.float32


@given(rounds(), st.randoms(use_true_random=False))
def test_the_order_of_the_hospitals_does_not_matter(drawn, shuffler) -> None:
    updates, samples = drawn
    order = list(range(len(samples)))
    shuffler.shuffle(order)
    one = FedAvg().aggregate(updates, samples)
    other = FedAvg().aggregate(Heads(updates.weight[order], updates.bias[order]), samples[order])
    assert torch.allclose(one.weight, other.weight, atol=1e-4)
    assert torch.allclose(one.bias, other.bias, atol=1e-3)


@given(rounds())
def test_equal_updates_are_their_own_mean(drawn) -> None:
    updates, samples = drawn
    count = len(samples)
    same = Heads(updates.weight[:1].repeat(count, 1, 1), updates.bias[:1].repeat(count, 1))
    found = FedAvg().aggregate(same, samples)
    assert torch.allclose(found.weight[0], updates.weight[0], rtol=1e-5, atol=1e-5)
    assert torch.allclose(found.bias[0], updates.bias[0], rtol=1e-5, atol=1e-5)


@given(rounds(), st.integers(1, 50))
def test_only_the_ratio_of_the_samples_counts(drawn, factor: int) -> None:
    updates, samples = drawn
    one, other = (FedAvg().aggregate(updates, n) for n in (samples, samples * factor))
    assert torch.allclose(one.weight, other.weight, atol=1e-5)
    assert torch.allclose(one.bias, other.bias, atol=1e-4)
