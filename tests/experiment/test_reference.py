"""What a snapshot keeps to warn about other pictures is made of what the cache holds."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from fedmed import simulation
from fedmed.data import films
from fedmed.experiment import reference
from fedmed.features.cache import FeatureCache
from fedmed.inference import out_of_distribution, views
from tests.support import toy_films
from tests.support.snapshots import random_backbone


def written(folder: Path, cache: FeatureCache, is_simulated: bool = False) -> dict[str, bytes]:
    folder.mkdir()
    reference.write(
        folder,
        features=[toy_films.features(20, 1)],
        held_out_features=toy_films.features(10, 2),
        measured=films.measure(toy_films.films(20, 1)),
        held_out_measured=films.measure(toy_films.films(10, 2)),
        cache=cache,
        backbone=random_backbone(),
        images=20,
        is_simulated=is_simulated,
    )
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FeatureCache:
    monkeypatch.setattr(reference, "MOST", 2)
    return FeatureCache(random_backbone(), tmp_path / "cache")


def test_radiographs_are_simulated_once_a_cache(
    cache: FeatureCache, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = written(tmp_path / "first", cache)
    monkeypatch.setattr(simulation, "simulate", lambda *args, **named: pytest.fail("again"))
    again = FeatureCache(random_backbone(), tmp_path / "cache")
    assert written(tmp_path / "again", again) == first
    assert set(first) == {out_of_distribution.FILE, views.FILE}


def test_simulated_radiographs_count_only_beside_real_ones(
    cache: FeatureCache, tmp_path: Path
) -> None:
    beside = written(tmp_path / "beside", cache)
    assert written(tmp_path / "alone", cache, is_simulated=True) != beside


def test_thumbnails_are_as_good_as_the_pictures() -> None:
    pictures, held_out = toy_films.films(20, 1), toy_films.films(10, 2)
    small, few = (films.thumbnails(films.measure(some)) for some in (pictures, held_out))
    features = toy_films.features(20, 1)
    whole = out_of_distribution.fit(features, features, pictures, held_out)
    found = out_of_distribution.fit(features, features, small, few)
    for name, tensor in whole.items():
        if name.endswith(("mean", "limit")):
            assert torch.allclose(found[name], tensor, rtol=1e-3, atol=1e-4), name
    assert np.array_equal(small, films.thumbnails(films.measure(pictures))), "left as they were"
