"""Swapped validation: pairs put together by class, metrics averaged, framing found out."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from fedmed.data.cohort import Xray, labels, patients
from fedmed.data.simulated import simulated_xrays
from fedmed.evaluation.metrics import METRICS, evaluate
from fedmed.evaluation.shifted import PAIRS, SwappedValidation, wanted
from fedmed.features.cache import FeatureCache
from fedmed.features.extract import extract
from fedmed.imaging.augmentation import CLEAN, View
from fedmed.imaging.shifts import SHIFTS
from fedmed.report import sections
from fedmed.training.heads import Heads
from tests.support.snapshots import random_backbone


@pytest.fixture(scope="module")
def xrays() -> list[Xray]:
    return simulated_xrays("train", 10_000, 6)


@pytest.fixture(scope="module")
def cache(xrays: list[Xray], tmp_path_factory: pytest.TempPathFactory) -> FeatureCache:
    """With the features of every pair."""
    backbone = random_backbone()
    cache = FeatureCache(backbone, tmp_path_factory.mktemp("cache"))
    extract(wanted(xrays), backbone, cache)
    return cache


def test_every_pair_changes_something_and_names_what_there_is() -> None:
    assert len(PAIRS) == len(set(PAIRS.values())) == 9
    named = {name for pair in PAIRS.values() for name in pair if name}
    assert named == set(SHIFTS)


def test_each_class_is_passed_only_as_the_pairs_need_it(xrays: list[Xray]) -> None:
    for label, (of_class, views) in enumerate(wanted(xrays)):
        assert set(labels(of_class)) == {label} and len(of_class) == 3
        assert len(views) == len(set(views)) == (7, 5)[label]


@pytest.mark.slow
def test_an_x_ray_has_its_own_classs_shift(xrays: list[Xray], cache: FeatureCache) -> None:
    read = SwappedValidation.read(xrays, cache)
    assert read.features.shape == (9, 6, 512)
    pair = list(PAIRS).index("aspect of both")
    for row, xray in enumerate(xrays):
        shift = PAIRS["aspect of both"][xray.label]
        view = View("shifted", list(SHIFTS).index(str(shift)))
        expected = torch.from_numpy(cache.load(view, [xray.digest])[0])
        assert torch.equal(read.features[pair, row], expected)
    normal_alone = read.features[list(PAIRS).index("aspect of normal")]
    ill = [row for row, xray in enumerate(xrays) if xray.label]
    clean = torch.from_numpy(cache.load(CLEAN, [xrays[row].digest for row in ill]))
    assert torch.equal(normal_alone[ill], clean)


def leaning(count: int, own: float, shown: float) -> tuple[list[Xray], torch.Tensor]:
    """X-rays whose first feature tells the class by `own`, and a second that the pairs reverse."""
    found = simulated_xrays("train", 10_000, count)
    sign = torch.tensor(labels(found)).float() * 2 - 1
    noise = torch.randn(9, count, 512, generator=torch.Generator().manual_seed(0))
    noise[:, :, 0] += own * sign
    noise[:, :, 1] -= shown * sign
    return found, noise


def test_a_head_that_leans_on_what_is_swapped_falls() -> None:
    found, features = leaning(80, own=2.0, shown=2.0)
    weight = torch.zeros(2, 2, 512)
    weight[0, 1, 0] = weight[1, 1, 1] = 1.0
    scores = SwappedValidation(found, features).score(
        Heads(weight, torch.zeros(2, 2)), ["lungs", "framing"]
    )
    assert scores["lungs"]["auc"]["value"] > 0.95
    assert scores["framing"]["auc"]["value"] < 0.05


def test_metrics_are_means_over_the_pairs_with_an_interval_over_patients() -> None:
    found, features = leaning(60, own=0.7, shown=0.0)
    features[4] *= 0.2
    weight = torch.zeros(1, 2, 512)
    weight[0, 1, 0] = 1.0
    head = Heads(weight, torch.zeros(1, 2))
    swapped = SwappedValidation(found, features)
    entry = sections.shifted(swapped, head, ["central"])
    (scores,) = entry["models"].values()
    truth, of_whom = np.array(labels(found)), patients(found)
    alone = evaluate(swapped.probabilities(head)[0], truth, of_whom)
    for name in METRICS:
        mean = np.mean([metrics[name]["value"] for metrics in alone])
        assert scores[name]["value"] == pytest.approx(mean)
        assert scores[name]["low"] < mean < scores[name]["high"]
    widths = [metrics["auc"]["high"] - metrics["auc"]["low"] for metrics in alone]
    assert scores["auc"]["high"] - scores["auc"]["low"] < np.mean(widths), "means vary less"
    assert np.sum(scores["confusion_matrix"]) == scores["n"] == 9 * 60
    assert (entry["n"], entry["patients"]) == (60, 60)
    assert list(scores["pairs"]) == list(entry["pairs"]) == list(PAIRS)
    aucs = [pair["auc"] for pair in scores["pairs"].values()]
    assert np.mean(aucs) == pytest.approx(scores["auc"]["value"])


@pytest.mark.slow
def test_the_same_x_rays_and_heads_give_the_same(xrays: list[Xray], cache: FeatureCache) -> None:
    head = Heads(
        torch.randn(1, 2, 512, generator=torch.Generator().manual_seed(1)), torch.ones(1, 2)
    )
    first, second = (
        SwappedValidation.read(xrays, FeatureCache(random_backbone(), Path(cache.root)))
        for _ in range(2)
    )
    assert sections.shifted(first, head, ["central"]) == sections.shifted(second, head, ["central"])
