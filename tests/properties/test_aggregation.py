"""FedAvg is a mean weighted by samples: nothing more, whatever the order."""

from __future__ import annotations

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from fedmed.federated.algorithms.fedavg import FedAvg
from fedmed.training.tensors import Tensors, under

SAMPLES = st.lists(st.integers(1, 10_000), min_size=1, max_size=8)
NUMBERS = st.floats(-100, 100, width=32)


NOTHING = under("model", {"weight": torch.zeros(2, 512), "bias": torch.zeros(2)})


def mean(updates: Tensors, samples: torch.Tensor) -> Tensors:
    """The global model that updates make of zeros."""
    algorithm = FedAvg()
    server = algorithm.aggregate(NOTHING, updates, samples, None)  # type: ignore[arg-type]
    return algorithm.model(server)


@st.composite
def rounds(draw: st.DrawFn) -> tuple[Tensors, torch.Tensor]:
    """Updates of some hospitals and their numbers of samples."""
    samples = draw(SAMPLES)
    seed = draw(st.integers(0, 2**16))
    generator = torch.Generator().manual_seed(seed)
    bias = draw(arrays.arrays(np.float32, (len(samples), 2), elements=NUMBERS))
    weight = torch.randn(len(samples), 2, 512, generator=generator)
    return {"weight": weight, "bias": torch.from_numpy(bias)}, torch.tensor(samples)


@given(rounds())
def test_it_is_the_weighted_mean(drawn) -> None:
    updates, samples = drawn
    for name, tensor in mean(updates, samples).items():
        expected = np.average(updates[name].double().numpy(), axis=0, weights=samples.numpy())
        assert np.allclose(tensor.numpy(), expected, rtol=1e-5, atol=1e-4)
        assert tensor.shape == updates[name].shape[1:] and tensor.dtype == torch.float32


@given(rounds(), st.randoms(use_true_random=False))
def test_the_order_of_the_hospitals_does_not_matter(drawn, shuffler) -> None:
    updates, samples = drawn
    order = list(range(len(samples)))
    shuffler.shuffle(order)
    one = mean(updates, samples)
    other = mean({name: tensor[order] for name, tensor in updates.items()}, samples[order])
    assert torch.allclose(one["weight"], other["weight"], atol=1e-4)
    assert torch.allclose(one["bias"], other["bias"], atol=1e-3)


@given(rounds())
def test_equal_updates_are_their_own_mean(drawn) -> None:
    updates, samples = drawn
    first = {name: tensor[0] for name, tensor in updates.items()}
    same = {name: tensor.expand(len(samples), *tensor.shape) for name, tensor in first.items()}
    for name, tensor in mean(same, samples).items():
        assert torch.allclose(tensor, first[name], rtol=1e-5, atol=1e-5)


@given(rounds(), st.integers(1, 50))
def test_only_the_ratio_of_the_samples_counts(drawn, factor: int) -> None:
    updates, samples = drawn
    one, other = (mean(updates, n) for n in (samples, samples * factor))
    assert torch.allclose(one["weight"], other["weight"], atol=1e-5)
    assert torch.allclose(one["bias"], other["bias"], atol=1e-4)
