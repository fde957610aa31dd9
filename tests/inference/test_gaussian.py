from __future__ import annotations

import numpy as np
import torch

from fedmed.inference.gaussian import Gaussian


def test_with_all_axes_the_score_is_the_mahalanobis_distance() -> None:
    points = torch.randn(300, 6, generator=torch.Generator().manual_seed(4)).double()
    points = points @ torch.tensor(np.diag([3.0, 2, 1, 1, 0.5, 0.4]))
    scores = Gaussian.fit(points, axes=5).score(points)
    centred = (points - points.mean(0)).numpy()
    inverse = np.linalg.inv(centred.T @ centred / len(centred))
    expected = np.einsum("ni,ij,nj->n", centred, inverse, centred)
    assert np.allclose(scores.numpy(), expected)


def test_what_is_of_another_size_or_not_finite_does_not_fit() -> None:
    found = Gaussian(*(part.float() for part in Gaussian.fit(torch.eye(5).double(), 2)))
    assert found.fits(5) and not found.fits(4)
    assert not found._replace(mean=torch.full((5,), torch.inf)).fits(5)
    assert not found._replace(mean=found.mean.double()).fits(5)
