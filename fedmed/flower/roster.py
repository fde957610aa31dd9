"""Which node is which hospital: nodes that are there are asked to join, each once."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from fedmed.errors import UserError
from fedmed.flower.leaves import ANSWERS
from fedmed.flower.names import NAME, printable_text
from fedmed.flower.options import Options
from fedmed.flower.terms import Content, Terms
from fedmed.flower.wire import Answer, Failure, Wire
from fedmed.progress import say
from fedmed.task import CLASSES

MOST = 10_000_000  # X-rays of a class that a hospital may say it has
POLL_SECONDS = 1.0
TELL_SECONDS = 60.0


@dataclass
class Roster:
    """The hospitals that joined, by name, and who was refused."""

    wire: Wire
    terms: Terms
    options: Options
    nodes: dict[str, int] = field(default_factory=dict)
    told: dict[str, dict[str, Any]] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)
    known_by_key: set[str] = field(default_factory=set)
    _asked: set[int] = field(default_factory=set)
    sleep: Callable[[float], None] = time.sleep
    clock: Callable[[], float] = time.monotonic

    @property
    def names(self) -> list[str]:
        """Everybody who joined, hospital_2 before hospital_10."""
        return in_order(self.nodes)

    def wait(self, least: int, what: str) -> list[str]:
        """Return the hospitals that are there, once there are `least`; new ones are asked to join.

        Raises:
            UserError: they do not come in time; the message says who is missing.
        """
        until, tell = self.clock() + self.options.wait_seconds, self.clock()
        while True:
            here = self._here()
            if len(here) >= least:
                return here
            now = self.clock()
            away = ", ".join(name for name in self.names if name not in here)
            state = f"{len(here)} of {least} hospitals are there" + (
                f"; awaited: {away}" if away else ""
            )
            if now >= until:
                refused = "; ".join(f"{name}: {why}" for name, why in self.refused.items())
                raise UserError(
                    f"{what}: {state} after {self.options.wait_seconds:.0f} s"
                    f"{f' (refused: {refused})' if refused else ''}. Start them, or lower "
                    "hospitals and min-hospitals."
                )
            if now >= tell:
                say(f"{what}: {state}.")
                tell = now + TELL_SECONDS
            self.sleep(POLL_SECONDS)

    def name(self, node: int) -> str:
        """Return the hospital that a node is."""
        names = {node: name for name, node in self.nodes.items()}
        return names.get(node, f"node {node}")

    def _here(self) -> list[str]:
        online = self.wire.online()
        if new := [node for node in online if node not in self._asked]:
            self._asked |= set(new)
            message: Content = {"terms": self.terms.text()}
            say(f"Joining: {len(new)} asked. The first time, each makes its X-rays ready.")
            answers = self.wire.ask(
                "join",
                dict.fromkeys(new, message),
                self.options.wait_seconds,
                lambda nodes: say(f"Joining: {len(nodes)} nodes have not answered yet."),
            )
            for node, answer in answers.items():
                self._joined(node, answer, online[node])
        return in_order(name for name, node in self.nodes.items() if node in online)

    def _joined(self, node: int, answer: Answer, registered: str) -> None:
        if isinstance(answer, Failure):  # gone, or it failed: it may come back
            self._asked.discard(node)
            say(f"Node {node} did not join: {answer.why}.")
            return
        name = str(answer.get("hospital", ""))
        why = _fault(name, answer, private=bool(self.terms.epsilon))
        if not why and registered not in ("", name):
            why = f"its key is registered as {printable(registered)}"
        if (
            not why
            and self.nodes.get(name, node) != node
            and self.nodes[name] in self.wire.online()
        ):
            why = "another node joined under this name"
        if why:
            self.refused[printable(name) or f"node {node}"] = why
            say(f"{printable(name)} is refused: {why}.")
            return
        self.nodes[name] = node
        self.known_by_key |= {name} if registered else set()
        self.told.setdefault(name, {key: answer[key] for key in ANSWERS["join"] if key in answer})
        what = f"{answer['patients']} patients"
        if images := answer["images"]:
            what = f"{images[0]} NORMAL and {images[1]} PNEUMONIA X-rays"
        say(f"{name} joined: {what} to train on.")


def in_order(names: Any) -> list[str]:
    """Names as people count: hospital_2 before hospital_10."""

    def key(name: str) -> list[Any]:
        return [
            (not part.isdigit(), int(part) if part.isdigit() else part) for part in _parts(name)
        ]

    return sorted(names, key=key)


def _parts(name: str) -> Sequence[str]:
    return [part for part in re.split(r"(\d+)", name) if part]


def printable(name: str) -> str:
    """A stranger's name, fit for a log."""
    return ascii(name[:64])[1:-1]


def _fault(name: str, answer: Mapping, *, private: bool) -> str:
    """Why an answer to `join` is none, empty where it is one."""
    if "refusal" in answer:
        return printable_text(answer["refusal"])
    if not NAME.fullmatch(name):
        return "its name is not made of letters, digits, dot, dash and underscore"
    if set(answer) != set(ANSWERS["join"]):
        return "its answer has other fields than one to join has"
    most = MOST
    if private and (answer["images"] or answer["held_out"]):
        return "it told counts of X-rays, which of a private run leave no hospital"
    if not private:
        numbers = [*_numbers(answer["images"]), *_numbers(answer["held_out"])]
        most = sum(numbers[:2])
        if len(numbers) != 2 * len(CLASSES) or not most:
            return "its counts of X-rays are no counts"
    if type(answer["patients"]) is not int or not 1 <= answer["patients"] <= most:
        return "its count of patients is none"
    return ""


def _numbers(value: object) -> list[int]:
    if isinstance(value, list) and all(type(n) is int and 0 <= n <= MOST for n in value):
        return value
    return []
