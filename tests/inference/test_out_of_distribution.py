from __future__ import annotations

from io import BytesIO

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file
from torch import Tensor

from fedmed.errors import UserError
from fedmed.imaging.augmentation import View, render
from fedmed.imaging.decode import colourfulness
from fedmed.imaging.preprocessing import to_grey
from fedmed.inference import out_of_distribution
from fedmed.inference.out_of_distribution import (
    IN_COLOUR,
    ONE_SHADE,
    UNLIKE,
    ReferenceStatistics,
    fit,
    warnings,
)


def films(count: int, seed: int) -> np.ndarray:
    """Toy films: two dark lungs in a bright chest, of varying width, exposure and grain."""
    generator = np.random.default_rng(seed)
    y, x = np.mgrid[-1:1:224j, -1:1:224j]
    drawn = []
    for _ in range(count):
        wide, high, contrast = generator.uniform([0.2, 0.4, 60], [0.3, 0.6, 120])
        lungs = [
            np.exp(-(((x - side) / wide) ** 4) - ((y + 0.2) / high) ** 4) for side in (-0.4, 0.4)
        ]
        film = generator.uniform(150, 200) + 25 * y - contrast * np.maximum(*lungs)
        drawn.append(film + generator.normal(0, 3, film.shape))
    return np.clip(drawn, 0, 255).astype(np.uint8)


def features(count: int, seed: int) -> Tensor:
    """Features that vary along 20 directions, and a little along all."""
    directions = torch.randn(20, 512, generator=torch.Generator().manual_seed(0))
    generator = torch.Generator().manual_seed(seed)
    points = torch.randn(count, 20, generator=generator) @ directions
    return points + 0.1 * torch.randn(count, 512, generator=generator)


@pytest.fixture(scope="module")
def statistics() -> dict[str, Tensor]:
    return fit(features(900, 1), features(400, 2), films(150, 1), films(60, 2))


@pytest.fixture(scope="module")
def typical(statistics, tmp_path_factory) -> ReferenceStatistics:
    folder = tmp_path_factory.mktemp("statistics")
    out_of_distribution.save(statistics, folder)
    return ReferenceStatistics.load(folder / out_of_distribution.FILE)


def test_with_all_axes_the_score_is_the_mahalanobis_distance():
    points = torch.randn(300, 6, generator=torch.Generator().manual_seed(4)).double()
    points = points @ torch.tensor(np.diag([3.0, 2, 1, 1, 0.5, 0.4]))
    scores = out_of_distribution._fit(points, axes=5).score(points)
    centred = (points - points.mean(0)).numpy()
    inverse = np.linalg.inv(centred.T @ centred / len(centred))
    expected = np.einsum("ni,ij,nj->n", centred, inverse, centred)
    assert np.allclose(scores.numpy(), expected)


def test_the_limits_pass_nearly_all_held_out_images(typical):
    scores = typical.score(features(400, 2), films(60, 2)[[0] * 400])
    without_margin = out_of_distribution.MARGIN * scores["features"]
    assert 0.99 <= (without_margin <= 1).double().mean() < 1
    layout = typical.score(features(60, 2), films(60, 2))["layout"]
    assert 0.97 <= (out_of_distribution.MARGIN * layout <= 1).double().mean() < 1
    assert (layout <= 1).all()


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
        return float(gaussian.score(out_of_distribution.layout(to_grey(pixels))).median())

    lenient = score()
    monkeypatch.setattr(out_of_distribution, "_degraded", lambda grey: grey)
    assert lenient < score() / 2


def test_exposure_does_not_change_the_layout():
    film = torch.rand(1, 1, 224, 224) * 0.2
    film[..., 60:160, 40:180] += 0.3
    assert torch.allclose(
        out_of_distribution.layout(film), out_of_distribution.layout(film + 0.4), atol=1e-4
    )


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


def test_warnings_say_what_is_wrong(typical):
    film, point = films(1, 3)[0], features(1, 3)[0]
    upside_down = np.ascontiguousarray(film[::-1])
    assert warnings(film, point, typical) == []
    assert warnings(film, point * 0 + 5, typical) == [UNLIKE]
    assert warnings(upside_down, point, typical) == [UNLIKE]
    assert warnings(upside_down, point, typical, colour=60) == [IN_COLOUR, UNLIKE]
    assert warnings(film // 64 + 100, point, typical) == [ONE_SHADE]


def test_without_statistics_only_the_pixels_are_judged(typical):
    film, point = films(1, 3)[0], features(1, 3)[0]
    assert warnings(film[::-1], point * 0 + 5, None) == []
    assert warnings(film, point, None, colour=60) == [IN_COLOUR]
    assert warnings(film * 0, point, None) == [ONE_SHADE]


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
    out_of_distribution.save(statistics | {"features.mean": mean}, tmp_path)
    with pytest.raises(UserError, match="of another kind"):
        ReferenceStatistics.load(tmp_path / out_of_distribution.FILE)


def encoded(image: Image.Image, kind: str) -> bytes:
    buffer = BytesIO()
    image.save(buffer, kind)
    return buffer.getvalue()


def colour_picture() -> Image.Image:
    flower = np.zeros((300, 400, 3), np.uint8)
    flower[..., 1] = 90
    flower[100:200, 100:300] = (220, 120, 30)
    return Image.fromarray(flower)


@pytest.mark.parametrize(("kind", "mode"), [("JPEG", "RGB"), ("PNG", "P"), ("PNG", "RGBA")])
def test_a_colour_picture_is_colourful(kind, mode):
    assert (
        colourfulness(encoded(colour_picture().convert(mode), kind))
        > 2 * out_of_distribution.COLOURED
    )


@pytest.mark.parametrize(
    ("kind", "mode"), [("JPEG", "L"), ("JPEG", "RGB"), ("PNG", "LA"), ("PNG", "I;16"), ("PNG", "1")]
)
def test_a_film_is_not_whatever_it_is_saved_as(kind, mode):
    film = Image.fromarray(films(1, 3)[0]).convert("L")
    film = film.convert("I").convert(mode) if mode == "I;16" else film.convert(mode)
    assert colourfulness(encoded(film, kind)) < out_of_distribution.COLOURED / 4


def test_a_coloured_marker_does_not_make_a_film_colourful():
    film = Image.fromarray(films(1, 3)[0]).convert("RGB")
    film.paste((230, 30, 30), (10, 10, 40, 30))
    assert colourfulness(encoded(film, "PNG")) < out_of_distribution.COLOURED
