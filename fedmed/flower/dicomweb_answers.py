"""Answers of a DICOMweb service, had whole before they are read: bounded in size and in time."""

from __future__ import annotations

import io
import time
from typing import Any
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter

from fedmed.errors import UserError
from fedmed.imaging.decode import MAX_MEBIBYTES
from fedmed.imaging.dicom import DEFLATED

FRAMING = 2**20  # bytes around an X-ray
SECONDS = 600.0  # for one answer, however steadily it drips


class WholeAnswers(HTTPAdapter):
    """Requests' way to a service: nothing is followed, nothing endless is waited for."""

    def send(self, request: requests.PreparedRequest, **options: Any) -> requests.Response:
        """Ask, and return the answer with all its bytes.

        Raises:
            UserError: it is a redirect, or larger than any X-ray, or an X-ray that is deflated.
            requests.RequestException: it breaks off, takes too long, or never comes.
        """
        request.headers.pop("Host", None)  # the client names it without its port
        answer = super().send(request, **(options | {"stream": True}))
        with answer:
            if answer.is_redirect:
                raise UserError(_elsewhere(request, answer))
            body = io.BytesIO()
            until = time.monotonic() + SECONDS
            for part in answer.iter_content(2**20):
                body.write(part)
                if body.tell() > MAX_MEBIBYTES * 2**20 + FRAMING:
                    raise UserError(
                        f"the DICOMweb service answers with more than the {MAX_MEBIBYTES} MiB that "
                        f"an X-ray may have, to {_path(request)}"
                    )
                if time.monotonic() > until:
                    raise requests.ReadTimeout(f"no whole answer in {SECONDS:.0f} s")
        # pydicom would inflate all of it, however large, before anything can be seen.
        if DEFLATED.search(body.getbuffer()):
            raise UserError(
                f"the DICOMweb service stores {_path(request)} deflated, which cannot be read "
                "here; leave it out of --labels"
            )
        body.seek(0)
        whole = requests.Response()
        whole.status_code, whole.reason = answer.status_code, answer.reason
        whole.url, whole.request, whole.raw = answer.url, request, body
        whole.headers = answer.headers.copy()
        whole.headers.pop("Content-Encoding", None)  # it is undone
        return whole


def _path(request: requests.PreparedRequest) -> str:
    return urlsplit(request.url or "").path


def _elsewhere(request: requests.PreparedRequest, answer: requests.Response) -> str:
    asked, told = urlsplit(request.url or ""), urlsplit(answer.headers.get("location", ""))
    to = f"{told.scheme or asked.scheme}://{told.netloc or asked.netloc}{told.path}"
    return (
        f"the DICOMweb service sends {asked.path} on to {to}, and is not followed there: give "
        "the address that answers by itself, or credentials if that is where to log in"
    )
