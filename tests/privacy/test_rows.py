"""One row a patient, no longer than 1, and heads that mean the same in both spaces."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from fedmed.imaging.augmentation import CLEAN, View
from fedmed.privacy.rows import Space, patient_sites
from fedmed.training.gradient import pack
from tests.support.patients import SPACE, WIDTH


class Kept:
    """Features of five images, in two views."""

    labels = torch.tensor([0, 1, 1, 0, 1])

    def view(self, view: View) -> torch.Tensor:
        images = torch.arange(5.0)[:, None].repeat(1, 3)
        return images if view == CLEAN else images + 10


def test_a_patient_is_one_row_however_many_images() -> None:
    names = ["a", "b", "b", "c", "c"]
    views = [CLEAN, View("degraded")]
    parts = [np.array([2, 1]), np.array([0, 4, 3])]
    first, second = patient_sites(Kept(), names, parts, views)  # type: ignore[arg-type]
    assert (first.name, second.name) == ("hospital_1", "hospital_2")
    assert first.rows.tolist() == [[6.5] * 3]  # of images 1 and 2, as they are and plus 10
    assert first.labels.tolist() == [1]
    assert second.rows.tolist() == [[5.0] * 3, [8.5] * 3]
    assert second.labels.tolist() == [0, 1], "of a NORMAL and a PNEUMONIA image: PNEUMONIA"
    assert torch.equal(second.epoch(7), second.rows)


@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e6])
def test_no_row_is_longer_than_1(scale: float) -> None:
    features = scale * torch.randn(200, WIDTH, generator=torch.Generator().manual_seed(0))
    rows = SPACE.rows(features)
    assert rows.shape == (200, WIDTH + 1)
    assert float(rows.norm(dim=1).max()) <= 1 + 1e-12


def test_a_head_says_of_a_short_row_what_it_says_of_the_features() -> None:
    space = Space(torch.randn(4, generator=torch.Generator().manual_seed(1)).double(), 100.0)
    generator = torch.Generator().manual_seed(2)
    head = {
        "weight": torch.randn(1, 2, 4, generator=generator).double(),
        "bias": torch.randn(1, 2, generator=generator).double(),
    }
    features = torch.randn(6, 4, generator=generator)
    inside = space.enter(pack(head))[0] @ space.rows(features).T
    outside = (features.double() @ head["weight"][0].T + head["bias"][0]).T
    assert torch.allclose(inside, outside, atol=1e-9)
    assert torch.allclose(space.leave(space.enter(pack(head))), pack(head), atol=1e-9)
