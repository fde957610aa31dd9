"""Which X-rays an epoch draws: each once, or both classes equally often."""

from __future__ import annotations

import pytest
import torch

from fedmed.training.draws import all_once, classes_equally

KEY = {"seed": 1, "site": "hospital_1", "epoch": 0}


def labels(normal: int, pneumonia: int) -> torch.Tensor:
    return torch.tensor([0] * normal + [1] * pneumonia)


@pytest.mark.parametrize(("normal", "pneumonia"), [(3, 40), (40, 3), (20, 21), (1, 1), (1, 90)])
def test_both_classes_are_drawn_as_often(normal: int, pneumonia: int) -> None:
    given = labels(normal, pneumonia)
    rows, repeats = classes_equally(given, **KEY)
    assert len(rows) == len(repeats) == len(given)
    counts = torch.bincount(given[rows], minlength=2)
    assert abs(int(counts[0] - counts[1])) <= 1
    # Nobody a second time before all of the class were drawn, and each time it is told apart.
    for label in (0, 1):
        drawn = torch.bincount(rows[given[rows] == label], minlength=len(given))[given == label]
        assert int(drawn.max() - drawn.min()) <= 1
    assert len(set(zip(rows.tolist(), repeats.tolist(), strict=True))) == len(rows)


def test_one_class_alone_is_drawn_once_each() -> None:
    for given in (labels(7, 0), labels(0, 7), labels(0, 0)):
        rows, repeats = classes_equally(given, **KEY)
        assert sorted(rows.tolist()) == list(range(len(given))) and not repeats.any()


@pytest.mark.parametrize("draw", [all_once, classes_equally])
def test_what_is_drawn_hangs_on_seed_site_and_epoch(draw) -> None:
    given = labels(9, 30)
    first = draw(given, **KEY)
    assert torch.equal(draw(given, **KEY).rows, first.rows)
    for other in ({"seed": 2}, {"site": "hospital_2"}, {"epoch": 1}):
        assert not torch.equal(draw(given, **KEY | other).rows, first.rows)


def test_the_classes_come_mixed() -> None:
    given = labels(10, 90)
    first = given[classes_equally(given, **KEY).rows[:50]]
    assert 10 < int(first.sum()) < 40


def test_otherwise_each_is_drawn_once() -> None:
    rows, repeats = all_once(labels(4, 9), **KEY)
    assert sorted(rows.tolist()) == list(range(13)) and not repeats.any()
