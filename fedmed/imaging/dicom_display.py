"""The DICOM display pipeline: stored values to 8 bits, bright where dense (PS3.3 C.11)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fedmed.imaging.dicom_values import number, numbers, table, words
from fedmed.imaging.levels import film_range, parts, to_8_bits

DENSE = 2**20  # distinct values that a list of all between the least and the largest may have


class Palette(NamedTuple):
    """The values that a picture holds, each once, ascending, and how many pixels have each."""

    values: NDArray[Any]
    counts: NDArray[np.int64]

    def paint(self, levels: NDArray[Any], grey: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Put the grey [n] of each value into its pixels."""
        flat = levels.reshape(-1)
        shown = np.empty(flat.shape, np.uint8)
        dense = int(self.values[-1]) - int(self.values[0]) == len(self.values) - 1
        for part in parts(flat):
            values = flat[part]
            if dense:
                places = values.astype(np.int64) - int(self.values[0])
            else:
                places = np.searchsorted(self.values, values)
            shown[part] = grey[places]
        return shown.reshape(levels.shape)


def palette(levels: NDArray[Any]) -> Palette:
    """All values from the least to the largest, where that are not too many."""
    flat = levels.reshape(-1)
    low, high = int(flat.min()), int(flat.max())
    if high - low >= DENSE:
        return Palette(*np.unique(flat, return_counts=True))
    counts = np.zeros(high - low + 1, np.int64)
    for part in parts(flat):
        counts += np.bincount(flat[part].astype(np.int64) - low, minlength=len(counts))
    return Palette(np.arange(low, high + 1), counts)


def displayed(levels: NDArray[Any], dataset: Any) -> NDArray[np.uint8]:
    """Stored grey levels [rows, columns] as they are meant to be seen, uint8.

    The contrast is the file's lookup table, else its window, else the range of its pixels; what
    would leave no contrast at all is passed over. Padding is black.
    """
    stored = palette(levels)
    padding = _padding(stored, dataset)
    film = (stored.counts > 0) & ~padding
    values = _rescaled(stored.values, dataset)
    grey = np.zeros(len(values), np.uint8)
    for grey in _contrasts(values, stored.counts * film, dataset):
        if grey[film].max() > grey[film].min():
            break
    if dataset.PhotometricInterpretation == "MONOCHROME1":
        grey = 255 - grey
    grey[padding] = 0
    return stored.paint(levels, grey)


def _rescaled(stored: NDArray[Any], dataset: Any) -> NDArray[np.float64]:
    """Stored values by the modality's table, or its slope and intercept."""
    values = stored.astype(np.float64)
    found = table(dataset, "ModalityLUTSequence", values[0], values[-1])
    if found is not None:
        return found.look_up(values).astype(np.float64)
    slope, intercept = _slope(dataset), number(dataset, "RescaleIntercept")
    # One alone, or a slope of nothing, is no transformation.
    return values if slope is None or intercept is None else values * slope + intercept


def _slope(dataset: Any) -> float | None:
    return number(dataset, "RescaleSlope") or None


def _contrasts(
    values: NDArray[np.float64], counts: NDArray[np.int64], dataset: Any
) -> Iterator[NDArray[np.uint8]]:
    """The ways to show values [n] that the file offers, then the one that needs none; uint8 [n]."""
    found = table(dataset, "VOILUTSequence", values.min(), values.max())
    if found is not None:
        yield to_8_bits(found.look_up(values), 0, found.top)
    for centre, width in zip(
        numbers(dataset, "WindowCenter"), numbers(dataset, "WindowWidth"), strict=False
    ):
        if np.isfinite(centre) and width > 0:
            yield from _windowed(values, centre, width, dataset)
    yield to_8_bits(values, *film_range(values, counts))


def _windowed(
    values: NDArray[np.float64], centre: float, width: float, dataset: Any
) -> Iterator[NDArray[np.uint8]]:
    """One window (PS3.3 C.11.2.1.2 and C.11.2.1.3), unless it is none."""
    function = str(dataset.get("VOILUTFunction") or "").strip().upper()
    if function == "SIGMOID":
        exponent = np.clip(-4 * (values - centre) / width, -60, 60)
        yield to_8_bits(1 / (1 + np.exp(exponent)), 0, 1)
        return
    # The linear window is half a level off centre and one level narrower. That is meant for levels
    # that lie one apart, and no such window is narrower than one.
    if function != "LINEAR_EXACT" and abs(_slope(dataset) or 1) >= 1:
        if width < 1:
            return
        centre, width = centre - 0.5, max(width - 1, 1e-3)
    yield to_8_bits(values, centre - width / 2, centre + width / 2)


def _padding(stored: Palette, dataset: Any) -> NDArray[np.bool_]:
    """Which values [n] are padding.

    Only values that stand apart: a Pixel Padding Value beside which the film has others is a level
    of the film too, the brightest bone of a MONOCHROME1 one, say.
    """
    none = np.zeros(len(stored.values), bool)
    ends = [
        words(dataset, keyword)[:1] for keyword in ("PixelPaddingValue", "PixelPaddingRangeLimit")
    ]
    if not len(ends[0]):
        return none
    # The declared VR may have the wrong sign, and the film's values have lost their unused bits.
    bits = min(16, int(dataset.BitsStored))
    found = [
        _as_stored(int(word), bits, dataset.PixelRepresentation == 1)
        for word in [*ends[0], *ends[1]]
    ]
    low, high = min(found), max(found)
    padding = (stored.values >= low) & (stored.values <= high)
    film = stored.values[(stored.counts > 0) & ~padding].astype(np.float64)
    if not film.size:
        return none
    apart = min(np.abs(film - low).min(), np.abs(film - high).min())
    return padding if apart > (film.max() - film.min()) / 64 else none


def _as_stored(word: int, bits: int, signed: bool) -> int:
    value = word & (2**bits - 1)
    return value - 2**bits if signed and value >= 2 ** (bits - 1) else value
