"""Every private name of Gradio and uvicorn is where `gradio_internals` looks for it."""

from __future__ import annotations

import ast
import difflib
import json
import os
import threading
from collections.abc import Iterator
from http.client import HTTPConnection
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlsplit

import gradio as gr
import pytest
from gradio.routes import file_upload_statuses

import fedmed
from fedmed.server import gradio_internals
from fedmed.server.clients import client
from tests.support.strangers import ask

NAMES = {
    "Gradio's App": ("get_blocks", "state_holder"),
    "Gradio's Blocks": ("_queue", "fns", "server", "temp_file_sets"),
    "Gradio's BlockFunction": ("api_name", "inputs"),
    "Gradio's File": ("label",),
    "Gradio's Queue": (
        "active_jobs",
        "event_ids_to_events",
        "event_queue_per_concurrency_id",
        "max_size",
        "pending_event_ids_session",
        "pending_messages_per_session",
    ),
    "Gradio's EventQueue": ("queue",),
    "Gradio's Event": ("request", "session_hash"),
    "the request of Gradio's Event": ("scope",),
    "Gradio's StateHolder": ("session_data", "time_last_used"),
    "Gradio's FileUploadProgress": ("_signals", "_statuses"),
    "uvicorn's Server": ("server_state",),
    "uvicorn's ServerState": ("connections",),
    "uvicorn's connection": ("cycle", "transport"),
    "uvicorn's RequestResponseCycle": ("response_complete",),
    "asyncio's transport": ("close",),
}
CASES = [(owner, name) for owner, names in NAMES.items() for name in names]
# Names that nothing but Gradio and uvicorn would use.
TELLING = {name for _, name in CASES if "_" in name} | {"cycle", "transport"}
INTERNALS = Path(gradio_internals.__file__)


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Any, str]]:
    """An app without guards, and the id of the event that it is at work on."""
    done = threading.Event()
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("GRADIO_TEMP_DIR", str(tmp_path_factory.mktemp("uploads")))
        patched.setenv("GRADIO_ANALYTICS_ENABLED", "False")
        with gr.Blocks(analytics_enabled=False) as blocks:
            button, answer = gr.Button(), gr.HTML()
            button.click(lambda: str(done.wait(60)), None, answer, api_name="wait")
        app, address, _ = blocks.launch(prevent_thread_lock=True, quiet=True)
        host = urlsplit(address)
        kept_alive = HTTPConnection(str(host.hostname), host.port, timeout=60)
        try:
            asked = ask(address, "POST", "/gradio_api/call/wait", {"data": []})
            kept_alive.request("GET", "/gradio_api/app_id")
            kept_alive.getresponse().read()
            yield app, json.loads(asked.body)["event_id"]
        finally:
            done.set()
            kept_alive.close()
            blocks.close()


@pytest.fixture(scope="module")
def owners(live: tuple[Any, str]) -> dict[str, Any]:
    """Each object of NAMES; None where the name that leads to it has gone."""
    app, event_id = live

    def reach(start: Any, *names: str) -> Any:
        for name in names:
            start = getattr(start, name, None)
        return start

    blocks = app.get_blocks()
    queue = reach(blocks, "_queue")
    event = (reach(queue, "event_ids_to_events") or {}).get(event_id)
    lines = reach(queue, "event_queue_per_concurrency_id") or {}
    connections = reach(blocks, "server", "server_state", "connections") or ()
    answered = [one for one in list(connections) if reach(one, "cycle") is not None]
    connection = answered[0] if answered else next(iter(connections), None)
    return {
        "Gradio's App": app,
        "Gradio's Blocks": blocks,
        "Gradio's BlockFunction": next(iter((reach(blocks, "fns") or {}).values()), None),
        "Gradio's File": gr.File(),
        "Gradio's Queue": queue,
        "Gradio's EventQueue": next(iter(lines.values()), None),
        "Gradio's Event": event,
        "the request of Gradio's Event": reach(event, "request"),
        "Gradio's StateHolder": reach(app, "state_holder"),
        "Gradio's FileUploadProgress": file_upload_statuses,
        "uvicorn's Server": reach(blocks, "server"),
        "uvicorn's ServerState": reach(blocks, "server", "server_state"),
        "uvicorn's connection": connection,
        "uvicorn's RequestResponseCycle": reach(connection, "cycle"),
        "asyncio's transport": reach(connection, "transport"),
    }


def missing(owner: str, name: str, thing: object) -> str:
    """The sentence for a name that has gone, or none."""
    if hasattr(thing, name):
        return ""
    if thing is None:
        return f"nothing leads to {owner} any more, which had {name}: mend the other names first"
    near = difflib.get_close_matches(name, dir(thing))
    instead = f" (it has {', '.join(near)})" if near else ""
    return f"{owner} no longer has {name}{instead}: look at its use in {INTERNALS.name}"


@pytest.mark.parametrize(("owner", "name"), CASES, ids=[f"{o}: {n}" for o, n in CASES])
def test_no_name_has_gone(owners: dict[str, Any], owner: str, name: str) -> None:
    if problem := missing(owner, name, owners[owner]):
        pytest.fail(problem, pytrace=False)


def test_a_name_that_has_gone_is_said_in_words() -> None:
    class Queue:
        pending_messages_by_session = ()

    assert missing("Gradio's Queue", "pending_messages_per_session", Queue()) == (
        "Gradio's Queue no longer has pending_messages_per_session "
        "(it has pending_messages_by_session): look at its use in gradio_internals.py"
    )


def test_an_event_at_work_is_seen_from_every_side(live: tuple[Any, str]) -> None:
    app, event_id = live
    (event,) = gradio_internals.running_events(app)
    assert client(gradio_internals.scope_of(event)) == "127.0.0.1"
    assert gradio_internals.knows_event(app, event_id)
    assert not gradio_internals.knows_event(app, "another")
    assert gradio_internals.sessions_at_work(app) == {event.session_hash}
    assert gradio_internals.sessions_with_messages(app) == [event.session_hash]
    assert gradio_internals.unread_events(app) == {event.session_hash: {event_id}}
    assert gradio_internals.waiting_lines(app) == [[]]
    assert gradio_internals.idle_connections(app)


def test_names_of_files_that_are_there_are_kept(tmp_path: Path) -> None:
    there, gone = str(tmp_path / "there.png"), str(tmp_path / "gone.png")
    Path(there).write_bytes(b"x")
    blocks = SimpleNamespace(temp_file_sets=[{there, gone}, {gone}])
    gradio_internals.forget_deleted_files(SimpleNamespace(get_blocks=lambda: blocks))
    assert blocks.temp_file_sets == [{there}, set()]


def attributes(file: Path) -> set[str]:
    """The names that a file reads off objects other than its own `self`."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    return {
        node.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute)
        and not (isinstance(node.value, ast.Name) and node.value.id == "self")
    }


def test_no_other_file_names_them() -> None:
    package = Path(fedmed.__file__).parent
    files = [*package.rglob("*.py"), package.parent / "app.py"]
    assert {file.name: named for file in files if (named := attributes(file) & TELLING)} == {
        INTERNALS.name: TELLING
    }


def test_every_name_is_looked_for() -> None:
    public = {name for kind in (dict, set, list, os, os.path) for name in dir(kind)}
    assert attributes(INTERNALS) - public == {name for _, name in CASES} - public
