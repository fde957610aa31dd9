"""The way to hospitals, as the coordinator sees it: Flower's grid, or objects in one process."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from fedmed.flower.leaves import ANSWERS
from fedmed.flower.names import printable_text
from fedmed.flower.terms import Content


@dataclass(frozen=True)
class Failure:
    """Why a node did not answer."""

    why: str


Answer = Content | Failure


class Wire(Protocol):
    """Nodes are numbers; which hospital one is, it says when it joins."""

    engine: str  # in words, with its version
    tls: bool  # whether what is sent is encrypted on its way

    def online(self) -> Mapping[int, str]:
        """Return the nodes that are there, each with the name that its key was registered under,
        empty where it is not known by a key."""

    def ask(
        self,
        kind: str,
        messages: Mapping[int, Content],
        seconds: float,
        awaited: Callable[[list[int]], None],
    ) -> dict[int, Answer]:
        """Send each node its message, and return what each said within so many seconds.

        `awaited` is called once a minute with the nodes that have not answered yet.
        """


def unusable(kind: str, name: str, answer: Answer) -> str:
    """Why an answer cannot be used, before its numbers are looked at; empty where it can."""
    if isinstance(answer, Failure):
        return answer.why
    if "refusal" in answer:
        return printable_text(answer["refusal"])
    if set(answer) != set(ANSWERS[kind]) or answer["hospital"] != name:
        return "its answer has another form, or another hospital's name"
    return ""
