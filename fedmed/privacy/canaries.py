"""An audit of the promise: planted patients, and what can be told of who was planted.

T. Steinke, M. Nasr, M. Jagielski: Privacy Auditing with One (1) Training Run, NeurIPS 2023,
arXiv:2305.08846, Theorem 5.2. Half of the canaries, each by a coin of its own, are trained on; from
what was sent, some are guessed in and as many out. More right guesses than epsilon allows are
improbable; the least epsilon that is not refuted is a lower bound. A bound above the promise shows
a fault; one below it proves nothing.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from fedmed.privacy.private_training import PrivateTrainer
from fedmed.privacy.rows import PatientSite
from fedmed.training.heads import new_heads
from fedmed.training.optimizer import Optimisation

MOST_CANARIES = 500
DOUBT = 0.05  # how likely the bound is too high


def audit(trainer: PrivateTrainer, generator: np.random.Generator) -> dict[str, Any]:
    """Return the audit of one hospital of canaries alone, trained for the whole budget.

    Canaries are orthonormal, so that none hides another, as long as a row may be, and of both
    classes in turns, so that none becomes easy. Nobody's X-ray is in it. How many are guessed is
    fixed beforehand: half of them.
    """
    width = len(trainer.space.centre)
    count = min(MOST_CANARIES, width) // 4 * 4
    directions = np.linalg.qr(generator.normal(size=(width, count)))[0].T
    planted = generator.random(count) < 0.5
    sent = torch.from_numpy(directions[planted]) * trainer.space.radius + trainer.space.centre
    classes = np.arange(count) % 2
    site = PatientSite("canaries", sent, torch.from_numpy(classes[planted]))
    start = new_heads(1, width).tensors()
    steps = range(trainer.mechanism.steps)
    head = trainer(start, [site], steps, Optimisation(), seed=0)["weight"][0].double().numpy()
    scores = directions @ (head[1] - head[0]) * (2 * classes - 1)
    guesses = count // 2
    order = scores.argsort()
    right = int(planted[order[-guesses // 2 :]].sum() + (~planted[order[: guesses // 2]]).sum())
    delta = trainer.mechanism.delta
    return {
        "canaries": count,
        "guesses": guesses,
        "right": right,
        "claimed": trainer.mechanism.epsilon,
        "at_least": lower_bound(count, guesses, right, delta),
        "ceiling": lower_bound(count, guesses, guesses, delta),
        "confidence": 1 - DOUBT,
    }


def lower_bound(canaries: int, guesses: int, right: int, delta: float) -> float:
    """Return the least epsilon, at `delta`, that so many right guesses do not refute."""
    return _smallest(lambda epsilon: p_value(canaries, guesses, right, epsilon, delta) >= DOUBT)


def p_value(canaries: int, guesses: int, right: int, epsilon: float, delta: float) -> float:
    """Return how likely at most so many right guesses are, if (epsilon, delta) holds."""
    from scipy.stats import binom

    share = 1 / (1 + math.exp(-epsilon))
    likely = float(binom.sf(right - 1, guesses, share))
    # The largest mean probability of falling short of `right` by up to i guesses.
    short = np.cumsum(binom.pmf(np.arange(right - 1, -1, -1), guesses, share))
    worst = float((short / np.arange(1, right + 1)).max(initial=0.0))
    return min(1.0, likely + 2 * canaries * delta * worst)


def _smallest(holds: Callable[[float], bool], high: float = 64.0) -> float:
    """Return the least epsilon from 0 at which something begins to hold, to 1e-6."""
    low = 0.0
    if holds(low):
        return low
    while high - low > 1e-6:
        middle = (low + high) / 2
        low, high = (low, middle) if holds(middle) else (middle, high)
    return low
