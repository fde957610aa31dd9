from __future__ import annotations

import time
from dataclasses import dataclass, field

import pytest
import torch
from torch import Tensor

from fedmed.training.heads import Heads, new_heads, probabilities, stack, unstack
from fedmed.training.local_training import GROUP_IMAGES, _groups, epoch_order, image_weights, train
from fedmed.training.optimizer import Optimisation


@dataclass
class GaussianSite:
    """Two overlapping clouds, and a different small disturbance in each epoch."""

    name: str
    count: int
    pneumonia: float = 0.5
    asked: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        generator = torch.Generator().manual_seed(self.count)
        self.labels = (torch.rand(self.count, generator=generator) < self.pneumonia).long()
        centres = torch.where(self.labels == 1, 0.1, -0.1)[:, None]
        self.clean = centres + torch.randn(self.count, 512, generator=generator)

    def epoch(self, number: int) -> Tensor:
        self.asked.append(number)
        generator = torch.Generator().manual_seed(number)
        return self.clean + 0.1 * torch.randn(self.count, 512, generator=generator)


SITES = [GaussianSite(f"hospital_{i}", n) for i, n in enumerate([200, 64, 97, 1, 30], 1)]


def difference(a: Heads, b: Heads) -> float:
    return max(float((x - y).abs().max()) for x, y in zip(a, b, strict=True))


def plain_torch(site, epochs: range, settings: Optimisation, seed: int) -> Heads:
    """The loop everyone knows, over the same batches."""
    linear = torch.nn.Linear(512, 2)
    torch.nn.init.zeros_(linear.weight)
    torch.nn.init.zeros_(linear.bias)
    loss = torch.nn.CrossEntropyLoss(weight=torch.tensor(settings.class_weights))
    adam = torch.optim.Adam(
        linear.parameters(), lr=settings.learning_rate, weight_decay=settings.weight_decay
    )
    for number in epochs:
        features = site.epoch(number)
        for rows in epoch_order(seed, site.name, number, site.count).split(settings.batch_size):
            adam.zero_grad()
            loss(linear(features[rows]), site.labels[rows]).backward()
            adam.step()
    return Heads(linear.weight.detach()[None], linear.bias.detach()[None])


@pytest.mark.parametrize(
    "settings",
    [
        Optimisation(),
        Optimisation(learning_rate=1e-2, batch_size=17, class_weights=(3.0, 0.7)),
        Optimisation(weight_decay=0.1),
    ],
)
def test_five_sites_together_equal_five_plain_loops(settings):
    heads = train(new_heads(5, 512), SITES, range(2, 5), settings, seed=7)
    for site, head in zip(SITES, unstack(heads), strict=True):
        assert difference(head, plain_torch(site, range(2, 5), settings, seed=7)) < 1e-5


def test_the_first_step_is_as_long_as_torch_makes_it():
    """A bias correction in float32 would be off by 2e-8 here."""
    settings = Optimisation(batch_size=200)
    heads = train(new_heads(1, 512), SITES[:1], range(1), settings, seed=7)
    assert difference(heads, plain_torch(SITES[0], range(1), settings, seed=7)) < 2e-9


def test_the_order_differs_by_seed_site_and_epoch_and_by_nothing_else():
    orders = [epoch_order(*key, 50) for key in [(1, "a", 0), (2, "a", 0), (1, "b", 0), (1, "a", 1)]]
    assert all(sorted(order.tolist()) == list(range(50)) for order in orders)
    assert len({tuple(order.tolist()) for order in orders}) == 4
    assert torch.equal(epoch_order(1, "a", 0, 50), orders[0])


def test_a_site_trains_the_same_alone_and_in_company():
    together = unstack(train(new_heads(5, 512), SITES, range(3), Optimisation(), seed=7))
    alone = [train(new_heads(1, 512), [site], range(3), Optimisation(), seed=7) for site in SITES]
    assert all(difference(a, b) < 1e-6 for a, b in zip(together, alone, strict=True))


def test_hundreds_of_sites_of_all_sizes_train_as_each_alone():
    counts = torch.randint(1, 90, (300,), generator=torch.Generator().manual_seed(0)).tolist()
    sites = [GaussianSite(f"hospital_{i}", n) for i, n in enumerate([0, *counts], 1)]
    settings = Optimisation(batch_size=32, class_weights=(3.0, 0.7))
    together = unstack(train(new_heads(301, 512), sites, range(2), settings, seed=7))
    assert not together[0].weight.any(), "no image, no step"
    for place in range(1, 301, 23):
        alone = train(new_heads(1, 512), [sites[place]], range(2), settings, seed=7)
        assert difference(together[place], alone) < 1e-6


@pytest.mark.parametrize("size", [1, 17, 64, 1000])
def test_groups_take_every_image_once_and_pad_by_less_than_half(size):
    counts = torch.tensor([5000, 700, 64, 64, 63, 30, 16, *[3] * 500, 1, 0])
    groups = _groups(counts, size)
    taken = torch.cat([places[real] for _, places, real in groups])
    assert torch.equal(taken.sort().values, torch.arange(int(counts.sum())))
    owner = torch.arange(len(counts)).repeat_interleave(counts)
    for some, places, real in groups:
        assert (owner[places] == torch.arange(len(counts))[some][:, None]).all()
        assert real.any(0).all() and 2 * int(real.sum(1).min()) >= real.shape[1]
        assert real.shape[0] == 1 or real.numel() <= GROUP_IMAGES


def test_sites_may_each_weigh_their_own_classes_the_same():
    own = Optimisation(batch_size=17, class_weights=None)
    labels = torch.tensor([0] * 30 + [1] * 10)
    shares = image_weights(labels, own)
    assert shares[:30].sum().item() == pytest.approx(shares[30:].sum().item())
    assert shares.sum().item() == pytest.approx(40)
    site = GaussianSite("skewed", 40, 0.25)
    site.labels[:] = labels
    known = Optimisation(batch_size=17, class_weights=(40 / 60, 40 / 20))
    theirs = train(new_heads(2, 512), [site, SITES[0]], range(3), own, seed=7)
    assert (
        difference(unstack(theirs)[0], train(new_heads(1, 512), [site], range(3), known, seed=7))
        < 1e-5
    )


def test_a_site_of_one_class_still_learns_it():
    site = GaussianSite("one class", 20)
    site.labels[:] = 1
    head = train(new_heads(1, 512), [site], range(3), Optimisation(class_weights=None), seed=7)
    assert head.bias.isfinite().all() and head.bias[0, 1] > 0


def test_one_site_never_sees_the_features_of_another():
    broken = GaussianSite("broken", 10)
    broken.clean[:] = torch.nan
    heads = train(new_heads(3, 512), [broken, SITES[0], SITES[3]], range(2), Optimisation(), seed=7)
    assert heads.weight[0].isnan().any()
    assert heads.weight[1:].isfinite().all()


def test_training_continues_from_the_heads_it_is_given():
    first = train(new_heads(2, 512), SITES[:2], range(1), Optimisation(), seed=7)
    kept = first.weight.clone()
    second = train(first, SITES[:2], range(1, 2), Optimisation(), seed=7)
    assert difference(second, first) > 1e-4
    assert torch.equal(first.weight, kept)
    assert train(first, SITES[:2], range(0), Optimisation(), seed=7).weight.equal(first.weight)


def test_same_seed_same_bits_whatever_the_number_of_threads():
    threads = torch.get_num_threads()
    results = []
    for count in (1, 2):
        torch.set_num_threads(count)
        results.append(train(new_heads(5, 512), SITES, range(2), Optimisation(), seed=7))
        assert torch.get_num_threads() == count
    torch.set_num_threads(threads)
    assert difference(*results) == 0
    assert (
        difference(train(new_heads(5, 512), SITES, range(2), Optimisation(), seed=8), results[0])
        > 0
    )


def test_global_randomness_is_neither_used_nor_moved():
    torch.manual_seed(1)
    before = torch.get_rng_state()
    train(new_heads(1, 512), SITES[:1], range(2), Optimisation(), seed=7)
    assert torch.equal(torch.get_rng_state(), before)


def test_each_epoch_is_read_once():
    site = GaussianSite("hospital_1", 100)
    train(new_heads(1, 512), [site], range(4, 7), Optimisation(batch_size=8), seed=7)
    assert site.asked == [4, 5, 6]


def test_features_that_do_not_fit_the_labels_are_refused():
    site = GaussianSite("hospital_1", 100)
    site.labels = site.labels[:-1]
    with pytest.raises(ValueError, match="hospital_1"):
        train(new_heads(1, 512), [site], range(1), Optimisation(), seed=7)
    with pytest.raises(ValueError, match="2 heads for 5 sites"):
        train(new_heads(2, 512), SITES, range(1), Optimisation(), seed=7)


def test_heads_of_another_width_than_the_features_are_refused():
    with pytest.raises(ValueError, match=r"hospital_1.*\[200, 512\].*width 640"):
        train(new_heads(1, 640), SITES[:1], range(1), Optimisation(), seed=7)


@pytest.mark.parametrize("width", [1, 1024])
def test_heads_are_as_wide_as_their_features(width):
    site = GaussianSite("hospital_1", 100)
    site.epoch = lambda number: torch.randn(100, width) + site.labels[:, None]
    heads = train(new_heads(1, width), [site], range(2), Optimisation(), seed=7)
    assert heads.weight.shape == (1, 2, width) and heads.weight.any()


def test_probabilities_are_the_softmax_of_each_head():
    heads = Heads(torch.randn(3, 2, 512), torch.randn(3, 2))
    features = torch.randn(7, 512)
    found = probabilities(heads, features)
    assert found.shape == (3, 7)
    for head, row in zip(unstack(heads), found, strict=True):
        logits = features @ head.weight[0].T + head.bias[0]
        assert torch.allclose(row, logits.softmax(1)[:, 1], atol=1e-6)


def test_a_new_head_is_undecided():
    assert (probabilities(new_heads(2, 512), torch.randn(4, 512)) == 0.5).all()


def test_stack_undoes_unstack():
    heads = Heads(torch.randn(3, 2, 512), torch.randn(3, 2))
    assert difference(stack(unstack(heads)), heads) == 0


def test_five_hospitals_train_fifteen_epochs_in_seconds():
    sites = [GaussianSite(f"hospital_{i}", n) for i, n in enumerate([1750, 900, 500, 300, 250])]
    for site in sites:
        site.epoch = lambda number, view=site.clean: view
    start = time.process_time()  # other work on the machine does not count
    train(new_heads(5, 512), sites, range(15), Optimisation(), seed=7)
    assert time.process_time() - start < 10  # 0.3 s
