from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score

from fedmed.evaluation.evaluation_set import EvaluationSet
from fedmed.training.heads import Heads
from tests.support.xrays import xrays

IMAGES = 30


def heads(seed: int, count: int = 1) -> Heads:
    generator = torch.Generator().manual_seed(seed)
    return Heads(
        torch.randn(count, 2, 512, generator=generator) / 20,
        torch.randn(count, 2, generator=generator),
    )


@pytest.fixture
def held_out() -> EvaluationSet:
    images = [
        *xrays([f"IM-{number:04}-0001.jpeg" for number in range(IMAGES // 2)], 0),
        *xrays([f"person{number}_virus_1.jpeg" for number in range(IMAGES // 2)], 1),
    ]
    features = torch.randn(IMAGES, 512, generator=torch.Generator().manual_seed(0))
    return EvaluationSet("made up", images, features)


def test_a_probability_is_the_softmax_of_a_head_on_the_features(held_out):
    two = heads(1, 2)
    logits = held_out.features.double() @ two.weight[1].double().T + two.bias[1].double()
    expected = logits.softmax(1)[:, 1].numpy()
    assert held_out.probabilities(two).shape == (2, IMAGES)
    assert held_out.probabilities(two)[1] == pytest.approx(expected, abs=1e-5)


def test_every_head_is_scored_under_its_own_name(held_out):
    three = heads(2, 3)
    scores = held_out.score(three, ["a", "b", "c"])
    truth = np.repeat([0, 1], IMAGES // 2)
    for row, name in zip(held_out.probabilities(three), "abc", strict=True):
        assert scores[name]["auc"]["value"] == pytest.approx(roc_auc_score(truth, row))
        assert scores[name]["n"] == IMAGES
    with pytest.raises(ValueError):
        held_out.score(three, ["a", "b"])


def test_heads_are_compared_on_the_same_images_the_first_minus_the_second(held_out):
    first, second = heads(3), heads(4)
    compared = held_out.compare(first, second)
    values = [
        held_out.score(model, ["model"])["model"]["accuracy"]["value"] for model in (first, second)
    ]
    assert compared["models"] == ["federated", "central"]
    assert compared["accuracy_difference"]["value"] == pytest.approx(values[0] - values[1])
    assert compared["accuracy_difference"]["value"] != 0
