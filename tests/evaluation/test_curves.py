from __future__ import annotations

import numpy as np
import pytest
from sklearn import metrics as sk

from fedmed.evaluation.curves import curves


def test_roc_is_thinned_and_keeps_its_area():
    generator = np.random.default_rng(2)
    labels = (np.arange(4000) % 2).astype(int)
    probabilities = 1 / (1 + np.exp(-generator.normal(labels, 1)))
    found = curves(probabilities, labels)["roc"]
    fpr, tpr = found["fpr"], found["tpr"]
    assert 90 < len(fpr) == len(tpr) <= 101
    assert (fpr[0], tpr[0], fpr[-1], tpr[-1]) == (0, 0, 1, 1)
    assert sk.auc(fpr, tpr) == pytest.approx(sk.roc_auc_score(labels, probabilities), abs=2e-3)


def test_calibration_averages_each_bin_and_drops_empty_ones():
    probabilities = np.array([0.02, 0.04, 0.55, 1.0])
    found = curves(probabilities, np.array([0, 1, 0, 1]))["calibration"]
    assert found["predicted"] == pytest.approx([0.03, 0.55, 1.0])
    assert found["observed"] == [0.5, 0.0, 1.0]
    assert found["count"] == [2, 1, 1]
