"""What Gradio remembers of a visit, and for how long.

It keeps the last input and answer of a session, with a copy of the page's settings, until 10,000
others have come; answers that nobody fetches until 2,000 others wait; and the names of those for
ever. Here a visit is forgotten as its uploads are.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from gradio.routes import App

from fedmed.page.sweeping import OLD

SESSIONS = 64  # remembered at most, for `state_session_capacity` of launch(): 44 KiB and an answer


class Visits:
    """The sweeper of visits. `forget` belongs on the event loop, as all that it changes does."""

    def __init__(self, old: float = OLD) -> None:
        self.old = timedelta(seconds=old)
        self.idle: dict[str, frozenset[str]] = {}  # since the last sweep: unread events of each

    async def forget(self, app: App) -> None:
        """Forget sessions unused for `old` seconds, and answers unread since the last sweep."""
        state = app.state_holder
        before = datetime.now() - self.old
        for session in [name for name, used in state.time_last_used.items() if used < before]:
            state.session_data.pop(session, None)
            state.time_last_used.pop(session, None)

        queue = app.get_blocks()._queue
        messages, unread = queue.pending_messages_per_session, queue.pending_event_ids_session
        at_work = {event.session_hash for event in queue.event_ids_to_events.values()}
        idle = {
            session: frozenset(unread.get(session, ()))
            for session in (messages.keys() | unread.keys()) - at_work
        }
        for session in [name for name in idle if self.idle.get(name) == idle[name]]:
            messages.pop(session, None)
            unread.pop(session, None)
            del idle[session]
        self.idle = idle
