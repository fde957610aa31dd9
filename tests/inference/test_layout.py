from __future__ import annotations

import numpy as np
import pytest
import torch

from fedmed.imaging.preprocessing import to_grey
from fedmed.inference.layout import degraded, layout, turned
from tests.support.toy_films import films


def test_exposure_does_not_change_the_layout() -> None:
    film = torch.rand(1, 1, 224, 224) * 0.2
    film[..., 60:160, 40:180] += 0.3
    assert torch.allclose(layout(film), layout(film + 0.4), atol=1e-4)


@pytest.mark.parametrize("quarters", range(4))
@pytest.mark.parametrize("mirrored", [False, True])
def test_a_layout_is_turned_as_its_picture_is(quarters: int, mirrored: bool) -> None:
    pictures = films(3, 0)
    changed = np.rot90(pictures[:, :, ::-1] if mirrored else pictures, quarters, (1, 2))
    found = turned(layout(to_grey(pictures)), quarters, mirrored)
    assert torch.allclose(found, layout(to_grey(changed.copy())), atol=1e-5)


def test_degraded_views_are_drawn_by_their_seed() -> None:
    grey = to_grey(films(3, 0))
    assert torch.equal(degraded(grey, 1), degraded(grey, 1))
    assert not torch.equal(degraded(grey, 1), degraded(grey, 2))
