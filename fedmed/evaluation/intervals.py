"""INTERVALs of the report: said in percent, and held against each other."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any


def percents(interval: Mapping[str, Any]) -> tuple[float, float, float]:
    """The value and both ends, in percent."""
    return 100 * interval["value"], 100 * interval["low"], 100 * interval["high"]


def percent(interval: Mapping[str, Any]) -> str:
    """For a sentence: `88.3 % (85.5 to 90.8)`."""
    value, low, high = percents(interval)
    return f"{value:.1f} % ({low:.1f} to {high:.1f})"


def cell(interval: Mapping[str, Any]) -> str:
    """For a table in percent: `88.3 (85.5–90.8)`."""
    value, low, high = percents(interval)
    return f"{value:.1f} ({low:.1f}–{high:.1f})"


def difference(first: Mapping[str, Any], second: Mapping[str, Any]) -> dict[str, float]:
    """The INTERVAL of first minus second, where only their own INTERVALs are known.

    It takes the two as independent (G. Y. Zou and A. Donner, Construction of confidence limits
    about effect measures, Statistics in Medicine 27, 2008). Of two models on the same images,
    which are right and wrong together, it is too wide rather than too narrow.
    """
    value = first["value"] - second["value"]
    below = math.hypot(first["value"] - first["low"], second["high"] - second["value"])
    above = math.hypot(first["high"] - first["value"], second["value"] - second["low"])
    return {"value": value, "low": value - below, "high": value + above}


def mean(intervals: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """The mean of INTERVALs, its ends the means of theirs: as if all erred together."""
    return {
        end: sum(interval[end] for interval in intervals) / len(intervals)
        for end in ("value", "low", "high")
    }
