"""Membership inference: who was in the training set, told from a model's answers.

Two attacks on patients. The loss attack guesses those in of whose X-rays the model is surest
(S. Yeom, I. Giacomelli, M. Fredrikson, S. Jha: Privacy Risk in Machine Learning, CSF 2018,
arXiv:1709.01604). LiRA asks how sure heads of the attacker's own are, that were trained with and
without the patient (N. Carlini, S. Chien, M. Nasr, S. Song, A. Terzis, F. Tramèr: Membership
Inference Attacks From First Principles, S&P 2022, arXiv:2112.03570, Algorithm 1, with variances
shared by all patients, as they advise for few heads).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from fedmed.evaluation.bootstrap import auc_statistic, limits
from fedmed.training.heads import Heads, new_heads, stack
from fedmed.training.local_training import Site, train
from fedmed.training.optimizer import Optimisation

SHADOWS = 16
RESAMPLES = 200
FALSE_POSITIVES = 0.01


@dataclass(frozen=True, eq=False)
class Target:
    """Patients whom an attacker asks about: some in the training set, some not."""

    features: Tensor  # [n, F] of their X-rays, clean views
    labels: Tensor  # [n]
    patients: np.ndarray  # [n] whose: 0 to P - 1
    members: np.ndarray  # [P] bool


@dataclass(frozen=True, eq=False)
class _Half:
    """The X-rays of half of the patients, for one shadow head."""

    name: str
    features: Tensor
    labels: Tensor

    def epoch(self, number: int) -> Tensor:
        return self.features


def confidence(heads: Heads, target: Target) -> np.ndarray:
    """Return how sure each of H heads is of each patient's true class: log odds, [H, P].

    Of several X-rays of a patient, the mean.
    """
    weight = (heads.weight[:, 1] - heads.weight[:, 0]).double()
    bias = (heads.bias[:, 1] - heads.bias[:, 0]).double()
    odds = (weight @ target.features.double().T + bias[:, None]) * (2 * target.labels - 1)
    summed = np.zeros((len(weight), len(target.members)))
    np.add.at(summed.T, target.patients, odds.numpy().T)
    return summed / np.bincount(target.patients, minlength=len(target.members))


def shadows(
    target: Target, epochs: int, optimisation: Optimisation, *, seed: int
) -> tuple[Heads, np.ndarray]:
    """Train SHADOWS heads, each on a random half of the patients; all together.

    Returns the heads, and whom each was trained on: bool [S, P]. Every patient is in half of them.
    """
    generator = np.random.default_rng(seed)
    ranks = generator.random((SHADOWS, len(target.members))).argsort(0)
    inside = ranks < SHADOWS // 2
    sites: list[Site] = []
    for number, half in enumerate(inside):
        chosen = torch.from_numpy(np.flatnonzero(half[target.patients]))
        sites.append(_Half(f"shadow {number}", target.features[chosen], target.labels[chosen]))
    zero = new_heads(1, target.features.shape[1])
    return train(stack([zero] * SHADOWS), sites, range(epochs), optimisation, seed=seed), inside


def lira(asked: np.ndarray, shadow: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """Return how much likelier each confidence [H, P] is with the patient than without: [H, P].

    `shadow` [S, P] are the shadow heads' confidences, `inside` whom each was trained on.
    """
    score = np.zeros_like(asked)
    for chosen, sign in ((inside, 1), (~inside, -1)):
        count = chosen.sum(0)
        mean = np.where(chosen, shadow, 0).sum(0) / count
        spread = np.where(chosen, shadow - mean, 0)
        variance = (spread**2).sum() / max(1, (count - 1).sum()) + 1e-12
        score += sign * (-((asked - mean) ** 2) / (2 * variance) - np.log(variance) / 2)
    return score


def strength(scores: np.ndarray, members: np.ndarray, *, seed: int = 0) -> dict[str, Any]:
    """Return an attack's AUC, and its true positives at 1 % false ones, as INTERVALs.

    `scores` [P] are higher for those guessed in. Intervals are 95 %, from patients drawn again.
    """
    generator = np.random.default_rng(seed)
    count = len(scores)
    weights = np.stack(
        [
            np.bincount(generator.integers(count, size=count), minlength=count)
            for _ in range(RESAMPLES)
        ]
    ).astype(float)
    area = auc_statistic(scores[None], members.astype(int))
    once = np.ones((1, count))
    return {
        "auc": _interval(float(area(once)[0, 0]), area(weights)[:, 0]),
        "true_positives": _interval(
            _found(scores, members, once[0]),
            np.array([_found(scores, members, row) for row in weights]),
        ),
    }


def attack(
    heads: Heads, names: Sequence[str], target: Target, shadow: Heads, inside: np.ndarray
) -> dict[str, Any]:
    """Return both attacks' strength on each of H heads, by name."""
    found = attack_by_loss(heads, names, target)
    likely = lira(confidence(heads, target), confidence(shadow, target), inside)
    likely = within_class(likely, target)
    for h, name in enumerate(names):
        found[name]["lira"] = strength(likely[h], target.members)
    return found


def attack_by_loss(heads: Heads, names: Sequence[str], target: Target) -> dict[str, Any]:
    """Return the loss attack's strength on each of H heads, by name."""
    asked = within_class(confidence(heads, target), target)
    return {
        name: {
            "members": int(target.members.sum()),
            "others": int((~target.members).sum()),
            "loss": strength(asked[h], target.members),
        }
        for h, name in enumerate(names)
    }


def within_class(scores: np.ndarray, target: Target) -> np.ndarray:
    """Scores [H, P] in standard deviations from the mean of the others of the patient's class.

    Members may be of another mix of classes than the others, and a model surer of one class: that
    tells classes apart, not members.
    """
    kind = np.zeros(len(target.members), dtype=np.int64)
    kind[target.patients] = target.labels.numpy()
    standard = np.zeros_like(scores)
    for label in np.unique(kind):
        among = kind == label
        others = scores[:, among & ~target.members]
        if others.shape[1] < 2:  # nothing to tell members of this class by
            continue
        spread = others.std(1, keepdims=True) + 1e-12
        standard[:, among] = (scores[:, among] - others.mean(1, keepdims=True)) / spread
    return standard


def _found(scores: np.ndarray, members: np.ndarray, weights: np.ndarray) -> float:
    """The weighted share of members above the cut that 1 % of the others are above, at most."""
    others = np.flatnonzero(~members)
    order = others[np.argsort(-scores[others], kind="stable")]
    allowed = np.cumsum(weights[order]) <= FALSE_POSITIVES * weights[order].sum()
    cut = scores[order[allowed.sum()]] if not allowed.all() else -np.inf
    inside = weights[members].sum()
    return float((weights[members] * (scores[members] > cut)).sum() / inside) if inside else 0.0


def _interval(value: float, drawn: np.ndarray) -> dict[str, float]:
    low, high = limits(drawn[:, None])[:, 0]
    return {"value": value, "low": float(low), "high": float(high)}
