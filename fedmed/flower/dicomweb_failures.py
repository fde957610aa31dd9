"""Why a DICOMweb service failed, and what to do about it, in words."""

from __future__ import annotations

import ssl
from collections.abc import Iterator

from fedmed.errors import UserError

LOGIN = (
    "set FEDMED_DICOMWEB_USER and FEDMED_DICOMWEB_PASSWORD, or FEDMED_DICOMWEB_TOKEN, "
    "in the environment"
)
AGAIN = "Run again to go on from there."


class ServiceError(UserError):
    """The service, or the way to it, failed: no mistake in the command, which may be run again."""

    exit_status = 1


class Gone(Exception):
    """What was asked for is not there any more."""


def is_gone(error: BaseException) -> bool:
    """Whether the service says that it does not have what was asked for."""
    return _status(error) in (404, 410)


def may_pass(error: BaseException) -> bool:
    """Whether asking again soon may help."""
    import requests

    status = _status(error)
    if status is not None:
        return status >= 500 or status in (408, 429)
    away = (requests.ConnectionError, requests.Timeout, requests.exceptions.ChunkedEncodingError)
    return isinstance(error, away) and not isinstance(error, requests.exceptions.SSLError)


def failure(address: str, error: BaseException, what: str, credentials: bool) -> UserError:
    """What to raise: why an answer to `what` was none. Nothing of the answer itself is shown."""
    import requests

    status = _status(error)
    if status is not None:
        return _of_status(address, status, what, credentials)
    if isinstance(error, requests.exceptions.SSLError):
        return UserError(f"{address}: {_of_tls(error)}")
    if isinstance(error, requests.Timeout):
        return ServiceError(f"{address} did not answer in time to {what}. {AGAIN}")
    if isinstance(error, requests.exceptions.ChunkedEncodingError):
        return ServiceError(f"{address} broke off its answer to {what}. {AGAIN}")
    if isinstance(error, requests.ConnectionError):
        return ServiceError(
            f"{address} cannot be reached: check the host, the port and the network. {AGAIN}"
        )
    return UserError(
        f"{address} answers, but to {what} not as DICOMweb does: check the path; Orthanc's "
        "ends in /dicom-web, dcm4chee's in /rs"
    )


def _of_status(address: str, status: int, what: str, credentials: bool) -> UserError:
    if status == 401 and credentials:
        return UserError(f"{address} does not accept these credentials (401): {LOGIN}")
    if status == 401:
        return UserError(f"{address} wants credentials (401): {LOGIN}")
    if status == 403:
        return UserError(f"{address} does not let this account have {what} (403)")
    if status in (404, 405, 410):
        return UserError(
            f"{address}: no DICOMweb service is there ({status}): check the path; Orthanc's ends "
            "in /dicom-web, dcm4chee's in /rs"
        )
    if status >= 500 or status in (408, 429):
        return ServiceError(f"{address} failed to answer {what} ({status}). {AGAIN}")
    return UserError(f"{address} refuses {what} ({status})")


def _of_tls(error: BaseException) -> str:
    causes = [cause for cause in _causes(error) if isinstance(cause, ssl.SSLError)]
    for cause in causes:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return (
                f"its certificate cannot be verified ({cause.verify_message.rstrip('.')}): name "
                "the authority that signed it, FEDMED_DICOMWEB_CA=FILE, and the host as the "
                "certificate does"
            )
    if any(cause.reason == "WRONG_VERSION_NUMBER" for cause in causes):
        return "it does not speak TLS on this port: check the port, or whether it is http://"
    return "no TLS connection comes about with it"


def _status(error: BaseException) -> int | None:
    response = getattr(error, "response", None)
    return None if response is None else int(response.status_code)


def _causes(error: BaseException) -> Iterator[BaseException]:
    """An error and what it holds: urllib3 hands its own on as arguments and as `reason`."""
    todo: list[object] = [error]
    seen: list[object] = []
    while todo:
        one = todo.pop()
        if isinstance(one, BaseException) and one not in seen:
            seen.append(one)
            yield one
            todo += [*one.args, getattr(one, "reason", None), one.__cause__, one.__context__]
