from __future__ import annotations

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from fedmed.errors import UserError
from fedmed.imaging.augmentation import View, render
from fedmed.imaging.preprocessing import to_grey
from fedmed.inference import out_of_distribution
from fedmed.inference.gaussian import Gaussian
from fedmed.inference.layout import layout
from fedmed.inference.out_of_distribution import ReferenceStatistics, fit
from tests.support.toy_films import features, films


@pytest.fixture(scope="module")
def statistics() -> dict[str, Tensor]:
    return fit(features(900, 1), features(400, 2), films(150, 1), films(60, 2))


@pytest.fixture(scope="module")
def typical(statistics, tmp_path_factory) -> ReferenceStatistics:
    folder = tmp_path_factory.mktemp("statistics")
    out_of_distribution.save(statistics, folder)
    return ReferenceStatistics.load(folder / out_of_distribution.FILE)


def test_the_limits_pass_nearly_all_held_out_images(typical):
    scores = typical.score(features(400, 2), films(60, 2)[[0] * 400])
    assert 0.98 <= (scores["features"] <= 1).double().mean() < 1
    layout = typical.score(features(60, 2), films(60, 2))["layout"]
    assert (layout <= 1).all() and (layout > 0.7).any()


def test_images_of_the_same_kind_pass(typical):
    scores = typical.score(features(100, 3), films(100, 3))
    for found in scores.values():
        assert (found <= 1).double().mean() > 0.95


def test_features_in_a_direction_that_training_never_took_are_far_out(typical):
    strange = features(50, 3)
    strange[:, 7] += 3 * strange.std()
    found = typical.score(strange, films(50, 3))
    assert (found["features"] > 1).all() and (found["layout"] <= 1).double().mean() > 0.9


@pytest.mark.parametrize(
    "change",
    [
        lambda films: films[:, ::-1],
        lambda films: np.rot90(films, axes=(1, 2)),
        lambda films: 255 - films,
        lambda films: np.random.default_rng(0).integers(0, 256, films.shape).astype(np.uint8),
    ],
    ids=["upside down", "on its side", "a negative", "noise"],
)
def test_another_layout_is_far_out(typical, change):
    found = typical.score(features(40, 3), np.ascontiguousarray(change(films(40, 3))))
    assert (found["layout"] > 1).double().mean() > 0.9
    assert (found["features"] <= 1).double().mean() > 0.9


def test_films_photographed_badly_are_less_far_out_for_degraded_views_were_fitted(monkeypatch):
    views = render(View("degraded"), films(30, 3), [str(number) for number in range(30)])
    pixels = (views[:, 0] * 255).numpy().astype(np.uint8)

    def score() -> float:
        fitted = fit(features(900, 1), features(400, 2), films(150, 1), films(60, 2))
        gaussian = out_of_distribution._take(fitted, "layout")
        return float(gaussian.score(layout(to_grey(pixels))).median())

    lenient = score()
    monkeypatch.setattr(out_of_distribution, "degraded", lambda grey: grey)
    assert lenient < score() / 2


@pytest.mark.parametrize(("count", "taken"), [(0, 0), (7, 7), (1000, 1000), (1001, 501)])
def test_a_sample_is_bounded_and_spread_over_all(count, taken):
    found = out_of_distribution.sample(range(count))
    assert len(found) == taken
    assert not found or found[-1] > count - 3


def test_a_few_images_are_enough_to_fit():
    found = fit(features(12, 1), features(6, 2), films(8, 1), films(5, 2))
    assert all(torch.isfinite(tensor).all() for tensor in found.values())


def test_statistics_stay_small_in_a_snapshot(statistics):
    assert sum(tensor.numel() * 4 for tensor in statistics.values()) < 200_000


@pytest.mark.parametrize(
    "tensors", [{}, {"features.mean": torch.zeros(512)}, {"layout.axes": torch.zeros(3, 3)}]
)
def test_a_file_that_holds_something_else_is_refused(tensors, tmp_path):
    save_file(tensors, tmp_path / out_of_distribution.FILE)
    with pytest.raises(UserError, match=r"outliers\.safetensors holds no statistics"):
        ReferenceStatistics.load(tmp_path / out_of_distribution.FILE)
    (tmp_path / out_of_distribution.FILE).write_bytes(b"nothing")
    with pytest.raises(UserError, match=r"outliers\.safetensors is not a readable"):
        ReferenceStatistics.load(tmp_path / out_of_distribution.FILE)


@pytest.mark.parametrize(
    "mean",
    [
        torch.zeros(100),
        torch.full((512,), torch.nan),
        torch.zeros(512, dtype=torch.float64),
        torch.zeros(512).to(torch.float8_e4m3fn),
    ],
)
def test_statistics_of_other_features_are_refused(mean, statistics, tmp_path):
    out_of_distribution.save(statistics | {"roots.mean": mean}, tmp_path)
    with pytest.raises(UserError, match="of another kind"):
        ReferenceStatistics.load(tmp_path / out_of_distribution.FILE)


def test_the_bits_do_not_hang_on_the_number_of_cores() -> None:
    def digest(threads: int) -> list[bytes]:
        before = torch.get_num_threads()
        torch.set_num_threads(threads)
        try:
            made = fit(features(56, 1), features(8, 2), films(28, 1), films(4, 2))
        finally:
            torch.set_num_threads(before)
        return [tensor.numpy().tobytes() for tensor in made.values()]

    assert digest(1) == digest(2) == digest(4)


def test_statistics_of_features_as_they_are_still_open(statistics, tmp_path) -> None:
    """As snapshots have them that were made before roots were taken."""
    of_features = Gaussian.fit(features(900, 1).double(), 64)
    older = {name: tensor for name, tensor in statistics.items() if "layout" in name}
    older |= {f"features.{n}": t.float().contiguous() for n, t in of_features._asdict().items()}
    out_of_distribution.save(older, tmp_path)
    found = out_of_distribution.find(tmp_path)
    assert found is not None and not found.of_roots
    scores = found.score(features(4, 3), films(4, 3))["features"]
    assert torch.allclose(scores, of_features.score(features(4, 3).double()).float(), rtol=1e-3)


def test_a_snapshot_made_without_has_none(tmp_path) -> None:
    assert out_of_distribution.find(tmp_path) is None
