"""AUC and balanced accuracy of many models at once, without intervals: a round's, a yardstick's."""

from __future__ import annotations

import numpy as np

from fedmed.evaluation.bootstrap import auc_statistic


def at_a_glance(found: np.ndarray, truth: np.ndarray) -> list[tuple[float, float]]:
    """Return the AUC and the balanced accuracy, at 0.5, of each model.

    `found` [H, n] are probabilities of PNEUMONIA, `truth` [n] the classes, both of which occur.
    """
    areas = auc_statistic(found, truth)(np.ones((1, len(truth))))[0]
    called = found >= 0.5
    balanced = (called[:, truth == 1].mean(1) + 1 - called[:, truth == 0].mean(1)) / 2
    return list(zip(areas.tolist(), balanced.tolist(), strict=True))
