"""Noisy class means: one patient moves them by 1 at most, and the noise is what was promised."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from fedmed.federated.algorithms.class_means import ClassMeans
from fedmed.privacy.accountant import epsilon_of
from fedmed.privacy.mechanism import Mechanism
from fedmed.privacy.outbox import Outbox
from fedmed.privacy.private_means import PrivateClassMeans
from fedmed.privacy.rows import PatientSite
from fedmed.privacy.statement import guarantee
from fedmed.training.heads import Heads
from tests.support.federations import run
from tests.support.patients import SPACE, WIDTH, hospitals
from tests.support.sites import accuracy


def means(epsilon: float = 3.0, outbox: Outbox | None = None) -> PrivateClassMeans:
    return PrivateClassMeans(Mechanism.of_means(epsilon, 1e-5), SPACE, outbox)


def test_one_patient_moves_what_is_sent_by_one_at_most() -> None:
    (site, *_) = hospitals()
    far = torch.full((1, WIDTH), 1e3)
    for row, label in ((site.rows[:1], site.labels[:1]), (far, torch.tensor([1]))):
        more = PatientSite(site.name, torch.cat([site.rows, row]), torch.cat([site.labels, label]))
        moved = means().exact(more) - means().exact(site)
        assert 0 < float(moved.norm()) <= 1 + 1e-9
    assert float(moved.norm()) == pytest.approx(1), "a row as long as may be, and its count"


def test_the_noise_is_the_promises() -> None:
    site = hospitals()[0]
    drawn = torch.stack([means().release(site)["sums"] for _ in range(60)]) * len(site.labels)
    spread = float((drawn - means().exact(site)).std())
    mechanism = Mechanism.of_means(3.0, 1e-5)
    assert spread == pytest.approx(mechanism.noise, rel=0.1)
    # Sensitivity 1, one release: what such noise is worth, by the accountant alone.
    assert epsilon_of(1 / mechanism.noise, 1e-5) == pytest.approx(3.0, rel=1e-6)
    told = guarantee(mechanism, {"hospital_1": 50})
    assert told["steps"] == 1 and "sum of patients' rows" in told["mechanism"]


def test_it_learns_what_plain_class_means_do_where_there_is_hardly_noise() -> None:
    sites = hospitals()
    head = Heads.of(run(sites, means(epsilon=100.0), rounds=1).model)
    plain = Heads.of(run(sites, ClassMeans(), rounds=1).model)
    assert abs(accuracy(head) - accuracy(plain)) < 0.05
    lost = accuracy(Heads.of(run(sites, means(epsilon=0.01), rounds=1).model))
    assert lost < accuracy(head)


def test_noise_is_drawn_once_whatever_is_interrupted(tmp_path: Path) -> None:
    kept = means(outbox=Outbox(tmp_path / "sent.safetensors"))
    first, again = (run(hospitals(), kept, rounds=1).model["weight"] for _ in range(2))
    assert torch.equal(first, again)
    other = run(hospitals(), replace(kept, outbox=None), rounds=1).model["weight"]
    assert not torch.equal(first, other)


def test_where_noise_leaves_nobody_in_a_class_the_other_is_said() -> None:
    sums = torch.zeros(2, WIDTH + 1, dtype=torch.float64)
    sums[0, -1], sums[1, -1] = -0.2, 0.5
    head = means().solve({"sums": sums})
    assert np.argmax(head["bias"].numpy()) == 1 and not head["weight"].any()
