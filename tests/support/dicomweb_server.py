"""A DICOMweb service on loopback: as much of QIDO-RS and WADO-RS as is asked, and its faults."""

from __future__ import annotations

import base64
import json
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import numpy as np
from pydicom.dataset import Dataset
from pydicom.uid import generate_uid

from tests.support.dicom_files import radiograph, saved

ROOT = "/dicom-web"
CR = "1.2.840.10008.5.1.4.1.1.1"
STATED = {  # what a search answers with, by tag
    "00080016": "SOPClassUID",
    "00080018": "SOPInstanceUID",
    "00080050": "AccessionNumber",
    "0020000D": "StudyInstanceUID",
    "0020000E": "SeriesInstanceUID",
}


def exam(number: int, *views: str, **more: object) -> list[Dataset]:
    """The images of one exam of one patient, each different."""
    study, series = generate_uid(), generate_uid()
    return [
        radiograph(
            np.random.default_rng([number, place]).integers(0, 4096, (64, 64)).astype(np.uint16),
            PatientID=f"MRN-{number:05d}",
            AccessionNumber=f"A{number}",
            StudyInstanceUID=study,
            SeriesInstanceUID=series,
            Modality="DX",
            ViewPosition=view,
            **more,
        )
        for place, view in enumerate(views or ("PA",))
    ]


@dataclass
class Archive:
    """What the service holds, what it was asked, and how it fails."""

    images: list[Dataset]
    address: str = ""
    asked: list[str] = field(default_factory=list)
    authorizations: set[str | None] = field(default_factory=set)
    # Given a path, what to answer in place of the truth: status, headers, body; or None.
    fault: Callable[[str], tuple[int, dict[str, str], bytes] | None] = lambda path: None
    deaf: bool = False  # to filters: every search is answered with all

    def retrieved(self) -> int:
        return sum(path.count("/instances/") for path in self.asked)


@contextmanager
def serving(
    archive: Archive, tls: tuple[Path, Path] | None = None, host: str = "127.0.0.1"
) -> Iterator[Archive]:
    """Serve an archive, over TLS with a certificate and its key if they are given."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            archive.asked.append(self.path)
            archive.authorizations.add(self.headers["Authorization"])
            status, headers, body = archive.fault(self.path) or _answer(archive, self.path)
            self.send_response(status)
            for name, value in {"Content-Length": str(len(body)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer((host, 0), Handler)
    scheme = "http"
    if tls:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*tls)
        server.socket = context.wrap_socket(server.socket, server_side=True)
        scheme = "https"
    archive.address = f"{scheme}://{host}:{server.server_address[1]}{ROOT}"
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield archive
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def basic(user: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


def _answer(archive: Archive, path: str) -> tuple[int, dict[str, str], bytes]:
    parts = urlsplit(path)
    if not parts.path.startswith(f"{ROOT}/"):
        return 404, {}, b"no such page"
    words = parts.path.removeprefix(f"{ROOT}/").split("/")
    query = {name: values[0] for name, values in parse_qs(parts.query).items()}
    images = archive.images
    if len(words) == 6:
        wanted = [image for image in images if image.SOPInstanceUID == words[5]]
        return multipart(saved(wanted[0])) if wanted else (404, {}, b"")
    if len(words) == 3:
        images = [image for image in images if image.StudyInstanceUID == words[1]]
        if not images:
            return 404, {}, b""
    if not archive.deaf:
        for name, value in query.items():
            images = [image for image in images if getattr(image, name) == value]
    if words == ["studies"]:
        images = list({image.StudyInstanceUID: image for image in images}.values())
    if not images:
        return 204, {}, b""
    stated = [
        {tag: {"vr": "UI", "Value": [str(getattr(image, name))]} for tag, name in STATED.items()}
        for image in images
    ]
    return 200, {"Content-Type": "application/dicom+json"}, json.dumps(stated).encode()


def multipart(content: bytes) -> tuple[int, dict[str, str], bytes]:
    head = b"--frontier\r\nContent-Type: application/dicom\r\n\r\n"
    kind = 'multipart/related; type="application/dicom"; boundary=frontier'
    return 200, {"Content-Type": kind}, head + content + b"\r\n--frontier--\r\n"
