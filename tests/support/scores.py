"""Scores that are drawn, for the tests of what is computed of them."""

from __future__ import annotations

import numpy as np


def drawn_scores(images: int = 90, seed: int = 0) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """P(PNEUMONIA) with ties, labels, and patients of one to three images."""
    generator = np.random.default_rng(seed)
    labels = (generator.random(images) < 0.6).astype(int)
    probabilities = np.round(np.clip(generator.normal(0.3 + 0.4 * labels, 0.25), 0, 1), 2)
    patients = [f"patient {number}" for number in generator.integers(images // 2, size=images)]
    return probabilities, labels, patients
