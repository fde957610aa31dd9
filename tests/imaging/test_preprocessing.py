"""What the network sees: torchvision's clean input, and views that do what they say."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor
from torchvision import transforms

from fedmed.imaging.augmentation import CLEAN, DEGRADE_DRAWS, View, degrade, flip_and_rotate, render
from fedmed.imaging.preprocessing import PREPROCESSING, resize, to_grey, to_input, to_pixels
from fedmed.task import IMAGENET_MEAN, IMAGENET_STD

VIEWS = [CLEAN, View("flip-rotate", 1, 7), View("degraded", 1, 7)]


def pictures(count: int) -> np.ndarray:
    """Smooth random pictures, uint8 [count, 224, 224]."""
    generator = np.random.default_rng(0)
    coarse = generator.integers(0, 256, (count, 9, 9), np.uint8)
    smooth = [Image.fromarray(c).resize((224, 224), Image.Resampling.BICUBIC) for c in coarse]
    return np.stack([np.asarray(picture) for picture in smooth])


def digests(count: int) -> list[str]:
    return [f"{number:064x}" for number in range(count)]


def spot(x: int, y: int) -> Tensor:
    """A bright square around a point, as a grey image [1, 1, 224, 224]."""
    grey = torch.zeros(1, 1, 224, 224)
    grey[..., y - 2 : y + 3, x - 2 : x + 3] = 1.0
    return grey


def centre_of(grey: Tensor) -> tuple[float, float]:
    """The centre of brightness (x, y) about the middle of the image."""
    weights = (grey / grey.sum())[0, 0]
    steps = torch.arange(224) - 111.5
    return float((weights.sum(0) * steps).sum()), float((weights.sum(1) * steps).sum())


@pytest.mark.parametrize("mode", ["L", "RGB"])
@pytest.mark.parametrize("size", [(64, 80), (224, 224), (1100, 801)])
def test_the_clean_view_is_torchvisions_resize_and_normalise(
    mode: str, size: tuple[int, int]
) -> None:
    content = np.random.default_rng(1).integers(0, 256, (size[1], size[0]), np.uint8)
    grey = Image.fromarray(content)
    image = grey.convert(mode).convert("L")
    expected = transforms.Compose(
        [
            transforms.Resize((224, 224)),
            transforms.Grayscale(3),
            transforms.ToTensor(),
            transforms.Normalize(IMAGENET_MEAN, IMAGENET_STD),
        ]
    )(image)
    ours = to_input(render(CLEAN, to_pixels(image)[None], digests(1)))
    assert ours.shape == (1, 3, 224, 224)
    torch.testing.assert_close(ours[0], expected, rtol=0, atol=1e-6)


def test_what_is_written_into_config_is_what_is_done() -> None:
    assert PREPROCESSING["size"] == [224, 224]
    assert (PREPROCESSING["mean"], PREPROCESSING["std"]) == (
        [0.485, 0.456, 0.406],
        [0.229, 0.224, 0.225],
    )


def test_half_of_the_draws_flip_and_nothing_else() -> None:
    grey = to_grey(pictures(2))
    middle = torch.tensor([[0.49, 0.5], [0.51, 0.5]])
    out = flip_and_rotate(grey, middle)
    torch.testing.assert_close(out[0], grey[0].flip(-1), rtol=0, atol=1e-4)
    torch.testing.assert_close(out[1], grey[1], rtol=0, atol=1e-4)


@pytest.mark.parametrize(("draw", "degrees"), [(0.0, -10), (0.25, -5), (0.5, 0), (1.0, 10)])
def test_the_rotation_is_the_drawn_share_of_ten_degrees(draw: float, degrees: float) -> None:
    turned = flip_and_rotate(spot(180, 112), torch.tensor([[0.9, draw]]))
    before, after = centre_of(spot(180, 112)), centre_of(turned)
    angle = math.degrees(math.atan2(after[1], after[0]) - math.atan2(before[1], before[0]))
    assert abs(angle) == pytest.approx(abs(degrees), abs=0.2)
    assert math.hypot(*after) == pytest.approx(math.hypot(*before), abs=0.5)


def test_opposite_draws_turn_opposite_ways() -> None:
    turns = [
        centre_of(flip_and_rotate(spot(180, 112), torch.tensor([[0.9, u]])))[1] for u in (0, 1)
    ]
    assert turns[0] * turns[1] < 0


def test_a_flipped_image_is_still_turned_within_ten_degrees() -> None:
    out = flip_and_rotate(spot(180, 112), torch.tensor([[0.1, 1.0]]))
    x, y = centre_of(out)
    assert x < 0
    assert abs(math.degrees(math.atan2(y, -x))) == pytest.approx(10, abs=0.5)


def test_draws_cover_flips_and_angles() -> None:
    count = 200
    marked = spot(180, 112)[0].mul(255).to(torch.uint8).numpy()
    out = render(View("flip-rotate", 0, 0), np.repeat(marked, count, axis=0), digests(count))
    centres = [centre_of(one[None]) for one in out]
    flipped = sum(x < 0 for x, _ in centres)
    angles = [math.degrees(math.atan2(y, abs(x))) for x, y in centres]
    assert 70 < flipped < 130
    assert max(map(abs, angles)) < 10.6
    assert min(angles) < -8 and max(angles) > 8


def test_degraded_images_stay_between_black_and_white() -> None:
    grey = to_grey(np.stack([np.zeros((224, 224), np.uint8), np.full((224, 224), 255, np.uint8)]))
    noise = torch.randn(grey.shape, generator=torch.Generator().manual_seed(0)) * 5
    for level in (0.0, 0.3, 0.5, 0.999):
        out = degrade(grey, torch.full((2, DEGRADE_DRAWS), level), noise)
        assert out.shape == grey.shape
        assert out.isfinite().all()
        assert out.min() >= 0 and out.max() <= 1


def still(**drawn: float) -> Tensor:
    """Draws [1, 18] that change nothing but what is named; an extent of 1 is a draw of 7/9."""
    places = {"flip": 0, "angle": 1, "width": 2, "height": 3, "across": 4, "down": 5, "noise": 10}
    neutral = {"flip": 0.9, "width": 7 / 9, "height": 7 / 9, "noise": 0.0}
    draws = torch.full((1, DEGRADE_DRAWS), 0.5)
    draws[:, 11:15] = 1.0  # no corner is covered
    for name, draw in (neutral | drawn).items():
        draws[:, places[name]] = draw
    return draws


def degraded(grey: Tensor, **drawn: float) -> Tensor:
    return degrade(grey, still(**drawn), torch.zeros_like(grey))


def test_neutral_draws_degrade_nothing() -> None:
    grey = to_grey(pictures(1))
    torch.testing.assert_close(degraded(grey), grey, rtol=0, atol=1e-3)


@pytest.mark.parametrize(("draw", "extent"), [(0.0, 0.65), (0.5, 0.875), (1.0, 1.1)])
def test_each_axis_is_cut_closer_or_shrunk_on_its_own(draw: float, extent: float) -> None:
    """An axis of which 65 % fill the image shows a point 1 / .65 times as far from the middle."""
    x, y = centre_of(spot(150, 140))
    wide, high = (
        centre_of(F.threshold(degraded(spot(150, 140), **{axis: draw}), 0.01, 0.0))
        for axis in ("width", "height")
    )
    assert wide == pytest.approx((x / extent, y), abs=0.3)
    assert high == pytest.approx((x, y / extent), abs=0.3)


def test_what_is_cut_closer_has_no_black_frame() -> None:
    """The frame, whose width the classes differ by, must not be there to be learned."""
    white = torch.ones(1, 1, 224, 224)
    closer = degraded(white, width=0.0, height=0.0, across=0.0, down=1.0, angle=0.0)
    assert closer.min() > 0.99
    framed = degraded(white, width=1.0, height=1.0)
    assert framed[..., 0, :].max() < 0.01 and framed[..., 112, 112] > 0.99


def test_most_degraded_images_are_cut_closer() -> None:
    """Four of five draws of each axis, so a frame of black is the exception."""
    white = np.full((100, 224, 224), 255, np.uint8)
    out = render(View("degraded", 0, 0), white, digests(100))
    middle = out[:, 0, 112, :]
    framed = (middle[:, 8] < 0.05) | (middle[:, -9] < 0.05)
    assert 5 < framed.sum() < 40


def test_degrading_changes_more_than_position() -> None:
    pixels = pictures(8)
    clean, out = to_grey(pixels), render(View("degraded", 0, 0), pixels, digests(8))
    assert ((out - clean).abs().mean(dim=(1, 2, 3)) > 0.02).all()


@pytest.mark.parametrize("view", VIEWS, ids=lambda view: view.kind)
def test_a_view_depends_on_the_digest_alone(view: View) -> None:
    pixels, names = pictures(7), digests(7)
    together = render(view, pixels, names)
    backwards = render(view, pixels[::-1], names[::-1])
    alone = torch.cat([render(view, pixels[i : i + 1], [names[i]]) for i in range(7)])
    assert torch.equal(together, backwards.flip(0))
    assert torch.equal(together, alone)


@pytest.mark.parametrize("view", VIEWS, ids=lambda view: view.kind)
def test_a_view_is_made_on_the_device_that_is_asked_for(view: View) -> None:
    """On `meta`, which has no values, as on a GPU, tensors of two devices do not go together."""
    out = render(view, pictures(3), digests(3), "meta")
    assert out.device.type == "meta" and out.shape == (3, 1, 224, 224)


@pytest.mark.parametrize("kind", ["flip-rotate", "degraded"])
def test_number_seed_and_digest_make_other_views(kind) -> None:  # type: ignore[no-untyped-def]
    pixels = pictures(1)

    def view(number: int, seed: int, digest: str = digests(1)[0]) -> Tensor:
        return render(View(kind, number, seed), pixels, [digest])

    first = view(0, 0)
    assert torch.equal(view(0, 0), first)
    for other in (view(1, 0), view(0, 1), view(0, 0, "f" * 64)):
        assert not torch.equal(other, first)


def test_pixels_may_be_written_to() -> None:
    assert to_pixels(Image.new("L", (224, 224))).flags.writeable


def test_made_smaller_an_image_keeps_its_mean_and_its_places() -> None:
    grey = to_grey(pictures(3))
    small = resize(grey, 128)
    assert small.shape == (3, 1, 128, 128)
    torch.testing.assert_close(small.mean((1, 2, 3)), grey.mean((1, 2, 3)), rtol=0, atol=2e-3)
    torch.testing.assert_close(resize(grey.flip(3), 128), small.flip(3))
    torch.testing.assert_close(to_input(small.clone()), resize(to_input(grey.clone()), 128))
    assert resize(grey, 224) is grey
    assert torch.equal(resize(small, 128), small)
