"""An INTERVAL of the report in percent: as numbers, in a sentence, in a table's cell."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def percents(interval: Mapping[str, Any]) -> tuple[float, float, float]:
    """The value and both ends, in percent."""
    return 100 * interval["value"], 100 * interval["low"], 100 * interval["high"]


def percent(interval: Mapping[str, Any]) -> str:
    """For a sentence: `88.3 % (85.5 to 90.8)`."""
    value, low, high = percents(interval)
    return f"{value:.1f} % ({low:.1f} to {high:.1f})"


def points(interval: Mapping[str, Any]) -> str:
    """Of a difference: `-0.3 points (-1.4 to +0.8)`."""
    value, low, high = percents(interval)
    return f"{value:+.1f} points ({low:+.1f} to {high:+.1f})"


def cell(interval: Mapping[str, Any]) -> str:
    """For a table in percent: `88.3 (85.5–90.8)`."""
    value, low, high = percents(interval)
    return f"{value:.1f} ({low:.1f}–{high:.1f})"
