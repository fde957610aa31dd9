"""Sessions are forgotten on schedule, and no more of their answers kept than UNREAD.

Gradio keeps the last input and answer of a session, with a copy of the page's settings, until
10,000 others have come; answers that nobody fetches until 2,000 others wait, even where the next
to go is still at work; and the names of those and of uploads for ever. Here a session is forgotten
when its uploads are.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from gradio.routes import App

from fedmed.server import gradio_internals
from fedmed.uploads.storage import OLD

UNREAD = 1000  # sessions with answers that wait to be fetched
SESSIONS = 64  # remembered at most, for `state_session_capacity` of launch(): 44 KiB and an answer


class Sessions:
    """Forgets sessions: `forget` is for `Cleanup`, `make_room` for `QueueShare`.

    Both belong on the event loop, as everything that they change does.

    Args:
        old: Seconds after which an unused session is forgotten.
    """

    def __init__(self, old: float = OLD) -> None:
        self.old = timedelta(seconds=old)
        self.idle: dict[str, frozenset[str]] = {}  # unread events of each, at the last sweep
        self.uploads: set[str] = set()  # names of uploads, at the last sweep

    async def forget(self, app: App) -> None:
        """Forget sessions unused for `old` seconds, and answers unread since the last sweep."""
        gradio_internals.forget_sessions(app, unused_since=datetime.now() - self.old)
        self._forget_answers(app)
        for name in self.uploads:
            gradio_internals.forget_upload_name(name)
        self.uploads = gradio_internals.upload_names()

    def _forget_answers(self, app: App) -> None:
        unread = gradio_internals.unread_events(app)
        known = {*gradio_internals.sessions_with_messages(app), *unread}
        idle = {
            session: frozenset(unread.get(session, ()))
            for session in known - gradio_internals.sessions_at_work(app)
        }
        unchanged = [name for name, events in idle.items() if self.idle.get(name) == events]
        for session in unchanged:
            gradio_internals.forget_messages(app, session)
            del idle[session]
        self.idle = idle

    def make_room(self, app: App) -> None:
        """Forget the oldest answers that nobody fetched, where more than UNREAD wait."""
        sessions = gradio_internals.sessions_with_messages(app)
        if len(sessions) <= UNREAD:
            return
        at_work = gradio_internals.sessions_at_work(app)
        idle = [session for session in sessions if session not in at_work]
        for session in idle[: len(sessions) - UNREAD // 2]:
            gradio_internals.forget_messages(app, session)
