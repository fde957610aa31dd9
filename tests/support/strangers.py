"""What strangers send, byte for byte, and what no reply to them may hold."""

from __future__ import annotations

import json
from collections.abc import Iterable
from http.client import HTTPConnection, HTTPException
from typing import NamedTuple
from urllib.parse import urlsplit

from tests.support.app_fixtures import REPOSITORY, SECRET

NEVER = (SECRET, "Traceback", "site-packages", str(REPOSITORY), "root:x:", 'File "')
FILM = (REPOSITORY / "examples" / "01_normal.png").read_bytes()


class Reply(NamedTuple):
    status: int
    headers: dict[str, str]
    body: bytes


def ask(
    server: str,
    method: str,
    path: str,
    body: object = None,
    headers: dict[str, str] | None = None,
    *,
    seconds: float = 60,
) -> Reply:
    """Send a request whose path nothing tidies; fail where the reply tells what it may not.

    `body` is bytes, an iterable of bytes (sent in chunks, without a length), or what JSON can say.
    """
    address = urlsplit(server)
    assert address.hostname and address.port
    sent = {"Host": f"{address.hostname}:{address.port}"} | (headers or {})
    data: bytes | Iterable[bytes] | None
    if body is None or isinstance(body, (bytes, Chunks)):
        data = body
    else:
        data = json.dumps(body).encode()
        sent.setdefault("Content-Type", "application/json")
    connection = HTTPConnection(address.hostname, address.port, timeout=seconds)
    try:
        connection.putrequest(method, path, skip_host=True)
        if isinstance(data, bytes):
            sent.setdefault("Content-Length", str(len(data)))
        elif data is not None:
            sent["Transfer-Encoding"] = "chunked"
        for name, value in sent.items():
            connection.putheader(name, value)
        connection.endheaders()
        _send(connection, data)
        response = connection.getresponse()
        reply = Reply(
            response.status,
            {name.lower(): value for name, value in response.getheaders()},
            response.read(),
        )
    finally:
        connection.close()
    told = reply.body.decode("utf-8", "replace") + str(reply.headers)
    for secret in NEVER:
        assert secret not in told, f"{method} {path} tells {secret!r}"
    return reply


class Chunks(NamedTuple):
    """A body sent as so many equal chunks."""

    chunk: bytes
    count: int


def _send(connection: HTTPConnection, data: bytes | Chunks | None) -> None:
    try:
        if isinstance(data, Chunks):
            for _ in range(data.count):
                connection.send(b"%x\r\n%s\r\n" % (len(data.chunk), data.chunk))
            connection.send(b"0\r\n\r\n")
        elif data is not None:
            connection.send(data)
    except (BrokenPipeError, ConnectionResetError, HTTPException):
        pass  # refused while it was sent: the answer is there to be read


def multipart(*parts: tuple[str, str | None, bytes], boundary: str = "edge") -> bytes:
    """A form of (field, file name or None, content)."""
    body = b""
    for field, name, content in parts:
        named = "" if name is None else f'; filename="{name}"'
        head = f'--{boundary}\r\nContent-Disposition: form-data; name="{field}"{named}\r\n\r\n'
        body += head.encode() + content + b"\r\n"
    return body + f"--{boundary}--\r\n".encode()


def upload(server: str, body: bytes | Chunks, query: str = "", boundary: str = "edge") -> Reply:
    headers = {"Content-Type": f"multipart/form-data; boundary={boundary}"}
    return ask(server, "POST", f"/gradio_api/upload{query}", body, headers)


def answer(server: str, image: object, headers: dict[str, str] | None = None) -> Reply:
    """What /predict says of a file that was uploaded, by hand."""
    asked = ask(server, "POST", "/gradio_api/call/predict", {"data": [image]}, headers)
    if asked.status != 200:
        return asked
    event = json.loads(asked.body)["event_id"]
    return ask(server, "GET", f"/gradio_api/call/predict/{event}", headers=headers)


def works(server: str, headers: dict[str, str] | None = None) -> bool:
    """Whether a visitor who uploads a film gets seven models' answers."""
    kept = json.loads(upload(server, multipart(("files", "film.png", FILM))).body)[0]
    reply = answer(server, file(kept), headers)
    return reply.status == 200 and reply.body.count(b'"probabilities"') == 7


def file(path: str, **more: object) -> dict[str, object]:
    """A file as an event names it."""
    return {"path": path, "meta": {"_type": "gradio.FileData"}, **more}
