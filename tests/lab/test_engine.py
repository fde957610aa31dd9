from __future__ import annotations

import numpy as np
import pytest
import torch

from fedmed.federated.algorithms.fedavg import FedAvg
from fedmed.federated.rounds import federate
from fedmed.lab.cohort import LabCohort, deal, mixes
from fedmed.lab.engine import Lab
from fedmed.lab.settings import LabSettings
from fedmed.training.heads import Heads, new_heads, probabilities
from fedmed.training.optimizer import Optimisation
from fedmed.training.tensors import pick
from tests.support.lab import WIDTH, small_lab

SHORT = {"rounds": 3, "local_epochs": 2}


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    return Lab(LabCohort(small_lab(tmp_path_factory.mktemp("lab"))))


def run(lab, **given):
    *rounds, last = lab.run(LabSettings.of(SHORT | given))
    return rounds, last["summary"]


def test_a_run_is_the_projects_own_federation(lab):
    """The same hospitals through `federate` give the same scores, to the last digit."""
    rounds, summary = run(lab)
    cohort = lab.cohort
    parts = deal(cohort.stored.training, LabSettings())
    sites = [cohort.site(f"hospital_{n}", part) for n, part in enumerate(parts, 1)]
    normal, pneumonia = np.bincount(cohort.stored.training.labels).tolist()
    total = normal + pneumonia
    state = federate(
        sites,
        algorithm=FedAvg(),
        model=pick(new_heads(1, WIDTH).tensors(), 0),
        rounds=3,
        local_epochs=2,
        optimisation=Optimisation(class_weights=(total / (2 * normal), total / (2 * pneumonia))),
        seed=42,
    )
    wanted = cohort.scores(Heads.of(state.models))
    assert [event["models"]["federated"] for event in rounds] == wanted
    assert [event["bytes_up"] for event in rounds] == state.ledger.up
    assert [event["bytes_down"] for event in rounds] == state.ledger.down
    assert summary["federated"] == wanted[-1]
    assert summary["bytes"] == sum(state.ledger.messages)


def test_the_same_settings_give_the_same_digits_and_another_seed_others(lab):
    first, again, other = (run(lab, seed=seed)[0] for seed in (1, 1, 2))
    models = [
        [event["models"]["federated"] for event in events] for events in (first, again, other)
    ]
    assert models[0] == models[1] != models[2]


def test_scores_are_of_the_models_that_come_back(lab):
    *_, last = lab.run(LabSettings.of(SHORT))
    flat = torch.tensor(last["trained"]["heads"])
    assert flat.shape == (2 + 5, 2 * WIDTH + 2)
    heads = Heads(flat[:, :-2].reshape(-1, 2, WIDTH), flat[:, -2:])
    scores = lab.cohort.scores(heads)
    summary = last["summary"]
    assert scores[0] == summary["central"]
    assert scores[1] == summary["federated"]
    assert scores[2:] == list(summary["alone"].values())
    found = probabilities(heads, lab.cohort.stored.features).numpy()[1]
    truth = lab.cohort.truth
    by_hand = ((found[truth == 1] >= 0.5).mean() + (found[truth == 0] < 0.5).mean()) / 2
    assert summary["federated"]["balanced_accuracy"] == pytest.approx(by_hand)


@pytest.mark.slow
def test_the_optimum_is_beyond_a_short_run_and_newton_reaches_it(lab):
    _, summary = run(lab, algorithm="newton", rounds=12)
    assert summary["federated"] == pytest.approx(summary["optimum"], abs=0.02)


def test_an_off_hospital_gets_and_sends_nothing_and_a_late_one_answers_every_other_round(lab):
    rounds, summary = run(lab, off=[2], late=[3])
    for number, event in enumerate(rounds, 1):
        assert "hospital_2" not in event["bytes_down"] and "hospital_2" not in event["bytes_up"]
        assert "hospital_3" in event["bytes_down"]
        assert ("hospital_3" in event["bytes_up"]) == (number % 2 == 1)
    assert "hospital_2" in summary["alone"]


@pytest.mark.slow
def test_poison_pulls_the_average_down_and_the_median_less(lab):
    plain, average, median = (
        run(lab, partition="iid", **given)[1]["federated"]["auc"]
        for given in (
            {},
            {"poison": "scale:-30", "poisoned": 1},
            {"poison": "scale:-30", "poisoned": 1, "algorithm": "median"},
        )
    )
    assert average < median - 0.1 and plain - median < 0.2


def test_privacy_is_spent_round_by_round(lab):
    rounds, summary = run(lab, epsilon=3)
    spent = [event["epsilon"] for event in rounds]
    assert spent == sorted(spent) and spent[0] < 2
    assert spent[-1] == pytest.approx(3, abs=1e-6)
    assert summary["privacy"]["unit"] == "patient"


@pytest.mark.slow
def test_members_are_told_apart_only_by_a_model_that_remembers_them(lab):
    _, short = run(lab, attack=True, rounds=1, local_epochs=1)
    _, long = run(lab, attack=True, rounds=6, local_epochs=30)
    assert long["attack"]["auc"] > short["attack"]["auc"] + 0.02
    assert short["attack"]["members"] == 120 and short["attack"]["others"] == 60


def test_more_skew_deals_more_apart_and_everybody_once(lab):
    whose = lab.cohort.stored.training
    apart = []
    for skew in (1, 16, 256):
        dealt = mixes(whose, deal(whose, LabSettings(skew=skew)))
        assert sum(sum(mix.values()) for mix in dealt) == 120
        shares = [mix["PNEUMONIA"] / sum(mix.values()) for mix in dealt]
        apart.append(max(shares) - min(shares))
    assert apart[0] < 0.1 < apart[1] < apart[2]
