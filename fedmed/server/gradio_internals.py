"""What Gradio and uvicorn keep private and the guards need, under plain names.

No other file names it, and `tests/server/test_gradio_internals.py` says which name a new release
of theirs has lost. Whatever changes a queue or a session belongs on the event loop.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from gradio import Request
from gradio.components import File
from gradio.routes import App, file_upload_statuses

# Events: what visitors ask for, and Gradio's queue of them.


def queue_capacity(app: App) -> int:
    """How many events may wait at once."""
    return _queue(app).max_size


def waiting_lines(app: App) -> list[list[Any]]:
    """The lists of events that wait, first come first; Gradio follows whatever is done to them."""
    return [line.queue for line in _queue(app).event_queue_per_concurrency_id.values()]


def running_events(app: App) -> list[Any]:
    """The events at work."""
    return [event for job in _queue(app).active_jobs if job for event in job]


def scope_of(event: Any) -> Mapping[str, Any]:
    """The ASGI scope of the request that asked for an event."""
    return event.request.scope


def knows_event(app: App, event: str) -> bool:
    """Whether an event waits, is at work, or has an answer to fetch."""
    queue = _queue(app)
    return (
        event in queue.pending_messages_per_session  # the API's events are sessions of their own
        or event in queue.event_ids_to_events
        or any(event in events for events in list(queue.pending_event_ids_session.values()))
    )


def inputs_of(app: App, event: Mapping[str, Any], api_name: str) -> int:
    """How many inputs what an event calls has: by its number, or else by its name; 0 if unknown."""
    called = _called(app, event, api_name)
    return len(called.inputs) if called else 0


def file_inputs(app: App, event: Mapping[str, Any], api_name: str) -> list[tuple[int, str]]:
    """The place and the label of each file among the inputs of what an event calls."""
    called = _called(app, event, api_name)
    inputs = enumerate(called.inputs if called else ())
    return [(place, block.label) for place, block in inputs if isinstance(block, File)]


def _called(app: App, event: Mapping[str, Any], api_name: str) -> Any:
    functions = app.get_blocks().fns
    number = event.get("fn_index")
    if isinstance(number, int):
        return functions.get(number)
    return next((fn for fn in functions.values() if fn.api_name == api_name), None)


# Sessions: a visitor's inputs and answers.


def sessions_with_messages(app: App) -> list[str]:
    """The sessions that Gradio keeps messages for, oldest first."""
    return list(_queue(app).pending_messages_per_session)


def unread_events(app: App) -> Mapping[str, set[str]]:
    """The events of each session whose answers nobody has fetched yet."""
    return _queue(app).pending_event_ids_session


def session_of(request: Request | None) -> str | None:
    """The session that an event is of; None of one that has none."""
    return request.session_hash if request else None


def sessions_at_work(app: App) -> set[str]:
    """The sessions with an event that waits or is at work."""
    return {event.session_hash for event in _queue(app).event_ids_to_events.values()}


def forget_messages(app: App, session: str) -> None:
    """Drop what a session has to fetch."""
    _queue(app).pending_messages_per_session.pop(session, None)
    _queue(app).pending_event_ids_session.pop(session, None)


def forget_sessions(app: App, unused_since: datetime) -> None:
    """Drop the inputs and answers of sessions not used since then."""
    state = app.state_holder
    for session in [name for name, used in state.time_last_used.items() if used < unused_since]:
        state.session_data.pop(session, None)
        state.time_last_used.pop(session, None)


# Uploads: Gradio's lists of them.


def upload_names() -> set[str]:
    """The names that callers gave their uploads, to ask how far they have come."""
    return {*file_upload_statuses._statuses, *file_upload_statuses._signals}


def forget_upload_name(name: str) -> None:
    """Drop one of `upload_names`."""
    file_upload_statuses._statuses.pop(name, None)
    file_upload_statuses._signals.pop(name, None)


def forget_deleted_files(app: App) -> None:
    """Drop from Gradio's lists the files that are no more."""
    for files in app.get_blocks().temp_file_sets:
        files.difference_update([name for name in list(files) if not os.path.exists(name)])


# Connections: uvicorn's.


def idle_connections(app: App) -> dict[Any, Any]:
    """The connections without a request under way, each with its last request or None."""
    server: Any = app.get_blocks().server
    return {
        connection: connection.cycle
        for connection in list(server.server_state.connections)
        if connection.cycle is None or connection.cycle.response_complete
    }


def close(connection: Any) -> None:
    """Hang up."""
    connection.transport.close()


def _queue(app: App) -> Any:
    return app.get_blocks()._queue
