"""The switch between snapshots, where there are several: each visitor's choice is their own.

The choice is kept in the visitor's browser, which sends it with whatever it asks for.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Any, NamedTuple

import gradio as gr

from fedmed.errors import UserError
from fedmed.inference.choices import Choice
from fedmed.page.launch import PANEL
from fedmed.page.rendering import render
from fedmed.page.shown import Shown, Snapshots
from fedmed.report.story import story
from fedmed.snapshot.reader import Snapshot

TITLES = {
    "network": "The whole network travels",
    "imagenet": "Only the last layer travels",
}


class Story(NamedTuple):
    """A choice and what its report says of joining, if that is known before it is opened."""

    title: str
    told: str


def title(choice: Choice) -> str:
    """A choice in plain words."""
    return TITLES.get(choice.name, choice.name) if choice.ships else choice.name


def build(snapshots: Snapshots) -> gr.Radio | None:
    """The switch, inside a `gr.Blocks`; none where there is nothing to choose."""
    if len(snapshots.choices) < 2:
        return None
    options = [(title(choice), choice.name) for choice in snapshots.choices]
    switch = gr.Radio(
        options,
        value=snapshots.first,
        label="Models on",
        container=False,
        show_label=False,
        elem_classes="fm-snapshots",
    )
    gr.HTML(_stories(snapshots), apply_default_css=False)
    return switch


def connect(snapshots: Snapshots, switch: gr.Radio | None, parts: dict[str, gr.HTML]) -> None:
    """Let the switch change `parts`, which are named as in `Shown`, and then the answer."""
    if switch is None:
        return

    def switched(name: str) -> list[Any]:
        notice = ""
        try:
            shown = snapshots.page(name)
        except UserError as error:
            name, shown = snapshots.first, snapshots.page()
            notice = render("notice.html", problem=str(error))
        drawn = {part: getattr(shown, part) for part in parts}
        return [name, *(drawn | {"header": shown.header + notice}).values()]

    changed = switch.input(
        switched, switch, [switch, *parts.values()], api_visibility="private", **PANEL
    )
    changed.then(None, js="() => fedmed.askAgain()", api_visibility="private")


def _stories(snapshots: Snapshots) -> str:
    """What each report says, of those that are on this machine."""
    told = [
        Story(title(choice), story(report)) if (report := _report(snapshots, choice)) else None
        for choice in snapshots.choices
    ]
    return render("stories.html", stories=[one for one in told if one and one.told])


def _report(snapshots: Snapshots, choice: Choice) -> Any:
    """The report of a choice: of one that was not opened yet, no weights are read."""
    shown: Shown | None = snapshots.drawn(choice)
    if shown is not None:
        return shown.report
    # What is wrong with it is said to whoever chooses it.
    with suppress(Exception):
        snapshot = Snapshot.open(choice.folder) if choice.folder else None
        return snapshot.report if snapshot and not snapshot.between_machines else None
    return None
