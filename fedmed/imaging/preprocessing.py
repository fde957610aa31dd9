"""The one definition of what the network sees: small grey pixels, then normalised input.

Training, evaluation and the app all come through here. An X-ray becomes 224 x 224 grey pixels
(`to_pixels`), a view of them (`augmentation.render`), and a normalised RGB tensor (`to_input`).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from fedmed.task import IMAGE_SIZE, IMAGENET_MEAN, IMAGENET_STD

PREPROCESSING = {
    "size": [IMAGE_SIZE, IMAGE_SIZE],
    "resize": "bilinear, antialiased, aspect ratio not kept",
    "channels": "grey, repeated three times",
    "mean": list(IMAGENET_MEAN),
    "std": list(IMAGENET_STD),
}


class DecodedXray(NamedTuple):
    """A decoded X-ray, made small."""

    pixels: np.ndarray  # uint8 [224, 224]: what the backbone sees
    colour: float  # its `tint.colourfulness`
    notes: tuple[str, ...] = ()  # what was done to it that a visitor should know


def to_pixels(image: Image.Image) -> np.ndarray:
    """Resize a grey image to uint8 [224, 224]; the aspect ratio is not kept."""
    size = (IMAGE_SIZE, IMAGE_SIZE)
    if image.size != size:
        image = image.resize(size, Image.Resampling.BILINEAR)
    return np.array(image.convert("L"))


def resize(images: Tensor, size: int) -> Tensor:
    """Images [n, c, h, w] of fractions to [n, c, size, size], for networks of a smaller input.

    What trains such a network and what passes through it both come through here. Nothing is done
    to images of that size.
    """
    if images.shape[2:] == (size, size):
        return images
    return F.interpolate(images, (size, size), mode="bilinear", antialias=True)


def to_input(grey: Tensor) -> Tensor:
    """Normalise grey images [n, 1, h, w] in 0..1 to [n, 3, h, w] with ImageNet's statistics."""
    mean = torch.tensor(IMAGENET_MEAN, device=grey.device).view(1, 3, 1, 1)
    std = torch.tensor(IMAGENET_STD, device=grey.device).view(1, 3, 1, 1)
    return (grey - mean).div_(std)


def to_grey(pixels: np.ndarray) -> Tensor:
    """uint8 [n, h, w], or floats in 0..255, to float [n, 1, h, w] in 0..1."""
    return torch.from_numpy(np.ascontiguousarray(pixels)).unsqueeze(1) / 255.0
