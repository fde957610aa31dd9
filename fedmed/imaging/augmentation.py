"""Augmented views of an X-ray: a `View` says which, `render` makes it of pixels."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from itertools import product
from typing import Literal

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from fedmed.imaging.preprocessing import to_grey
from fedmed.imaging.shifts import shift_pixels
from fedmed.task import IMAGE_SIZE

Kind = Literal["clean", "flip-rotate", "degraded", "shifted", "film"]

MAX_ROTATION_DEGREES = 10.0


@dataclass(frozen=True)
class View:
    """One way of looking at every image; `number` tells apart views of one kind.

    A shifted one is of no training: `number` is its place in `shifts.SHIFTS`.
    """

    kind: Kind
    number: int = 0
    seed: int = 0


CLEAN = View("clean")
FILM = View("film")  # no view for a network: what fedmed.data.films measures of the picture itself


def render(view: View, pixels: np.ndarray, digests: list[str], device: str = "cpu") -> Tensor:
    """One view of uint8 pixels [n, 224, 224] as grey images [n, 1, 224, 224] in 0..1.

    What happens to an image depends on the view and the image's digest alone, never on its
    neighbours, so that cached features are the same whatever they were computed with. All draws are
    made on the CPU, and are the same on every `device`.
    """
    grey = to_grey(pixels).to(device)
    if view.kind == "clean":
        return grey
    if view.kind == "shifted":
        return to_grey(shift_pixels(view.number, pixels)).to(device)
    generators = [_generator(view, digest) for digest in digests]
    if view.kind == "flip-rotate":
        return flip_and_rotate(grey, _uniforms(generators, 2))
    noise = np.stack([g.standard_normal(grey.shape[-2:], dtype=np.float32) for g in generators])
    normal = torch.from_numpy(noise[:, None]).to(device)
    return degrade(grey, _uniforms(generators, DEGRADE_DRAWS), normal)


def flip_and_rotate(grey: Tensor, draws: Tensor) -> Tensor:
    """The mission's augmentation: a flip half of the time, a rotation within +-10 degrees.

    `draws` [n, 2] are uniform in 0..1.
    """
    draws = draws.to(grey.device)
    return _warp(grey, flip=draws[:, 0] < 0.5, angle=_span(draws[:, 1], -1, 1))


DEGRADE_DRAWS = 18


def degrade(grey: Tensor, draws: Tensor, noise: Tensor) -> Tensor:
    """Flip, rotate, and take away what depends on the scanner rather than on the lungs.

    What a radiograph goes through, in this order: a flip half of the time; a rotation within +-10
    degrees; width and height, each on its own, shown anew so that between 65 % and 110 % of them
    fill the image (four times in five it is cut closer and enlarged, else shrunk into a black
    frame); a shift by up to a twentieth of the image; half of the time a blur of up to 2.5 pixels;
    gamma, contrast and brightness; half of the time noise; grey boxes over some corners.

    Cutting and stretching hide framing and aspect ratio, by which the two classes differ in the
    public training set and not in its test split; blur and noise hide sharpness and compression;
    gamma, contrast and brightness hide exposure; boxes hide markers. `draws` [n, 18] uniform in
    0..1, `noise` like `grey` and standard normal.
    """
    u = draws.to(grey.device).unbind(1)
    grey = _warp(
        grey,
        flip=u[0] < 0.5,
        angle=_span(u[1], -1, 1),
        extent=torch.stack([_span(u[2], 0.65, 1.1), _span(u[3], 0.65, 1.1)], dim=1),
        shift=torch.stack([_span(u[4], -0.1, 0.1), _span(u[5], -0.1, 0.1)], dim=1),
    )
    # Half of the images stay sharp; sigma is in pixels of a 224-pixel image.
    sigma = _span(u[6], -2.5, 2.5).clamp_min(0.0) * grey.shape[-1] / IMAGE_SIZE
    grey = _blur(grey, sigma)
    column = (-1, 1, 1, 1)
    grey = grey.clamp(1e-4, 1.0).pow(torch.exp(_span(u[7], -0.5, 0.5)).view(column))
    grey = (grey - 0.5) * _span(u[8], 0.6, 1.4).view(column) + 0.5
    grey = grey + _span(u[9], -0.15, 0.15).view(column)
    grey = grey + noise * _span(u[10], -0.05, 0.05).clamp_min(0.0).view(column)
    return _cover_corners(grey.clamp(0.0, 1.0), *draws[:, 11:].split((4, 1, 1, 1), dim=1))


def _generator(view: View, digest: str) -> np.random.Generator:
    text = f"{view.kind}/{view.number}/{view.seed}/{digest}"
    key = int.from_bytes(hashlib.sha256(text.encode()).digest()[:16], "little")
    return np.random.Generator(np.random.Philox(key=key))


def _uniforms(generators: list[np.random.Generator], count: int) -> Tensor:
    return torch.from_numpy(np.stack([g.random(count, dtype=np.float32) for g in generators]))


def _span(unit: Tensor, low: float, high: float) -> Tensor:
    return low + (high - low) * unit


def _warp(
    grey: Tensor,
    *,
    flip: Tensor,
    angle: Tensor,
    extent: Tensor | None = None,
    shift: Tensor | None = None,
) -> Tensor:
    """Affine warp, bilinear, black outside. `angle` is in units of the largest rotation.

    `extent` [n, 2] is the share of width and height that fills the image: below 1 it is enlarged.
    """
    radians = angle * (MAX_ROTATION_DEGREES * torch.pi / 180)
    cos, sin = torch.cos(radians), torch.sin(radians)
    mirror = 1.0 - 2.0 * flip.float()
    matrix = torch.stack([cos * mirror, -sin, sin * mirror, cos], dim=1).view(-1, 2, 2)
    if extent is not None:
        matrix = matrix * extent.unsqueeze(2)
    offset = grey.new_zeros(len(grey), 2) if shift is None else shift
    # What F.affine_grid gives, by sums of rows and columns in place of a product per pixel.
    height, width = grey.shape[-2:]
    across, down = (_centres(side).to(grey.device) for side in (width, height))
    columns = matrix[:, :, :1] * across  # [n, 2, w]
    rows = matrix[:, :, 1:] * down + offset.unsqueeze(2)  # [n, 2, h]
    grid = grey.new_empty(len(grey), height, width, 2)
    torch.add(rows.unsqueeze(3), columns.unsqueeze(2), out=grid.permute(0, 3, 1, 2))
    return F.grid_sample(grey, grid, align_corners=False)


def _centres(side: int) -> Tensor:
    """Where pixels lie along a side that goes from -1 to 1."""
    return (2 * torch.arange(side) + 1) / side - 1


def _blur(grey: Tensor, sigma: Tensor) -> Tensor:
    """Gaussian blur, a different sigma for every image, as one grouped convolution each way."""
    radius = 6
    steps = torch.arange(-radius, radius + 1, dtype=torch.float32, device=grey.device)
    kernel = torch.exp(-0.5 * (steps / sigma.clamp_min(1e-3).unsqueeze(1)) ** 2)
    kernel = kernel / kernel.sum(dim=1, keepdim=True)
    stack = grey.transpose(0, 1)
    padded = F.pad(stack, (radius, radius, radius, radius), mode="replicate")
    across = F.conv2d(padded, kernel[:, None, None, :], groups=len(grey))
    return F.conv2d(across, kernel[:, None, :, None], groups=len(grey)).transpose(0, 1)


def _cover_corners(
    grey: Tensor, chances: Tensor, width: Tensor, height: Tensor, level: Tensor
) -> Tensor:
    """Grey boxes over each corner, a third of the time, up to a quarter of a side.

    Draws, `chances` [n, 4] and the others [n, 1], are on the CPU, where boxes are cut to pixels.
    """
    steps = torch.arange(grey.shape[-1], dtype=torch.float32) / grey.shape[-1]
    wide, high = _span(width, 0.08, 0.25), _span(height, 0.08, 0.25)
    ends = [(steps < end).sum(1).tolist() for end in (wide, 1 - wide, high, 1 - high)]
    covered, chosen = grey.clone(), (chances < 1 / 3).tolist()
    images = zip(covered[:, 0], chosen, level[:, 0].tolist(), *ends, strict=True)
    for image, corners, shade, left, right, top, bottom in images:
        rows, columns = (slice(top), slice(bottom, None)), (slice(left), slice(right, None))
        for cover, place in zip(corners, product(rows, columns), strict=True):
            if cover:
                image[place] = shade
    return covered
