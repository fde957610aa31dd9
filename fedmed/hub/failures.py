"""Why the Hub failed, and what to do about it, in words."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

from fedmed.errors import UserError

if TYPE_CHECKING:
    import httpx2


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


def pause(response: httpx2.Response) -> float | None:
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
    seconds = None if response is None else pause(response)
    if seconds is None:
        return "try again in a few minutes"
    return f"try again in {max(1, round(seconds / 60))} min"


def _plain(text: str) -> str:
    """One line of an error's text, without what may be secret: tokens, and parts of addresses."""
    text = re.sub(r"(https?://)[^\s/@'\"]*@", r"\1", " ".join(text.split()))
    text = re.sub(r"(https?://[^\s?'\"]+)\?[^\s'\"]*", r"\1", text)
    return re.sub(r"hf_\w+", "hf_***", text)
