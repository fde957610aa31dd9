from __future__ import annotations

import numpy as np
import pytest

from benchmarks.outlier_images import KINDS, draw


@pytest.mark.parametrize("kind", KINDS)
def test_pictures_of_every_kind_can_be_drawn_again_and_differ(kind):
    first, again = draw(kind, 3, seed=5), draw(kind, 3, seed=5)
    assert all(np.array_equal(one, two) for one, two in zip(first, again, strict=True))
    assert all(min(picture.size) >= 32 for picture in first)
    assert not np.array_equal(np.asarray(first[0]), np.asarray(first[1]))
    assert {picture.mode for picture in first} == {"RGB" if kind == "colour photograph" else "L"}
