"""What Gradio remembers of visits goes, but not while somebody waits."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from types import SimpleNamespace

from gradio.routes import file_upload_statuses

from fedmed.server import sessions
from fedmed.server.sessions import SESSIONS
from tests.support.small_app import EVERY, OLD, comes, fetch, join
from tests.support.strangers import FILM, ask, multipart, upload

LONG = OLD + 5 * EVERY


def remembered(page: SimpleNamespace) -> list[dict]:
    queue, state = page.app.get_blocks()._queue, page.app.state_holder
    return [
        state.session_data,
        state.time_last_used,
        queue.pending_messages_per_session,
        queue.pending_event_ids_session,
    ]


def test_a_visit_is_forgotten_whether_its_answer_was_read_or_not(page):
    assert "after 0" in fetch(page, join(page, 0))
    assert "after 0" in fetch(page, join(page, 0, "visitor"))
    unread = join(page, 0, "gone")
    assert all(remembered(page)), "Gradio has other names for it now"
    assert comes(lambda: not any(remembered(page)))
    assert fetch(page, unread) == "404"
    assert "after 0" in fetch(page, join(page, 0, "visitor")), "a visitor who comes again"


def test_who_waits_is_answered_however_long_it_takes(page):
    event = join(page, LONG)
    assert f"after {LONG}" in fetch(page, event)


def test_an_answer_waits_for_its_reader_from_one_sweep_to_the_next(page):
    """And no sweep of a busy app takes one that has just come."""
    for _ in range(20):
        event = join(page, 0, "busy")
        assert "after 0" in fetch(page, event)


def test_an_answer_is_there_after_one_sweep_and_gone_after_two():
    queue = SimpleNamespace(
        pending_messages_per_session={"idle": [], "works": []},
        pending_event_ids_session={"idle": {"1"}, "works": {"2"}},
        event_ids_to_events={"2": SimpleNamespace(session_hash="works")},
    )
    app = SimpleNamespace(
        state_holder=SimpleNamespace(session_data={}, time_last_used={}),
        get_blocks=lambda: SimpleNamespace(_queue=queue),
    )
    keeper = sessions.Sessions()
    asyncio.run(keeper.forget(app))
    assert set(queue.pending_messages_per_session) == {"idle", "works"}
    queue.pending_event_ids_session["idle"] = {"1", "3"}  # there is a new one
    asyncio.run(keeper.forget(app))
    assert set(queue.pending_messages_per_session) == {"idle", "works"}
    asyncio.run(keeper.forget(app))
    assert set(queue.pending_messages_per_session) == {"works"}


def test_no_more_sessions_are_remembered_than_said(page):
    page.sessions.old = timedelta(hours=1)
    for number in range(SESSIONS + 5):
        fetch(page, join(page, 0, f"visitor{number}"))
    assert len(page.app.state_holder.session_data) == SESSIONS


def test_names_of_uploads_are_forgotten(page, monkeypatch):
    named: list[str] = []
    track = file_upload_statuses.track
    monkeypatch.setattr(
        file_upload_statuses, "track", lambda upload: (named.append(upload), track(upload))
    )
    form = multipart(("files", "film.png", FILM))
    assert upload(page.address, form, "?upload_id=mine").status == 200
    assert named == ["mine"], "Gradio has another place for it now"
    assert ask(page.address, "GET", "/gradio_api/upload_progress?upload_id=foreign").status == 404
    assert comes(lambda: not file_upload_statuses._signals and not file_upload_statuses._statuses)


def test_unread_answers_of_others_do_not_push_out_who_waits(page, monkeypatch):
    page.sessions.old = timedelta(hours=1)
    monkeypatch.setattr(sessions, "UNREAD", 10)
    queue = page.app.get_blocks()._queue
    queue.pending_messages_per_session.max_size = 20
    event = join(page, 10, "waits")
    for number in range(30):
        join(page, 0, f"flood{number}")
        assert len(queue.pending_messages_per_session) <= 12
        if event in queue.event_ids_to_events:  # not on a machine that takes so long
            assert "waits" in queue.pending_messages_per_session
