"""Decoded X-rays of one run, each read once however often it is asked for."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from fedmed.data.cohort import Xray
from fedmed.data.decoding import decode_all


class Pixels:
    """X-rays to uint8 [n, 224, 224]; what was read before is taken from a temporary file."""

    def __init__(self) -> None:
        self._places: dict[str, tuple[np.ndarray, int]] = {}

    def __call__(self, xrays: Sequence[Xray]) -> np.ndarray:
        """Decode those that were not read yet, and return the pixels of all.

        Raises:
            UnreadableImages: some cannot be decoded.
            OSError: there is no room for them.
        """
        new = {xray.digest: xray for xray in xrays if xray.digest not in self._places}
        if new:
            pixels = decode_all(list(new.values()))
            self._places |= {digest: (pixels, row) for row, digest in enumerate(new)}
            if len(new) == len(xrays):  # as they are: all may be more than memory holds
                return pixels
        found = [self._places[xray.digest] for xray in xrays]
        return np.stack([pixels[row] for pixels, row in found]) if found else decode_all([])
