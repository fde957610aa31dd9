from __future__ import annotations

import pytest

from fedmed.lab.settings import LabSettings
from fedmed.lab.told import told


def summary(gains, *, federated=0.9, optimum=0.95, **more):
    settings = LabSettings.of(more.pop("settings", {})).as_json()
    return {
        "settings": settings,
        "rounds": more.pop("rounds", 20),
        "gains": {f"hospital_{n}": gain for n, gain in enumerate(gains, 1)},
        "federated": {"balanced_accuracy": federated},
        "optimum": {"balanced_accuracy": optimum},
        "central": {"balanced_accuracy": more.pop("central", 0.9)},
        **more,
    }


POISON = {"poison": "sign-flip", "poisoned": 1}


@pytest.mark.parametrize(
    ("case", "words"),
    [
        (summary([0.09, -0.02]), "lifted one hospital, hospital 1 most, by 9 points and cost one"),
        (summary([0.09, 0.02]), "Joining lifted 2 of 2 hospitals, hospital 1 most, by 9 points."),
        (summary([-0.09, -0.02]), "Joining cost 2 of 2 hospitals, hospital 1 most, 9 points."),
        (summary([0.004, -0.004]), "made no difference that shows"),
        (summary([0.1]), "The exact optimum, 95.0 %, is 5 points above what these 20 rounds"),
        (summary([0.1], federated=0.96), "comes as far as the exact optimum, 95.0 %"),
        (summary([0.1], rounds=1), "above what its one round reached"),
        (summary([-0.4] * 5, federated=0.5, settings=POISON), "spoiled it for all"),
        (summary([-0.1] * 5, federated=0.8, settings=POISON), "4 of 4 honest hospitals would do"),
        (summary([0.1] * 5, settings=POISON), "and holds: 4 of 4 honest hospitals lose nothing"),
        (summary([0.1], privacy={"epsilon": 1.0}), "epsilon of 1, at no cost that shows"),
        (summary([0.1], central=0.96, privacy={"epsilon": 1.0}), "6 points below central"),
        (summary([0.1], attack={"auc": 0.51}), "hardly better than a coin: AUC 0.51"),
        (summary([0.1], attack={"auc": 0.71}), "gives them away better than a coin: AUC 0.71"),
    ],
)
def test_what_is_told_can_come_out_either_way(case, words):
    assert words in told(case)
