"""Names and numbers as the whole page says them. Plain text: templates escape it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from fedmed.task import model_title

NUMBERS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")


class PercentInterval(NamedTuple):
    """A metric and its 95 % interval, in percent."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.1f} % ({self.low:.1f} to {self.high:.1f})"


def in_percent(interval: Mapping[str, float]) -> PercentInterval:
    """An INTERVAL of the report, whose numbers are shares."""
    return PercentInterval(*(100 * interval[end] for end in PercentInterval._fields))


def percent(share: float) -> str:
    """A share between 0 and 1; a decimal near the ends, where it matters."""
    value = 100 * share
    if value > 99.9:
        return ">99.9 %"
    if value < 0.1:
        return "<0.1 %"
    return f"{value:.1f} %" if value < 1 or value > 99 else f"{value:.0f} %"


def size(count: float) -> str:
    """Bytes in decimal units: `4.3 kB`."""
    for unit in ("B", "kB", "MB"):
        if count < 999.5:
            return f"{count:.0f} {unit}" if unit == "B" or count >= 100 else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} GB"


def number(count: int) -> str:
    """Small numbers in words."""
    return NUMBERS[count] if count < len(NUMBERS) else thousands(count)


def thousands(count: int) -> str:
    """A count with commas: `1,002`."""
    return f"{count:,}"


def fixed(value: float, decimals: int = 1) -> str:
    """A number with as many decimals."""
    return f"{value:.{decimals}f}"


def listed(names: Sequence[str]) -> str:
    """`Hospital 1`, `Hospitals 1 and 3`, `Central, Federated and Hospital 2`."""
    if len(names) > 1 and all(name.startswith("Hospital ") for name in names):
        return "Hospitals " + listed([name.removeprefix("Hospital ") for name in names])
    return " and ".join(filter(None, (", ".join(names[:-1]), names[-1])))


def name_of(config: Mapping[str, Any], model: str) -> str:
    """A model's name, as its snapshot gives it."""
    return str(config["models"][model].get("title", model_title(model)))
