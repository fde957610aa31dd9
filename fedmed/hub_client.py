"""Reaching the Hugging Face Hub: names, tokens, bounded waits, and failures in plain words.

huggingface_hub is imported only when the Hub is used.
"""

from __future__ import annotations

import contextlib
import functools
import json
import re
import time
from collections import Counter
from collections.abc import Iterator
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

from fedmed.errors import UserError

if TYPE_CHECKING:
    import httpx2
    from huggingface_hub import HfApi

CONNECT_SECONDS = 5.0
ANSWER_SECONDS = 60.0
DOWNLOAD_ATTEMPTS = 6
PAUSE_SECONDS = 30.0  # the Hub may ask to be left alone for hours
TOKENS_PAGE = "https://huggingface.co/settings/tokens"
NO_TOKEN = (
    "the Hugging Face token holds characters that no token has; copy it again from "
    f"{TOKENS_PAGE} and run `hf auth login`, or set HF_TOKEN"
)


class HubError(UserError):
    """The Hub, or the way to it, failed: no mistake in the command, which may be run again."""

    exit_status = 1


class PublishError(HubError):
    """A snapshot could not be published."""


class FetchError(HubError):
    """A snapshot could not be fetched, and none is cached."""


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
        "response": [*hooks["response"], _refuse_long_pauses],
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


def _refuse_long_pauses(response: httpx2.Response) -> None:
    if (_pause(response) or 0) > PAUSE_SECONDS:
        response.raise_for_status()  # or the client would wait for as long as it is told to


def _pause(response: httpx2.Response) -> float | None:
    """The seconds for which the Hub asks to be left alone, if it does."""
    from huggingface_hub.utils import parse_ratelimit_headers

    if response.status_code not in (429, 503):
        return None
    limit = parse_ratelimit_headers(response.headers)
    if limit is not None and limit.remaining == 0:
        return float(limit.reset_in_seconds)
    wanted = response.headers.get("Retry-After", "").strip()
    if wanted.isascii() and wanted.isdigit():
        return float(wanted[:9])
    try:
        return parsedate_to_datetime(wanted).timestamp() - time.time()
    except (ValueError, TypeError, IndexError):
        return None


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _response(error: BaseException) -> httpx2.Response | None:
    """The Hub's answer behind an error, if it gave one."""
    responses = (getattr(cause, "response", None) for cause in _causes(error))
    return next((response for response in responses if response is not None), None)


def _status(error: BaseException) -> int | None:
    response = _response(error)
    return None if response is None else response.status_code


def may_pass(error: BaseException) -> bool:
    """Whether the Hub, or the way to it, is at fault: trying later may help."""
    status = _status(error)
    return status is None or status >= 500 or status in (408, 429)


def is_away(error: BaseException) -> bool:
    """Whether the Hub failed or was not reached; of other errors than `may_pass` is asked of."""
    import httpx2

    faults = (httpx2.RequestError, json.JSONDecodeError)
    reached = not any(isinstance(cause, faults) for cause in _causes(error))
    return may_pass(error) and not (reached and _status(error) is None)


def mended_by_user(error: BaseException) -> bool:
    """Whether another token or another name is what helps."""
    return _status(error) in (401, 403, 404)


def reason(error: BaseException, *, reading: bool = False) -> str:
    """What went wrong and what to do about it, as the end of a sentence."""
    import httpx2
    from huggingface_hub import constants
    from huggingface_hub.errors import OfflineModeIsEnabled, RevisionNotFoundError

    status = _status(error)
    causes = list(_causes(error))
    if status is None:
        if any(isinstance(cause, OfflineModeIsEnabled) for cause in causes):
            return "offline mode is on (HF_HUB_OFFLINE)"
        if any(isinstance(cause, UnicodeEncodeError) for cause in causes):  # a header
            return NO_TOKEN
        if any(isinstance(cause, httpx2.TimeoutException) for cause in causes):
            return f"{_plain(constants.ENDPOINT)} did not answer in time; check the network"
        if any(isinstance(cause, httpx2.RequestError) for cause in causes):
            return f"the connection to {_plain(constants.ENDPOINT)} failed; check the network"
        if any(isinstance(cause, json.JSONDecodeError) for cause in causes):
            return (
                f"{_plain(constants.ENDPOINT)} does not answer as the Hub does; check whether "
                "the network wants you to sign in"
            )
        for cause in causes:
            if isinstance(cause, OSError) and cause.strerror:  # without the path, which may be told
                return cause.strerror[:1].lower() + cause.strerror[1:]
        return _plain(str(error)) or type(error).__name__
    if isinstance(error, RevisionNotFoundError):
        return "it has no such revision; give a branch, a tag or a full commit hash"
    if status in (401, 403, 404) and reading:
        return (
            "it does not exist, or it is private and no accepted token was found: check the "
            "name, or run `hf auth login` or set HF_TOKEN"
        )
    if status in (409, 412) and not reading:
        return "someone else changed it meanwhile"
    answer = _plain(getattr(error, "server_message", None) or str(error))
    return {
        401: f"the Hub does not accept the token; make one with write access at {TOKENS_PAGE} "
        "and run `hf auth login`, or set HF_TOKEN",
        403: f"the token may not write there; make one with write access at {TOKENS_PAGE}",
        404: "there is no such repository, or the token may not see it",
        429: f"too many requests; {_later(error)}",
    }.get(
        status,
        f"the Hub had an error of its own (HTTP {status}); {_later(error)}"
        if status >= 500
        else f"the Hub refused it (HTTP {status}: {answer})",
    )


def _later(error: BaseException) -> str:
    response = _response(error)
    seconds = None if response is None else _pause(response)
    if seconds is None:
        return "try again in a few minutes"
    return f"try again in {max(1, round(seconds / 60))} min"


def _plain(text: str) -> str:
    """One line of an error's text, without what may be secret: tokens, and parts of addresses."""
    text = re.sub(r"(https?://)[^\s/@'\"]*@", r"\1", " ".join(text.split()))
    text = re.sub(r"(https?://[^\s?'\"]+)\?[^\s'\"]*", r"\1", text)
    return re.sub(r"hf_\w+", "hf_***", text)
