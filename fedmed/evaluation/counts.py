"""METRICS of a model of which only counts are known: federated evaluation.

Each hospital scores a model on patients of its own and tells four counts. Neither probabilities nor
patients are known here, so there is no AUC, and intervals are over X-rays.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from fedmed.evaluation.bootstrap import limits
from fedmed.evaluation.metrics import FIXED, METRICS, Tally

RESAMPLES = 1000


def metrics_of_counts(counts: Sequence[Sequence[int]], *, seed: int = 0) -> dict[str, Any]:
    """Return METRICS of `counts` [hospitals, 4]: TN, FP, FN, TP at each hospital, at 0.5.

    All hospitals' X-rays count the same. In a resample each hospital draws as many of its X-rays
    as it has, with replacement. A metric that is not defined, for no X-ray has its class, is left
    out. Of images of one patient, which resemble each other, intervals are too narrow.

    Raises:
        ValueError: there is no X-ray.
    """
    cells = np.asarray(counts, dtype=np.int64).reshape(-1, 4)
    cells = cells[cells.sum(axis=1) > 0]
    if not len(cells):
        raise ValueError("no X-ray was scored")
    generator = np.random.default_rng(seed)
    drawn = np.sum(
        [
            generator.multinomial(total, row / total, size=RESAMPLES)
            for row, total in zip(cells, cells.sum(axis=1), strict=True)
        ],
        axis=0,
    )
    values = _metrics(cells.sum(axis=0)[None])[0]
    found: dict[str, Any] = {}
    for place, (name, value) in enumerate(zip(METRICS, values.tolist(), strict=True)):
        if np.isfinite(value):
            low, high = limits(_metrics(drawn)[:, place]).tolist()
            found[name] = {"value": value, "low": low, "high": high}
    return found | {
        "confusion_matrix": cells.sum(axis=0).reshape(2, 2).tolist(),
        "threshold": {"value": 0.5, "rule": FIXED},
        "n": int(cells.sum()),
    }


def _metrics(cells: np.ndarray) -> np.ndarray:
    """Counts [r, 4] -> metrics [r, metrics] in the table's order; that of ranks is not a number."""
    tn, fp, fn, tp = cells.astype(float).T
    tally = Tally(tn, fp, fn, tp, np.full(len(cells), np.nan))
    return np.stack([metric.formula(tally) for metric in METRICS.values()], axis=1)
