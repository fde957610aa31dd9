"""A hospital's own DICOMweb service: X-rays are searched for and retrieved (QIDO-RS, WADO-RS).

DICOM PS3.18, sections 10.4 and 10.6. The service is reached directly, without a proxy, and nothing
but its own address is: a redirect is told, not followed. Credentials come from the environment.
"""

from __future__ import annotations

import os
import re
import ssl
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

from fedmed.errors import UserError
from fedmed.flower.dicomweb_failures import Gone, failure, is_gone, may_pass

if TYPE_CHECKING:
    import requests

USER, PASSWORD = "FEDMED_DICOMWEB_USER", "FEDMED_DICOMWEB_PASSWORD"
TOKEN, AUTHORITY = "FEDMED_DICOMWEB_TOKEN", "FEDMED_DICOMWEB_CA"
SECRETS = (USER, PASSWORD, TOKEN)
UID = re.compile(r"[0-9][0-9.]{0,63}")  # also such as PS3.5 does not allow, with leading zeros
SECONDS = (10.0, 60.0)  # to connect, and between two parts of an answer
SEARCH = "a search"
PAUSES = (2.0, 8.0)  # seconds before a question is asked again, where that may help

T = TypeVar("T")


@dataclass(frozen=True)
class Instance:
    """One image of a service, as it is asked for."""

    study: str
    series: str
    uid: str
    kind: str  # its SOP Class UID


def is_address(text: str) -> bool:
    """Whether this is an address and not a folder."""
    return text.lower().startswith(("http://", "https://"))


def host_of(address: str) -> str:
    """The host of an address, which may be shown.

    Raises:
        UserError: it is no address of a service, or holds credentials, which are not shown.
    """
    try:
        parts = urlsplit(address)
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        host = ""
    if not host:
        raise UserError("--data: this address names no host; it looks like https://HOST/dicom-web")
    if parts.username is not None or parts.password is not None:
        raise UserError(
            f"--data: an address is shown in logs: leave the credentials for {host} out of it, and "
            f"set {USER} and {PASSWORD}, or {TOKEN}"
        )
    if parts.query or parts.fragment:
        raise UserError(f"--data: leave out what follows ? or # in the address of {host}")
    return host


class Service:
    """A DICOMweb service at an address.

    Raises:
        UserError: the address is none, or the environment's credentials or authority are none.
    """

    def __init__(self, address: str, environment: Mapping[str, str] = os.environ) -> None:
        host_of(address)
        self.address = address.rstrip("/")
        session = _session(environment)
        self._credentials = session.auth is not None or "Authorization" in session.headers
        try:
            from dicomweb_client import DICOMwebClient
        except ImportError as error:
            raise UserError(
                "--data: X-rays from an address need dicomweb-client, which `make flower` installs"
            ) from error
        try:
            self._client = DICOMwebClient(
                self.address, session=session, timeout=SECONDS, permissive_uid=True
            )
        except ValueError as error:
            raise UserError(f"--data {address} is no address of a DICOMweb service") from error
        self._client.set_http_retry_params(retry=False)  # it would ask again whatever the error is

    @property
    def unencrypted(self) -> bool:
        """Whether X-rays, and credentials where there are any, can be read on the way."""
        return self.address.lower().startswith("http://")

    def with_uid(self, uid: str) -> list[Instance]:
        """Find the image of a SOP Instance UID: none, or one."""
        filters = {"SOPInstanceUID": uid}
        found = self._search(lambda: self._client.search_for_instances(search_filters=filters))
        return [_instance(answer) for answer in found if _value(answer, _IMAGE) == uid][:1]

    def of_accession(self, number: str) -> list[Instance]:
        """Find the images of the studies of an accession number.

        Raises:
            Gone: one was deleted meanwhile.
        """
        filters = {"AccessionNumber": number}
        studies = self._search(lambda: self._client.search_for_studies(search_filters=filters))
        found = []
        for study in studies:
            # A service that does not know the filter would answer with every study.
            if _value(study, _ACCESSION) != number:
                continue
            found += self._of_study(study)
        return sorted(found, key=lambda instance: instance.uid)

    def _of_study(self, study: Mapping[str, Any]) -> list[Instance]:
        uid = _value(study, _STUDY)
        answers = self._search(lambda: self._client.search_for_instances(uid), "a study")
        return [_instance({_STUDY: study.get(_STUDY), **answer}) for answer in answers]

    def retrieve(self, instance: Instance) -> Any:
        """Return an image as the service stores it, a pydicom Dataset.

        Raises:
            Gone: it is not there any more.
            UserError: the service fails, or answers with something else.
        """
        one = instance
        dataset = self._ask(
            lambda: self._client.retrieve_instance(one.study, one.series, one.uid),
            f"the X-ray {one.uid}",
        )
        if str(dataset.get("SOPInstanceUID", "")) != one.uid:
            raise UserError(f"{self.address} answers with another X-ray than {one.uid}")
        return dataset

    def _search(
        self, call: Callable[[], list[dict[str, Any]]], what: str = SEARCH
    ) -> list[dict[str, Any]]:
        answers = self._ask(call, what)
        if not (isinstance(answers, list) and all(isinstance(each, dict) for each in answers)):
            raise failure(self.address, ValueError("no list"), what, self._credentials)
        return answers

    def _ask(self, call: Callable[[], T], what: str) -> T:
        for pause in (*PAUSES, None):
            try:
                return call()
            except UserError:
                raise
            # The client lets pass what requests, json and pydicom make of an answer.
            except Exception as error:
                if pause is None or not may_pass(error):
                    # Of a search, it says that no service is there.
                    if is_gone(error) and what != SEARCH:
                        raise Gone from error
                    raise failure(self.address, error, what, self._credentials) from error
                time.sleep(pause)
        raise AssertionError


# Tags, as QIDO-RS's JSON has them.
_STUDY, _SERIES, _IMAGE, _KIND = "0020000D", "0020000E", "00080018", "00080016"
_ACCESSION = "00080050"


def _value(answer: Mapping[str, Any], tag: str) -> str:
    """The one value of an attribute in QIDO-RS's JSON (PS3.18, F.2); empty where there is none."""
    element = answer.get(tag)
    values = element.get("Value") if isinstance(element, dict) else None
    return str(values[0]).strip("\0 ") if isinstance(values, list) and values else ""


def _instance(answer: Mapping[str, Any]) -> Instance:
    found = Instance(*(_value(answer, tag) for tag in (_STUDY, _SERIES, _IMAGE, _KIND)))
    if not all(UID.fullmatch(uid) for uid in (found.study, found.series, found.uid)):
        raise UserError("the DICOMweb service names an image by what is no UID")
    return found


def _session(environment: Mapping[str, str]) -> requests.Session:
    import requests

    from fedmed.flower.dicomweb_answers import WholeAnswers

    session = requests.Session()
    session.trust_env = False  # no proxy, and no credentials from ~/.netrc
    for scheme in ("http://", "https://"):
        session.mount(scheme, WholeAnswers())
    user, password, token, authority = (
        environment.get(name, "") for name in (USER, PASSWORD, TOKEN, AUTHORITY)
    )
    if bool(user) != bool(password) or (user and token):
        raise UserError(f"set {USER} and {PASSWORD}, or {TOKEN} alone")
    if user:
        session.auth = (user.encode(), password.encode())
    if token:
        if not (token.isascii() and token.isprintable()):
            raise UserError(f"{TOKEN} holds characters that no token has; it is not shown")
        session.headers["Authorization"] = f"Bearer {token}"
    if authority:
        try:
            ssl.create_default_context(cafile=authority)
        except OSError as error:  # as ssl.SSLError is
            what = "no certificate in PEM" if Path(authority).is_file() else "no such file"
            raise UserError(f"{AUTHORITY}={authority}: {what}") from error
        session.verify = authority
    return session
