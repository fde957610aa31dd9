"""The fields of evaluation.json that say how a federation between machines went."""

from __future__ import annotations

from typing import Annotated, NotRequired  # pydantic reads typing's from 3.12 on

from pydantic import Field
from typing_extensions import TypedDict

from fedmed.report.numbers import Positive


class Attended(TypedDict):
    """Who took part in a round, and why others did not."""

    round: Positive
    hospitals: Annotated[list[str], Field(min_length=1)]
    missing: dict[str, str]


class BetweenMachines(TypedDict):
    """Of a federation in one process there is none of these."""

    engine: NotRequired[str]
    version: NotRequired[str]
    hospitals: NotRequired[list[str]]
    rounds: NotRequired[list[Attended]]
    tls: NotRequired[bool]
    authentication: NotRequired[str]
    privacy: NotRequired[str]
