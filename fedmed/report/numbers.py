"""The numbers that evaluation.json and config.json are made of, each within bounds."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field
from typing_extensions import TypedDict

LARGEST = 10**15  # no count or measure comes near it; Python's integers would grow beyond a float
Number = Annotated[float, Field(allow_inf_nan=False, ge=-LARGEST, le=LARGEST)]
Whole = Annotated[int, Field(ge=-LARGEST, le=LARGEST)]
Positive = Annotated[int, Field(gt=0, le=LARGEST)]
Temperature = Annotated[float, Field(allow_inf_nan=False, ge=1e-3, le=1e3)]
PAIR = Field(min_length=2, max_length=2)


class Interval(TypedDict):
    """A share, or a difference of shares, with its 95 % interval."""

    value: Number
    low: Number
    high: Number
