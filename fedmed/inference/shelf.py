"""The snapshots there are to choose from, of which one is in memory.

Whatever is wrong with what was asked for, the app starts: with the next one that opens, in the end
with one that ships, and says so.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable, Mapping
from typing import Generic, TypeVar

from fedmed.errors import UserError
from fedmed.inference import choices, loading
from fedmed.inference.choices import Choice, Located
from fedmed.inference.loading import Opened
from fedmed.snapshot.manifest import printable

RETRY_SECONDS = 60.0  # what could not be opened is tried again then: the Hub may be slow to refuse

log = logging.getLogger(__name__)

Page = TypeVar("Page")
Found = TypeVar("Found")


class Shelf(Generic[Page]):
    """Opens the chosen snapshot in place of the one before; threads may share it.

    Who has been given one keeps it: it leaves memory with the last call that works with it. What
    `draw` makes of each snapshot is kept, so it should hold on to no weights.

    Attributes:
        choices: What there is to choose from.
        first: The name of the one to show where nobody chose.
        problem: Why that is not what was asked for, if it is not.

    Raises:
        UserError: nothing opens, not even what ships.
    """

    def __init__(
        self, draw: Callable[[Opened], Page], environ: Mapping[str, str] = os.environ
    ) -> None:
        self.problem: str | None = None
        self._draw = draw
        self._pages: dict[str, Page] = {}
        self._held: tuple[Choice, Opened] | None = None
        self._located: dict[str, Located] = {}  # on the Hub
        self._refused: dict[str, tuple[str, float]] = {}
        self._opening, self._locating = threading.RLock(), threading.Lock()
        variable, self.choices = choices.named(environ)
        self.first = self._open_first(variable)

    def named(self, name: str | None) -> Choice:
        """The choice of that name; the first where it is None or empty.

        Raises:
            UserError: there is no such name; the message says which there are.
        """
        wanted = name or self.first
        for choice in self.choices:
            if choice.name == wanted:
                return choice
        there = ", ".join(choice.name for choice in self.choices)
        raise UserError(f"There is no snapshot {printable(wanted)}. Choose from: {there}.")

    def opened(self, name: str | None = None) -> Opened:
        """The snapshot of that name, ready to predict.

        Raises:
            UserError: as `named`, or it does not open.
        """
        return self._reached(self.named(name), self._hold)

    def page(self, name: str | None = None) -> Page:
        """What was drawn of the snapshot of that name. It is opened the first time alone.

        Raises:
            UserError: as `opened`, or it cannot be drawn.
        """
        return self._reached(self.named(name), self._drawn)

    def drawn(self, choice: Choice) -> Page | None:
        """What was drawn of a choice, if it was ever opened."""
        return self._pages.get(choice.name)

    def _open_first(self, variable: str | None) -> str:
        """Draw the first one that opens, and return its name."""
        failed = {}
        for fall_back in (False, True):
            if fall_back:
                reason = f"What {variable} asks for could not be opened, so it is"
                self.choices = choices.shipped(reason if variable else choices.UNSET)
            for choice in self.choices:
                try:
                    self._drawn(choice)
                    return choice.name
                # The page must come up, whatever a snapshot made by another program holds.
                except Exception as error:
                    failed[choice.name] = _told(choice, error)
                    ships_alone = choice is self.choices[-1] and fall_back
                    if ships_alone:
                        raise
                self.problem = _problem(variable, failed, choice is self.choices[-1])
        raise AssertionError("what ships was returned or raised")

    def _reached(self, choice: Choice, reach: Callable[[Choice], Found]) -> Found:
        """Reach a choice, or say in words why not, for a while without trying again."""
        reason, until = self._refused.get(choice.name, ("", 0.0))
        if time.monotonic() >= until:
            try:
                return reach(choice)
            except Exception as error:
                reason = _told(choice, error)
                self._refused[choice.name] = reason, time.monotonic() + RETRY_SECONDS
        raise UserError(f"The snapshot {choice.name} could not be opened. The reason: {reason}")

    def _drawn(self, choice: Choice) -> Page:
        if choice.name not in self._pages:
            self._locate(choice)
            with self._opening:
                if choice.name not in self._pages:
                    self._pages[choice.name] = self._draw(self._hold(choice))
        return self._pages[choice.name]

    def _hold(self, choice: Choice) -> Opened:
        held = self._held
        if held and held[0] is choice:
            return held[1]
        found = self._locate(choice)
        with self._opening:
            if self._held and self._held[0] is choice:
                return self._held[1]
            del held
            self._held = None  # first, so that memory holds one at a time
            try:
                opened = loading.open_folder(
                    found.folder, found.label, found.why, self.problem, found.called
                )
            except UserError:
                self._located.pop(choice.name, None)  # fetched anew, damage heals
                raise
            self._held = choice, opened
            return opened

    def _locate(self, choice: Choice) -> Located:
        """Where a choice lies. To be asked before the lock: the others go on while the Hub is."""
        if choice.folder is not None:
            return choice.locate()
        with self._locating:
            if choice.name not in self._located:
                self._located[choice.name] = choice.locate()
            return self._located[choice.name]


def _told(choice: Choice, error: Exception) -> str:
    """Why a choice could not be opened, for visitors; the log keeps more."""
    if isinstance(error, UserError):
        log.warning("%s could not be opened: %s", choice.asked, error)
        return str(error)
    log.error("%s could not be opened", choice.asked, exc_info=error)
    return f"this version of FedMed can't show it ({type(error).__name__})."


def _problem(variable: str | None, failed: Mapping[str, str], is_last: bool) -> str:
    """What a visitor should know where the first ones do not open."""
    reasons = list(failed.values())
    if len(failed) > 1:
        reasons = [f"{name}: {reason}" for name, reason in failed.items()]
    which = ", ".join(failed)
    begin = f"Another snapshot should be shown first, {which}, which could not be opened."
    if variable and is_last:
        begin = (
            f"{variable} asks for another snapshot, which could not be opened; one that comes "
            "with FedMed is shown instead."
        )
    return f"{begin} The reason: {' '.join(reasons)}"
