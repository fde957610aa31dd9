"""Numbers and tables of a DICOM file as they were meant, where not written by the letter."""

from __future__ import annotations

import re
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

_NUMBER = re.compile(r"[-+]?(?:\d+(?:[.,]\d*)?|[.,]\d+)(?:[eE][-+]?\d+)?")
_BINARY = ("US", "SS", "UL", "SL", "UV", "SV", "FL", "FD")


def numbers(dataset: Any, keyword: str) -> list[float]:
    """All values of an element that is written in decimal digits; NaN for what is no number.

    A decimal comma is a point, and what follows a number (a unit, say) is left out: pydicom would
    refuse both, and the pixels beside them are sound.
    """
    element = dataset.get_item(keyword)
    value = None if element is None else element.value
    if isinstance(value, bytes) and element.VR in _BINARY:
        value = dataset[keyword].value
    if isinstance(value, bytes):
        value = value.decode("latin-1").split("\\")
    if value is None:
        return []
    several = value if not isinstance(value, str) and hasattr(value, "__iter__") else [value]
    return [_number(str(one)) for one in several]


def number(dataset: Any, keyword: str) -> float | None:
    """The first value of such an element, where that is a finite number."""
    found = numbers(dataset, keyword)
    return found[0] if found and np.isfinite(found[0]) else None


def words(dataset: Any, keyword: str) -> NDArray[np.uint16]:
    """An element's 16-bit words [n], whether it says that they are US, SS or OW."""
    element = dataset.get_item(keyword)
    value = None if element is None else element.value
    if value is None:
        return np.empty(0, np.uint16)
    if isinstance(value, bytes):
        order = "<" if getattr(element, "is_little_endian", True) else ">"
        return np.frombuffer(value[: len(value) // 2 * 2], f"{order}u2").astype(np.uint16)
    return np.asarray(value, np.int64).reshape(-1).astype(np.uint16)


class Table(NamedTuple):
    """A lookup table from values `first`, `first + 1`, ... to `entries`; `top` shows as white."""

    first: int
    entries: NDArray[np.uint16]
    top: float

    def look_up(self, values: NDArray[np.float64]) -> NDArray[np.uint16]:
        """The entries [n] of values [n]; the first and the last stand for what lies outside."""
        places = np.clip(np.rint(values) - self.first, 0, len(self.entries) - 1)
        return self.entries[places.astype(np.intp)]


def table(dataset: Any, sequence: str, low: float, high: float) -> Table | None:
    """The first table of a Modality or VOI LUT sequence (PS3.3 C.11.1.1, C.11.2.1.1).

    `low` and `high` are the least and the largest of the values to look up. None where there is
    no table, or nothing in it.
    """
    items = dataset.get(sequence)
    if not items:
        return None
    descriptor, entries = words(items[0], "LUTDescriptor"), words(items[0], "LUTData")
    if len(descriptor) < 3 or not entries.any():
        return None
    said, first, bits = (int(word) for word in descriptor[:3])
    said = said or 2**16
    if bits <= 8 and len(entries) <= (said + 1) // 2 and entries.max() > 255:
        # Two entries lie in each word, the first one in its low byte.
        entries = np.stack([entries & 255, entries >> 8], 1).reshape(-1)[:said]
    top = 2.0**bits - 1
    # What a table with missing entries would have reached with them.
    largest = float(entries.max()) * max(said / len(entries), 1)
    if (
        round(largest).bit_length() != bits
    ):  # then the declaration is not what the table was made by
        top = largest
    return Table(_first(first, said, low, high), entries, top)


def _first(word: int, count: int, low: float, high: float) -> int:
    """The first value of a table: signed or not, whichever has more of low..high in the table."""
    signed = word - 2**16 if word >= 2**15 else word
    return max((word, signed), key=lambda first: min(high, first + count) - max(low, first))


def _number(text: str) -> float:
    found = _NUMBER.match(text.strip(" \0\t\r\n"))
    return float(found.group().replace(",", ".")) if found else float("nan")
