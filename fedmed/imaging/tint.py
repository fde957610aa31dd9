"""Colour pictures to grey: a tint is undone where the picture is grey in substance.

A film on a blue base, photographed on a light box or stored as RGB, has colours, but one for each
brightness: what tells it from a photograph is what of its colours brightness does not explain.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

COLOURED = 5.0  # levels of 255 of colour that brightness does not explain; films have some 2
TINTED = 4.0  # mean difference of the channels; JPEG's rounding makes less than 1 of a grey film
WEIGHTS = (0.299, 0.587, 0.114)  # of red, green and blue, as Pillow has them
_SIDE = 64
_FAINT = 0.25  # of the strongest channel's range: a fainter channel has little but noise


def to_grey(image: Image.Image) -> tuple[Image.Image, float]:
    """A picture of mode "RGB" as one of mode "L", and how colourful it is (see `colourfulness`)."""
    some = small(image)
    weights, offset = balance(some)
    tinted = weights != WEIGHTS
    grey = image.convert("L", (*weights, offset)) if tinted else image.convert("L")
    return grey, colourfulness(some)


def colourfulness(colours: NDArray[np.float32]) -> float:
    """The mean spread of the channels of [n, 3] in 0..255 that brightness does not explain.

    What each channel would be, were it a function of the strongest one that rises with it (of
    second degree), is taken off first. A marker or a logo, a tenth of all, has no part in that.
    """
    strongest = colours[:, int(colours.std(0).argmax())] / 255 - 0.5
    powers = np.stack([np.ones_like(strongest), strongest, strongest**2], 1).astype(np.float32)
    spread = _unexplained(powers, colours, np.ones(len(colours), bool))
    spread = _unexplained(powers, colours, spread <= np.quantile(spread, 0.9))
    return float(spread.mean())


def _unexplained(
    powers: NDArray[np.floating], colours: NDArray[np.float32], used: NDArray[np.bool_]
) -> NDArray[np.float32]:
    """The spread [n] of what is left of the channels after a fit to the `used` pixels."""
    explained, *_ = np.linalg.lstsq(powers[used], colours[used], rcond=None)
    falling = explained[1] < 0
    explained[:, falling] = 0
    explained[0, falling] = colours[used].mean(0)[falling]
    left = colours - powers @ explained
    return np.asarray(left.max(1) - left.min(1))


def balance(colours: NDArray[np.float32]) -> tuple[tuple[float, ...], float]:
    """What grey is of red, green and blue: weights and what is added, for colours [n, 3] in 0..255.

    Of a tinted picture that is grey in substance, each channel is stretched to the darkest and the
    brightest of all, and one that holds next to nothing is left out.
    """
    tint = float(np.mean(colours.max(1) - colours.min(1)))
    if tint < TINTED or colourfulness(colours) > COLOURED:
        return WEIGHTS, 0.0
    low, high = np.percentile(colours, (1, 99), axis=0)
    spread = high - low
    kept = np.where(spread > _FAINT * spread.max(), WEIGHTS, 0)
    if not kept.any():
        return WEIGHTS, 0.0
    kept = kept / kept.sum()
    gain = (high.max() - low.min()) / np.maximum(spread, 1)
    weights = kept * gain
    return tuple(map(float, weights)), float(low.min() - weights @ low)


def small(image: Image.Image) -> NDArray[np.float32]:
    """Some thousand colours [n, 3] of a picture of mode "RGB", whatever its size."""
    resized = image.resize((_SIDE, _SIDE), Image.Resampling.BOX, reducing_gap=2.0)
    return np.asarray(resized, np.float32).reshape(-1, 3)
