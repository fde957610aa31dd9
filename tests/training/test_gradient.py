"""The hook of local training: what a gradient gets to see, and that steps follow what it says."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from fedmed.training.gradient import Batch, HeadBatch, pack, unpack
from fedmed.training.heads import Heads, new_heads
from fedmed.training.local_training import train
from fedmed.training.optimizer import Optimisation
from fedmed.training.tensors import Tensors
from tests.support.sites import CloudSite

SITES = [CloudSite(f"hospital_{i}", n, 2 * n, width=6) for i, n in enumerate([3, 9, 1], 1)]


def head_batch() -> tuple[HeadBatch, list[list[Tensors]]]:
    """Two hospitals, the second padded by an image; and each image's gradient, by autograd."""
    generator = torch.Generator().manual_seed(0)
    parameters = torch.randn(2, 2, 7, generator=generator)
    features = torch.randn(2, 4, 7, generator=generator)
    features[..., -1] = 1
    labels = torch.tensor([[0, 1, 1, 0], [1, 0, 0, 1]])
    real = torch.tensor([[True] * 4, [True] * 3 + [False]])
    weights = real / real.sum(1, keepdim=True)
    expected = []
    for a in range(2):
        row = []
        for b in range(4):
            weight = parameters[a, :, :-1].clone().requires_grad_()
            bias = parameters[a, :, -1].clone().requires_grad_()
            logits = functional.linear(features[a, b, :-1], weight, bias)
            functional.cross_entropy(logits, labels[a, b]).backward()
            row.append({"weight": weight.grad, "bias": bias.grad})
        expected.append(row)
    batch = HeadBatch(torch.tensor([4, 2]), parameters, features, labels, weights, real)
    return batch, expected  # type: ignore[return-value]


def test_norms_are_those_of_each_images_own_gradient() -> None:
    batch, expected = head_batch()
    for a, row in enumerate(expected):
        for b, gradient in enumerate(row):
            length = torch.cat([tensor.flatten() for tensor in gradient.values()]).norm()
            assert torch.allclose(batch.norms()[a, b], length, rtol=1e-5)


@pytest.mark.parametrize("weights", [None, torch.tensor([[2.0, 0.5, 0.0, 1.0], [3.0] * 4])])
def test_the_gradient_is_the_weighted_sum_of_the_images(weights: torch.Tensor | None) -> None:
    batch, expected = head_batch()
    shares = batch.weights if weights is None else weights
    for name, gradient in batch.gradient(weights).items():
        for a, images in enumerate(([0, 1, 2, 3], [0, 1, 2])):  # the last of the second pads
            found = sum(shares[a, b] * expected[a][b][name] for b in images)
            assert torch.allclose(gradient[a], found, atol=1e-6)


def test_heads_are_packed_and_unpacked() -> None:
    tensors = {"weight": torch.randn(3, 2, 5), "bias": torch.randn(3, 2)}
    assert all(torch.equal(unpack(pack(tensors))[name], tensors[name]) for name in tensors)


def trained(gradient=None, **options) -> Heads:
    optimisation = Optimisation(learning_rate=1e-2, batch_size=8, class_weights=(1.5, 0.7))
    heads = new_heads(3, 6)
    return train(heads, SITES, range(4), optimisation, seed=3, gradient=gradient)


def test_the_losss_own_gradient_given_back_changes_no_bit() -> None:
    plain, hooked = trained(), trained(lambda batch: batch.gradient())
    assert all(torch.equal(a, b) for a, b in zip(plain, hooked, strict=True))


def test_hospitals_are_told_by_their_place_in_the_sequence() -> None:
    """Whatever the order in which training takes them, of the largest first."""
    seen: list[int] = []

    def only_the_second(batch: Batch) -> Tensors:
        seen.extend(batch.hospitals.tolist())
        second = (batch.hospitals == 1).float()
        return {
            name: tensor * second.reshape(-1, *[1] * (tensor.ndim - 1))
            for name, tensor in batch.gradient().items()
        }

    heads = trained(only_the_second)
    moved = heads.weight.abs().sum((1, 2)) > 0
    assert moved.tolist() == [False, True, False]
    # 9, 27 and 3 images in batches of 8, in each of 4 epochs
    assert [seen.count(h) for h in range(3)] == [4 * 2, 4 * 4, 4 * 1]


def test_the_model_is_seen_as_it_is_before_the_step() -> None:
    starts: list[float] = []

    def watching(batch: Batch) -> Tensors:
        starts.append(float(batch.model["weight"].abs().max()))
        return batch.gradient()

    trained(watching)
    assert starts[0] == 0 and starts[-1] > 0.01


def test_clipping_is_a_weight_for_each_image() -> None:
    """No image moves the sum by more than the limit, as DP-SGD asks."""
    limit, lengths = 0.3, []

    def clipped(batch: Batch) -> Tensors:
        norms = batch.norms()
        factors = (limit / norms).clamp(max=1)
        lengths.append((float(norms.max()), float((norms * factors).max())))
        return batch.gradient(factors / 8)

    heads = trained(clipped)
    assert max(before for before, _ in lengths) > 1
    assert max(after for _, after in lengths) <= limit * 1.00001
    assert not torch.equal(heads.weight, trained().weight)
