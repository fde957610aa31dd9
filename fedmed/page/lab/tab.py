"""The Lab tab: what its drawing asks for, and what it is answered."""

from __future__ import annotations

import json
import time
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

import gradio as gr

from fedmed.data.partition import SCHEMES
from fedmed.errors import UserError
from fedmed.experiment.choices import ALGORITHMS
from fedmed.lab.pool import Event
from fedmed.lab.settings import LabSettings
from fedmed.page.lab import models, runs, source
from fedmed.page.lab.federate import LAB
from fedmed.page.rendering import render
from fedmed.page.shown import Snapshots
from fedmed.server.clients import sender
from fedmed.server.gradio_internals import session_of

BEGIN = "fedmed.lab.begin(element, trigger);"
ANSWERED = "watch('value', () => fedmed.lab.got(props.value));"
LONGEST = 4000  # characters of settings
GAP = 0.04  # seconds between two answers of a run
ASKING: dict[str, Any] = {
    "api_visibility": "private",
    "trigger_mode": "multiple",
    "show_progress": "hidden",
}


def build(snapshots: Snapshots, chosen: gr.Radio | None) -> None:
    """Put the tab together, inside a `gr.Tab`. `chosen` is the switch between snapshots, if any."""

    def run(
        event: gr.EventData, request: gr.Request, snapshot: str = snapshots.first
    ) -> Generator[str]:
        ticket, settings = _asked(event)

        def answer(**parts: Any) -> str:
            return json.dumps({"ticket": ticket, **parts}, allow_nan=False)

        try:
            found = source.find(snapshots, snapshot)
            session = session_of(request)
            events = _kept(
                runs.run(found.folder, settings, client=sender(request), session=session),
                session,
                found.folder,
            )
            sent: list[list[Any]] = [[], []]
            for number, some in enumerate(_together(events)):
                # What was sent last comes once more: a browser that is busy may miss an update.
                sent = [sent[1], some]
                yield answer(waiting=number, events=[*sent[0], *sent[1]])
        except UserError as error:
            yield answer(problem=str(error))

    def deal(event: gr.EventData, snapshot: str = snapshots.first) -> str:
        ticket, settings = _asked(event)
        try:
            found = source.find(snapshots, snapshot)
            track = source.track(found.folder, LabSettings.of(settings))
        except UserError as error:
            return json.dumps({"ticket": ticket, "dealt": True, "problem": str(error)})
        return json.dumps({"ticket": ticket, "track": track, "note": found.note})

    def stopped(request: gr.Request) -> None:
        if session := session_of(request):
            runs.LATEST.begin(session)

    def opened(snapshot: str = snapshots.first) -> None:
        try:
            runs.POOL.warm(source.find(snapshots, snapshot).folder)
        except UserError:
            return  # told when a run is asked for

    choice = [chosen] if chosen else []
    stage = gr.HTML(markup(), js_on_load=BEGIN, apply_default_css=False, elem_classes="fm-lab-home")
    rounds, deals = (
        gr.HTML(None, html_template="", js_on_load=ANSWERED, visible="hidden") for _ in range(2)
    )
    stage.submit(run, choice, rounds, **ASKING, **LAB)
    stage.input(deal, choice, deals, **ASKING, concurrency_limit=4)
    stage.stop(stopped, None, None, **ASKING)
    stage.focus(opened, choice, None, **ASKING)
    if chosen:
        chosen.input(None, js="() => fedmed.lab.redeal()", api_visibility="private")


def markup() -> str:
    """What the tab is before anything is asked: the same for every snapshot."""
    return render(
        "lab.html",
        defaults=json.dumps(LabSettings().as_json()),
        skews=json.dumps(source.SKEWS),
        alphas=json.dumps(source.ALPHAS),
        algorithms=ALGORITHMS,
        partitions=SCHEMES,
    )


def _kept(
    events: Generator[Event | None], session: str | None, folder: Path
) -> Generator[Event | None]:
    """The events of a run without its models, which stay here for the session's X-rays."""
    try:
        for event in events:
            if event and "trained" in event:
                if session:
                    models.KEPT.keep(session, folder, event)
                event = {name: part for name, part in event.items() if name != "trained"}
            yield event
    finally:
        events.close()


def _together(events: Generator[Event | None]) -> Iterator[list[Event]]:
    """The events of a run as they may be sent: those that come within GAP in one list."""
    waiting: list[Event] = []
    sent = 0.0
    try:
        for event in events:
            waiting += [] if event is None else [event]
            ends = bool(waiting) and "summary" in waiting[-1]
            if ends or event is None or time.monotonic() - sent >= GAP:
                sent = time.monotonic()
                yield waiting
                waiting = []
    finally:
        events.close()


def _asked(event: gr.EventData) -> tuple[int, dict[str, Any]]:
    """The number of what is asked, and its settings: anybody may send anything."""
    try:
        ticket, settings = event.ticket, event.settings
    except (AttributeError, TypeError):  # an event without its data, by hand
        return 0, {}
    if not isinstance(ticket, int) or not 0 <= ticket < 2**53:
        ticket = 0
    if not isinstance(settings, dict) or len(str(settings)) > LONGEST:
        settings = {}
    return ticket, settings
