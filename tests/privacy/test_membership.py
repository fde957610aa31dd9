"""Membership inference: it finds those whom a model has memorised, and nobody where it has not."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score

from fedmed.privacy.membership import (
    SHADOWS,
    Target,
    attack,
    confidence,
    lira,
    shadows,
    strength,
)
from fedmed.training.heads import Heads, new_heads
from fedmed.training.local_training import train
from fedmed.training.optimizer import Optimisation
from tests.support.sites import CloudSite

OPTIMISATION = Optimisation(learning_rate=1e-2, batch_size=16)


def drawn(width: int, each: int = 30, seed: int = 0) -> Target:
    """Patients of two X-rays each, every other one a member; labels that features do not tell."""
    generator = torch.Generator().manual_seed(seed)
    count = 2 * each
    features = torch.randn(2 * count, width, generator=generator)
    labels = torch.randint(2, (count,), generator=generator).repeat_interleave(2)
    return Target(features, labels, np.arange(count).repeat(2), np.arange(count) % 2 == 0)


def trained_on_members(target: Target, epochs: int) -> Heads:
    chosen = torch.from_numpy(target.members[target.patients])
    site = CloudSite("members", 0, 0)
    site.features, site.labels = target.features[chosen], target.labels[chosen]
    zero = new_heads(1, target.features.shape[1])
    return train(zero, [site], range(epochs), OPTIMISATION, seed=1)


def test_confidence_is_a_patients_mean_log_odds() -> None:
    target = drawn(4)
    heads = Heads(torch.randn(3, 2, 4), torch.randn(3, 2))
    found = confidence(heads, target)
    logits = target.features[6:8] @ heads.weight[1].T + heads.bias[1]
    sure = logits.softmax(1)[torch.arange(2), target.labels[6:8]]
    assert found.shape == (3, 60)
    assert found[1, 3] == pytest.approx(float((sure / (1 - sure)).log().mean()), abs=1e-4)


def test_what_is_memorised_is_found() -> None:
    target = drawn(256)
    head = trained_on_members(target, 30)
    shadow, inside = shadows(target, 30, OPTIMISATION, seed=3)
    found = attack(head, ["central"], target, shadow, inside)["central"]
    assert (found["members"], found["others"]) == (30, 30)
    for name in ("loss", "lira"):
        assert found[name]["auc"]["low"] > 0.7, name
    assert found["lira"]["true_positives"]["value"] > 0.3


def test_where_nothing_was_learned_nothing_is_found() -> None:
    target = drawn(256)
    generator = torch.Generator().manual_seed(9)
    stranger = Heads(torch.randn(1, 2, 256, generator=generator) / 50, torch.zeros(1, 2))
    shadow, inside = shadows(target, 5, OPTIMISATION, seed=3)
    found = attack(stranger, ["central"], target, shadow, inside)["central"]
    for name in ("loss", "lira"):
        assert found[name]["auc"]["low"] < 0.5 < found[name]["auc"]["high"], name


def test_another_mix_of_classes_is_no_membership() -> None:
    """A model that is surer of one class, of which there are more among the members."""
    generator = torch.Generator().manual_seed(4)
    labels = torch.tensor([1] * 180 + [0] * 20 + [1] * 20 + [0] * 180)
    features = torch.randn(400, 8, generator=generator)
    target = Target(features, labels, np.arange(400), np.arange(400) < 200)
    sure_of_ill = Heads(torch.randn(1, 2, 8, generator=generator) / 9, torch.tensor([[0.0, 2.0]]))
    shadow, inside = shadows(target, 2, OPTIMISATION, seed=3)
    found = attack(sure_of_ill, ["federated"], target, shadow, inside)["federated"]
    for name in ("loss", "lira"):
        assert found[name]["auc"]["low"] < 0.5 < found[name]["auc"]["high"], name


def test_every_patient_is_in_half_of_the_shadows() -> None:
    _, inside = shadows(drawn(4), 1, OPTIMISATION, seed=0)
    assert inside.sum(0).tolist() == [SHADOWS // 2] * 60
    assert len({row.tobytes() for row in inside}) == SHADOWS


def test_lira_is_the_ratio_of_two_gaussians() -> None:
    inside = np.array([[True], [True], [False], [False]])
    shadow = np.array([[3.0], [5.0], [0.0], [2.0]])
    found = lira(np.array([[4.0]]), shadow, inside)
    # Means 4 and 1, both variances 2: (4 - 1)^2 / (2 x 2).
    assert found[0, 0] == pytest.approx(9 / 4, rel=1e-6)


def test_strength_is_what_it_says() -> None:
    generator = np.random.default_rng(0)
    members = np.arange(400) % 2 == 0
    scores = generator.normal(size=400) + members
    found = strength(scores, members)
    assert found["auc"]["value"] == pytest.approx(roc_auc_score(members, scores))
    cut = np.sort(scores[~members])[-3]  # two of 200 are above it
    assert found["true_positives"]["value"] == pytest.approx((scores[members] > cut).mean())
    for interval in found.values():
        assert interval["low"] < interval["value"] < interval["high"]
