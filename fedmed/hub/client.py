"""Reaching the Hugging Face Hub: names, tokens and bounded waits.

huggingface_hub is imported only when the Hub is used.
"""

from __future__ import annotations

import contextlib
import functools
from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING

from fedmed.errors import UserError
from fedmed.hub.failures import (
    NO_TOKEN,
    TOKENS_PAGE,
    pause,
)

if TYPE_CHECKING:
    import httpx2
    from huggingface_hub import HfApi


CONNECT_SECONDS = 5.0
ANSWER_SECONDS = 60.0
DOWNLOAD_ATTEMPTS = 6
PAUSE_SECONDS = 30.0  # the Hub may ask to be left alone for hours


def check_name(repo: str) -> None:
    """Raise UserError unless `repo` is USER/REPO as the Hub allows it."""
    from huggingface_hub.errors import HFValidationError
    from huggingface_hub.utils import validate_repo_id

    try:
        validate_repo_id(repo)
    except HFValidationError as error:
        raise UserError(f"'{repo}' is not a repository name, USER/REPO: {error}") from error
    if "/" not in repo:
        raise UserError(f"'{repo}' is not a repository name: give USER/REPO.")


def find_token(token: str | None) -> str:
    """This token, else the one the user has logged in with.

    Raises UserError if there is none, or none that can be sent; it is not shown.
    """
    from huggingface_hub import get_token

    token = token or get_token()
    if not token:
        raise UserError(
            "no Hugging Face token: run `hf auth login`, or set HF_TOKEN to a token with write "
            f"access ({TOKENS_PAGE})."
        )
    if not (token.isascii() and token.isprintable()):
        raise UserError(f"{NO_TOKEN}.")
    return token


def open_api(token: str | None) -> HfApi:
    """The Hub's client (HF_ENDPOINT's, if set), with bounded waits."""
    from huggingface_hub import HfApi

    _bound_waiting()
    return HfApi(token=token, library_name="fedmed")


@functools.cache
def _bound_waiting() -> None:
    """Bound the waits of the Hub's client in this process; most of its calls have no limit."""
    import httpx2
    from huggingface_hub import get_session, set_client_factory

    hooks = get_session().event_hooks
    hooks = {
        "request": [*hooks["request"], _bound],
        "response": [*hooks["response"], _refuse_longpauses],
    }
    set_client_factory(
        lambda: httpx2.Client(event_hooks=hooks, follow_redirects=True, timeout=None)
    )


def file_sizes(api: HfApi, repo: str, commit: str | None) -> dict[str, int]:
    """The bytes of every file of a repository, by name."""
    from huggingface_hub.hf_api import RepoFile

    entries = api.list_repo_tree(repo, recursive=True, revision=commit)
    return {entry.path: entry.size for entry in entries if isinstance(entry, RepoFile)}


@contextlib.contextmanager
def few_attempts() -> Iterator[None]:
    """Let a request be made DOWNLOAD_ATTEMPTS times, and then fail.

    The client resumes a broken download for as long as any byte arrives: for ever, from a server
    that always breaks off.
    """
    import httpx2
    from huggingface_hub import get_session

    asked: Counter[str] = Counter()
    answers: dict[str, httpx2.Response] = {}

    def count(request: httpx2.Request) -> None:
        what = f"{request.method} {request.url}"
        asked[what] += 1
        if asked[what] > DOWNLOAD_ATTEMPTS:
            if what in answers and answers[what].is_error:
                answers[what].raise_for_status()
            raise httpx2.TransportError("broke off too often", request=request)

    def remember(response: httpx2.Response) -> None:
        answers[f"{response.request.method} {response.request.url}"] = response

    hooks = get_session().event_hooks
    hooks["request"].append(count)
    hooks["response"].append(remember)
    try:
        yield
    finally:
        hooks["request"].remove(count)
        hooks["response"].remove(remember)


def _bound(request: httpx2.Request) -> None:
    asked = request.extensions.get("timeout", {})
    bounds = {name: asked.get(name) or ANSWER_SECONDS for name in ("read", "write", "pool")}
    bounds["connect"] = min(asked.get("connect") or CONNECT_SECONDS, CONNECT_SECONDS)
    request.extensions["timeout"] = bounds


def _refuse_longpauses(response: httpx2.Response) -> None:
    if (pause(response) or 0) > PAUSE_SECONDS:
        response.raise_for_status()  # or the client would wait for as long as it is told to


PROBE_SECONDS = 10.0
