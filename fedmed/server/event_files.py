"""The files that an event names: held to what was uploaded here, and what is wrong in a sentence.

Gradio answers the API's callers with `{"error": null}` where a file is not one it holds.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from gradio.routes import App

from fedmed.errors import FORMATS
from fedmed.server import gradio_internals
from fedmed.uploads.storage import KEPT_MINUTES

HOW = (
    "In Python give image=handle_file(PATH); over HTTP post the file to /gradio_api/upload and "
    'name what it answers: {"path": ...}.'
)
ADDRESS = "Send the file itself: this server fetches no addresses."
NO_FILE = f"No file came. Send one X-ray ({FORMATS}). {HOW}"
NOT_SENT = f"That names a file and does not send it. {HOW}"
GONE = (
    "There is no such upload here: it was never sent, or it was deleted, as all are within "
    f"{KEPT_MINUTES} minutes. Send the file again. {HOW}"
)
META = {"_type": "gradio.FileData"}


def fault(app: App, event: Mapping[str, Any], name: str, folder: Path) -> str | None:
    """What is wrong with the files of an event, if anything.

    Args:
        name: The API's name of what is called; empty where a number in the event says it.
        folder: Where uploads lie.
    """
    if any("://" in path for path in _paths(event)):
        return ADDRESS
    for value in _given(app, event, name):
        if value is None:
            return NO_FILE
        if isinstance(value, str):
            return ADDRESS if "://" in value else NOT_SENT
        if not isinstance(value, dict) or not isinstance(value.get("path"), str):
            address = isinstance(value, dict) and isinstance(value.get("url"), str)
            return ADDRESS if address else NOT_SENT
        if not _is_inside(value["path"], folder):
            return GONE
    return None


def mark(app: App, event: Mapping[str, Any], name: str) -> None:
    """Say of the files of an event that they are files, as Gradio wants it, where they do not."""
    for value in _given(app, event, name):
        if isinstance(value, dict):
            value.setdefault("meta", META)


def refusal(message: str) -> list[dict[str, Any]]:
    """Gradio's form of a refused parameter, which its Python client puts into words."""
    return [
        {"__type__": "validate", "is_valid": False, "parameter_name": "image", "message": message}
    ]


def _given(app: App, event: Mapping[str, Any], name: str) -> Iterator[Any]:
    """What stands in the place of each file; None where nothing does."""
    by_name = name.startswith("v2/")
    data = event.get("data")
    for index, label in gradio_internals.file_inputs(app, event, name.removeprefix("v2/")):
        if by_name:
            yield event.get(label)
        elif isinstance(data, list):
            yield data[index] if index < len(data) else None


def _paths(event: Any) -> Iterator[str]:
    """Every file named anywhere in an event."""
    left = [event]
    while left:
        value = left.pop()
        if isinstance(value, dict):
            left.extend(value.values())
            if isinstance(value.get("path"), str):
                yield value["path"]
        elif isinstance(value, list):
            left.extend(value)


def _is_inside(path: str, folder: Path) -> bool:
    try:
        found = os.path.realpath(path)
        return Path(found).is_relative_to(folder.resolve()) and os.path.isfile(found)
    except (OSError, ValueError):  # no path at all, as with a NUL in it
        return False
