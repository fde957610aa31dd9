"""Pictures that are no upright chest radiograph, made or found without any download.

Each kind is a function of (number, random generator) that gives one picture.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from PIL import Image
from scipy.ndimage import gaussian_filter

Generator = np.random.Generator
Array = np.ndarray
SIZE = 224

# Photographs inside packages that FedMed installs anyway.
PHOTOS = {
    "sklearn": ["datasets/images/china.jpg", "datasets/images/flower.jpg"],
    "gradio": [f"media_assets/images/{name}" for name in ("cheetah1.jpg", "lion.jpg", "tower.jpg")],
}
# Slices of CT (2) and MR (2), a bone scan, ultrasound.
OTHER_MEDICAL = [
    "data/test_files/693_J2KI.dcm",
    "data/test_files/CT_small.dcm",
    "data/test_files/MR_small.dcm",
    "data/test_files/examples_overlay.dcm",
    "data/test_files/JPEG2000.dcm",
    "data/test_files/examples_jpeg2k.dcm",
]


def noise(_: int, generator: Generator) -> Image.Image:
    """Grey noise of a random mean, spread and grain, from single pixels to large blots."""
    mean, spread = generator.uniform(60, 190), generator.uniform(15, 70)
    grain = generator.standard_normal((SIZE, SIZE))
    blurred = gaussian_filter(grain, generator.choice([0, 1, 3, 8, 20]))
    return _grey(mean + spread * blurred / blurred.std())


def gradient(_: int, generator: Generator) -> Image.Image:
    """A linear or radial gradient; nothing else."""
    y, x = np.mgrid[-1 : 1 : SIZE * 1j, -1 : 1 : SIZE * 1j]
    angle = generator.uniform(0, 2 * np.pi)
    ramp = np.cos(angle) * x + np.sin(angle) * y
    if generator.random() < 0.5:
        ramp = np.hypot(x - generator.uniform(-0.5, 0.5), y - generator.uniform(-0.5, 0.5))
    low, high = generator.uniform(0, 90), generator.uniform(150, 255)
    ramp = (ramp - ramp.min()) / np.ptp(ramp)
    return _grey(low + (high - low) * ramp)


def nearly_constant(_: int, generator: Generator) -> Image.Image:
    """One level, and at most two more or less."""
    return _grey(generator.uniform(0, 255) + generator.uniform(-2, 2, (SIZE, SIZE)))


def text(_: int, generator: Generator) -> Image.Image:
    """A page: dark words of random lengths in lines on white, as in a screenshot."""
    page = np.full((SIZE * 2, SIZE * 2), generator.uniform(225, 255))
    line = int(generator.integers(10, 22))
    for top in range(20, 2 * SIZE - 30, line * 2):
        left = 20
        while left < 2 * SIZE - 90:
            width = int(generator.integers(12, 70))
            letters = generator.random((line, width)) < 0.45
            page[top : top + line, left : left + width][letters] = generator.uniform(0, 80)
            left += width + 10
    return _grey(page).resize((SIZE, SIZE), Image.Resampling.BILINEAR)


def photo(number: int, generator: Generator) -> Image.Image:
    """A random square out of a colour photograph, at least a third of its height."""
    paths = [path for package, names in PHOTOS.items() for path in _files(package, names)]
    picture = Image.open(paths[number % len(paths)]).convert("RGB")
    side = int(generator.uniform(0.33, 1.0) * min(picture.size))
    left = int(generator.integers(0, picture.width - side + 1))
    top = int(generator.integers(0, picture.height - side + 1))
    return picture.crop((left, top, left + side, top + side)).resize((SIZE, SIZE))


def grey_photo(number: int, generator: Generator) -> Image.Image:
    """The same, without its colours."""
    return photo(number, generator).convert("L")


def hand(_: int, generator: Generator) -> Image.Image:
    """A phantom of a child's hand as X-rays see it: bones in soft tissue, on black film."""
    bones, tissue = _hand_bones(generator)
    thickness = 0.5 * _capsules(tissue) + 2.0 * _capsules(bones)
    exposure = generator.uniform(1.6, 3.2)
    film = 255 * (1 - np.exp(-exposure * thickness)) + generator.normal(0, 3, (SIZE, SIZE))
    film += generator.uniform(0, 35)
    return _grey(gaussian_filter(film, generator.uniform(0, 1)))


def other_medical(number: int, generator: Generator) -> Image.Image:
    """A CT, MR, ultrasound or nuclear picture of pydicom's test files, a little cropped."""
    from fedmed.imaging.decode import decode

    paths = _files("pydicom", OTHER_MEDICAL)
    picture = decode(paths[number % len(paths)].read_bytes())
    side = [int(length * generator.uniform(0.85, 1.0)) for length in picture.size]
    left = int(generator.integers(0, picture.width - side[0] + 1))
    top = int(generator.integers(0, picture.height - side[1] + 1))
    return picture.crop((left, top, left + side[0], top + side[1]))


KINDS: dict[str, Callable[[int, Generator], Image.Image]] = {
    "noise": noise,
    "gradient": gradient,
    "nearly constant": nearly_constant,
    "page of text": text,
    "colour photograph": photo,
    "grey photograph": grey_photo,
    "hand radiograph (phantom)": hand,
    "CT, MR, ultrasound": other_medical,
}


def draw(kind: str, count: int, *, seed: int) -> list[Image.Image]:
    """`count` pictures of one kind; the same arguments give the same pictures."""
    place = list(KINDS).index(kind)
    return [
        KINDS[kind](number, np.random.default_rng([seed, place, number])) for number in range(count)
    ]


def _files(package: str, names: list[str]) -> list[Path]:
    found = find_spec(package)
    if found is None or found.origin is None:
        raise ModuleNotFoundError(f"{package} is needed for its pictures")
    return [Path(found.origin).parent / name for name in names]


def _grey(levels: Array) -> Image.Image:
    return Image.fromarray(np.clip(np.rint(levels), 0, 255).astype(np.uint8))


Capsules = list[tuple[Array, Array, float]]  # two ends, a radius; the film is 2 x 2 units


def _capsules(parts: Capsules) -> Array:
    """How much of the parts each ray crosses: [SIZE, SIZE]."""
    y, x = np.mgrid[-1 : 1 : SIZE * 1j, -1 : 1 : SIZE * 1j]
    places = np.stack([x, y], axis=-1)
    depth = np.zeros((SIZE, SIZE))
    for first, last, radius in parts:
        along = last - first
        share = np.clip(((places - first) @ along) / max(float(along @ along), 1e-9), 0, 1)
        distance = np.linalg.norm(places - first - share[..., None] * along, axis=-1)
        depth = np.maximum(depth, 2 * np.sqrt(np.clip(radius**2 - distance**2, 0, None)))
    return depth


def _hand_bones(generator: Generator) -> tuple[Capsules, Capsules]:
    """The bones of a hand, and the soft tissue around them."""
    scale, turn = generator.uniform(0.75, 1.05), generator.normal(0, 0.25)
    side = generator.choice([-1.0, 1.0])
    rotation = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    shift = generator.uniform(-0.12, 0.12, 2)

    def place(x: float, y: float) -> Array:
        return rotation @ (scale * np.array([side * x, y])) + shift

    bones: Capsules = []
    tissue: Capsules = []

    def bone(first: Array, last: Array, radius: float, around: float) -> None:
        bones.append((first, last, radius * scale))
        tissue.append((first, last, around * scale))

    lengths = {-0.30: 0.72, -0.10: 0.80, 0.10: 0.76, 0.29: 0.62}  # of the four fingers
    for start, length in lengths.items():
        angle = 0.5 * start + generator.normal(0, 0.05)
        direction = np.array([np.sin(angle), -np.cos(angle)])
        at = np.array([start * 0.6, 0.25])
        for part, radius in ((0.52, 0.045), (0.42, 0.040), (0.27, 0.033), (0.17, 0.026)):
            end = at + direction * part * length
            bone(place(*at), place(*end), radius, 0.115 if part > 0.5 else 0.085)
            at = end + direction * 0.035
    at, direction = np.array([-0.22, 0.32]), np.array([-0.75, -0.66])
    for part, radius in ((0.28, 0.045), (0.20, 0.038), (0.14, 0.03)):
        end = at + direction * part
        bone(place(*at), place(*end), radius, 0.1)
        at = end + direction * 0.035
    for _ in range(8):
        centre = place(generator.uniform(-0.2, 0.2), generator.uniform(0.33, 0.5))
        bone(centre, centre + 0.01, generator.uniform(0.04, 0.06), 0.16)
    for x in (-0.11, 0.12):
        bone(place(x, 0.62), place(x, 1.6), 0.075, 0.2)
    return bones, tissue
