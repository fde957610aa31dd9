"""A network trained on pixels: which tensors move, by what loss, and what the hook sees."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from fedmed.errors import UserError
from fedmed.federated.algorithms.fedprox import FedProx
from fedmed.imaging.augmentation import render
from fedmed.imaging.preprocessing import to_input
from fedmed.training import network as module
from fedmed.training.gradient import Batch
from fedmed.training.network import (
    Classifier,
    ImageSite,
    NetworkBatch,
    batches,
    norm_names,
    train_network,
)
from fedmed.training.tensors import Tensors
from tests.support.image_sites import (
    OPTIMISATION,
    REGIME,
    apart,
    equal,
    greys,
    image_sites,
    random_network,
)


@pytest.fixture
def site(tmp_path: Path) -> ImageSite:
    return image_sites(tmp_path, [10])[0]


@pytest.fixture(scope="module")
def start() -> Tensors:
    return random_network()


def trained(start: Tensors, site: ImageSite, epochs: int = 1, **more: object) -> Tensors:
    options = {"regime": REGIME, "seed": 1} | more
    return train_network(start, site, range(epochs), OPTIMISATION, **options)  # type: ignore[arg-type]


def test_every_tensor_of_the_network_moves_and_twice_to_the_same_bits(start, site) -> None:
    before = {name: tensor.clone() for name, tensor in start.items()}
    once = trained(start, site)
    assert equal(start, before), "the start is left as it was"
    assert once.keys() == start.keys() and len(once) == 102
    assert [name for name in once if torch.equal(once[name], start[name])] == []
    assert all(tensor.dtype == torch.float32 for tensor in once.values())
    assert equal(once, trained(start, site))
    assert not equal(once, trained(start, site, seed=2))


def test_it_learns_what_it_is_shown(start, site) -> None:
    """By its own normalisation of the batch: its statistics have seen too few."""
    network = trained(start, site, 12, regime=replace(REGIME, total_epochs=12, view="flip-rotate"))
    model = Classifier().train()
    model.load_state_dict(network, strict=False)
    called = model(to_input(greys(site))).argmax(1)
    assert (called == site.labels).float().mean() >= 0.9


def test_the_names_of_normalisation_are_those_of_twenty_layers(start) -> None:
    names = norm_names()
    assert len(names) == 80 and names <= set(start)
    assert {"bn1.running_var", "layer2.0.downsample.1.weight"} <= names
    assert not {"fc.bias", "conv1.weight"} & names


def test_frozen_normalisation_stays_and_all_else_moves(start, site) -> None:
    network = trained(start, site, regime=replace(REGIME, batch_norm="frozen"))
    still = {name for name in network if torch.equal(network[name], start[name])}
    assert still == norm_names()


def test_the_loss_is_torchs_with_class_weights_and_smoothed_labels(start, site) -> None:
    model = Classifier()
    model.load_state_dict(start, strict=False)
    torch.nn.init.normal_(model.fc.weight)
    inputs, weights = to_input(greys(site)), torch.tensor([1.7, 0.4])
    batch = NetworkBatch(model, inputs, site.labels, weights, REGIME, frozenset(start))
    logits = model(inputs)
    wanted = functional.cross_entropy(logits, site.labels, weights, label_smoothing=0.05)
    assert torch.allclose(batch.loss(), wanted)
    assert torch.allclose(batch.loss(batch.weights), wanted)
    assert torch.allclose(batch.weights.sum(), torch.tensor(1.0))
    none = torch.zeros_like(batch.weights)
    assert all(not grad.any() for grad in batch.gradient(none).values())


def test_the_rate_falls_along_a_cosine_over_the_whole_run(start, site) -> None:
    def moved(regime):
        last = train_network(start, site, range(9, 10), OPTIMISATION, regime, seed=1)
        return float((last["conv1.weight"] - start["conv1.weight"]).abs().max())

    early, late = (moved(replace(REGIME, total_epochs=total)) for total in (100, 10))
    assert late < early / 10


@pytest.mark.parametrize(
    ("count", "sizes"), [(1, [1]), (32, [32]), (33, [17, 16]), (65, [22, 22, 21]), (0, [])]
)
def test_batches_are_of_nearly_one_size(count: int, sizes: list[int]) -> None:
    cut = batches(torch.arange(count), 32)
    assert [len(part) for part in cut] == sizes
    assert torch.equal(torch.cat([torch.arange(0), *cut]), torch.arange(count))


def test_a_hospital_of_one_image_trains(start, tmp_path: Path) -> None:
    network = trained(start, image_sites(tmp_path, [1])[0])
    assert all(bool(tensor.isfinite().all()) for tensor in network.values())


def plain(batch: Batch) -> Tensors:
    return batch.gradient()


def test_the_hook_with_the_losss_own_gradient_changes_nothing_that_shows(start, site) -> None:
    hooked = trained(start, site, gradient=plain)
    # AdamW's first steps are the gradient's signs: where it is nearly nothing, rounding turns it.
    near = [
        torch.isclose(hooked[n], t, atol=1e-4).float().mean()
        for n, t in trained(start, site).items()
    ]
    assert min(near) > 0.95


def test_fedprox_holds_a_network_back(start, site) -> None:
    free, held = (
        trained(start, site, 2, gradient=FedProx(mu=mu).gradient(start)) for mu in (0.0, 1e3)
    )
    name = "layer4.1.conv2.weight"
    assert (held[name] - start[name]).norm() < (free[name] - start[name]).norm() / 2


def test_the_hook_sees_what_travels_alone_and_the_rest_is_trained_all_the_same(start, site) -> None:
    seen: list[set[str]] = []

    def looking(batch: Batch) -> Tensors:
        gradient = batch.gradient()
        seen.append(set(gradient) | set(batch.model))
        return gradient

    travels = frozenset(start) - norm_names()
    network = trained(start, site, gradient=looking, travels=travels)
    assert all(names == travels for names in seen) and len(seen) == 2
    assert apart({"w": network["bn1.weight"]}, {"w": start["bn1.weight"]}) > 0


def test_what_clips_image_by_image_is_refused_in_words(start, site) -> None:
    with pytest.raises(UserError, match="--train head"):
        trained(start, site, gradient=lambda batch: batch.gradient(batch.norms()))


def test_plain_steps_are_refused_in_words(start, site) -> None:
    plain = replace(OPTIMISATION, rule="sgd")
    with pytest.raises(UserError, match=r"AdamW.*fedavg"):
        train_network(start, site, range(1), plain, REGIME, seed=1)


def test_features_are_refused_in_words(site) -> None:
    with pytest.raises(UserError, match="fedavg, or --train head"):
        site.epoch(0)


def test_drawn_equally_classes_do_not_weigh_too_and_a_repeat_is_shown_anew(
    start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = image_sites(tmp_path, [12])[0]
    skewed = replace(site, labels=torch.tensor([0] * 2 + [1] * 10))
    seen: list[tuple[Tensor, Tensor]] = []

    class Watched(NetworkBatch):
        def __init__(self, network, inputs, labels, class_weights, *rest) -> None:
            super().__init__(network, inputs, labels, class_weights, *rest)
            seen.append((labels, class_weights))

    keys: list[str] = []

    def rendered(view, pixels, digests, device):
        keys.extend(digests)
        return render(view, pixels, digests, device)

    monkeypatch.setattr(module, "NetworkBatch", Watched)
    monkeypatch.setattr(module, "render", rendered)
    train_network(start, skewed, range(1), OPTIMISATION, replace(REGIME, balanced=True), seed=1)
    drawn = torch.cat([labels for labels, _ in seen])
    assert drawn.bincount().tolist() == [6, 6]
    assert all(weights.tolist() == [1.0, 1.0] for _, weights in seen)
    assert len(set(keys)) == 12 and sum("/" in key for key in keys) == 4
