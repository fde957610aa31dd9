"""What Gradio remembers of a visit, and for how long.

It keeps the last input and answer of a session, with a copy of the page's settings, until 10,000
others have come; answers that nobody fetches until 2,000 others wait, be the next to go still at
work; and the names of those and of uploads for ever. Here a visit is forgotten as its uploads are.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from gradio.routes import App, file_upload_statuses

from fedmed.uploads.storage import OLD

UNREAD = 1000  # sessions with answers that wait to be fetched
SESSIONS = 64  # remembered at most, for `state_session_capacity` of launch(): 44 KiB and an answer


class Sessions:
    """The sweeper of visits. `forget` belongs on the event loop, as all that it changes does."""

    def __init__(self, old: float = OLD) -> None:
        self.old = timedelta(seconds=old)
        self.idle: dict[str, frozenset[str]] = {}  # since the last sweep: unread events of each
        self.uploads: set[str] = set()  # that the last sweep saw

    async def forget(self, app: App) -> None:
        """Forget sessions unused for `old` seconds, and answers unread since the last sweep."""
        state = app.state_holder
        before = datetime.now() - self.old
        for session in [name for name, used in state.time_last_used.items() if used < before]:
            state.session_data.pop(session, None)
            state.time_last_used.pop(session, None)

        queue = app.get_blocks()._queue
        messages, unread = queue.pending_messages_per_session, queue.pending_event_ids_session
        idle = {
            session: frozenset(unread.get(session, ()))
            for session in (messages.keys() | unread.keys()) - _at_work(queue)
        }
        for session in [name for name in idle if self.idle.get(name) == idle[name]]:
            messages.pop(session, None)
            unread.pop(session, None)
            del idle[session]
        self.idle = idle

        tracked, signals = file_upload_statuses._statuses, file_upload_statuses._signals
        for upload in self.uploads:
            tracked.pop(upload, None)
            signals.pop(upload, None)
        self.uploads = {*tracked, *signals}

    def make_room(self, app: App) -> None:
        """Forget the oldest answers that nobody fetched, where more than UNREAD wait."""
        queue = app.get_blocks()._queue
        messages = queue.pending_messages_per_session
        if len(messages) <= UNREAD:
            return
        at_work = _at_work(queue)
        idle = [session for session in messages if session not in at_work]
        for session in idle[: len(messages) - UNREAD // 2]:
            messages.pop(session, None)
            queue.pending_event_ids_session.pop(session, None)


def _at_work(queue: Any) -> set[str]:
    """Sessions with an event that waits or runs."""
    return {event.session_hash for event in queue.event_ids_to_events.values()}
