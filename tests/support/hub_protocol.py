"""The Hub's wire protocol, one method a route: what tests/hub_server.py serves."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

LFS_SUFFIXES = (".safetensors", ".parquet", ".png", ".jpg", ".dcm", ".pth")
ATTRIBUTES = "".join(f"*{suffix} filter=lfs diff=lfs merge=lfs -text\n" for suffix in LFS_SUFFIXES)
PREFIXES = {"models": "", "datasets": "datasets/"}


class Refusal(Exception):
    """An answer other than 200."""

    def __init__(self, status: int, message: str, code: str = "", **body: Any) -> None:
        super().__init__(message)
        self.status, self.code, self.body = status, code, {"error": message} | body


@dataclass
class Repository:
    """Files by path at every commit, oldest first. A private one is seen with any good token."""

    name: str
    private: bool = False
    commits: list[tuple[str, dict[str, bytes]]] = field(default_factory=list)

    def commit(self, files: dict[str, bytes]) -> str:
        content = sorted((path, git_oid(data)) for path, data in files.items())
        seed = f"{self.name} {len(self.commits)} {content}"
        self.commits.append((hashlib.sha1(seed.encode()).hexdigest(), files))
        return self.head

    @property
    def head(self) -> str:
        return self.commits[-1][0]

    @property
    def files(self) -> dict[str, bytes]:
        return self.commits[-1][1]

    def at(self, revision: str) -> tuple[str, dict[str, bytes]]:
        if revision == "main":
            return self.commits[-1]
        for oid, files in self.commits:
            if oid == revision:
                return oid, files
        raise Refusal(404, "Invalid rev id", "RevisionNotFound")


def is_lfs(path: str) -> bool:
    return path.endswith(LFS_SUFFIXES)


def git_oid(data: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def entry(path: str, data: bytes) -> dict[str, Any]:
    """One file as the tree describes it."""
    about: dict[str, Any] = {"type": "file", "path": path, "size": len(data), "oid": git_oid(data)}
    if is_lfs(path):
        about["lfs"] = {"oid": sha256(data), "size": len(data), "pointerSize": 130}
    return about


def drop(connection: socket.socket) -> None:
    with suppress(OSError):  # the other side may have closed it already
        connection.shutdown(socket.SHUT_RDWR)


class Handler(BaseHTTPRequestHandler):
    hub: Any  # the HubServer it answers for
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # head and body are written apart

    def setup(self) -> None:
        super().setup()
        self.hub.connections.add(self.connection)

    def finish(self) -> None:
        self.hub.connections.discard(self.connection)
        super().finish()

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        path = unquote(urlsplit(self.path).path)
        self.data = self._body()
        self.hub.requests.append((self.command, path))
        failure = self.hub.failure(self.command, path)
        how = failure.how if failure else ""
        if how == "drop":
            return self._hang_up()
        self.hub.interfere(self.command, path)
        try:
            if failure and how == "status":
                raise Refusal(failure.status, "injected failure")
            headers, body = self._route(path)
            status = 206 if "Content-Range" in headers else 200
        except Refusal as refusal:
            status, body = refusal.status, json.dumps(refusal.body).encode()
            headers = {"X-Error-Message": str(refusal), "X-Error-Code": refusal.code}
            if failure:
                headers |= failure.headers
        if how == "drop reply":
            return self._hang_up()
        if how == "page":
            headers, body = {"Content-Type": "text/html"}, b"<html>Please sign in</html>"
        if how == "flip":
            body = body[:-1] + bytes([body[-1] ^ 1])
        self.send_response(status)
        for name, value in ({"Content-Length": str(len(body))} | headers).items():
            self.send_header(name, value)
        self.end_headers()
        if how == "drip":
            return self._drip(body)
        if self.command != "HEAD":
            self.wfile.write(body[: len(body) // 2] if how == "truncate" else body)
        if how == "truncate":
            self._hang_up()

    do_HEAD = do_POST = do_PUT = do_GET

    def _drip(self, body: bytes) -> None:
        slowly = threading.Event()  # not time.sleep, which tests of the client's pauses replace
        with suppress(OSError):  # the other side may give up
            for byte in body:
                if self.hub.is_well():
                    return self._hang_up()
                self.wfile.write(bytes([byte]))
                slowly.wait(0.02)

    def _hang_up(self) -> None:
        self.close_connection = True
        self.wfile.flush()
        drop(self.connection)

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        chunks = []
        while size := int(self.rfile.readline(), 16):
            chunks.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(chunks)

    def _route(self, path: str) -> tuple[dict[str, str], bytes]:
        request = f"{self.command.replace('HEAD', 'GET')} {path}"
        for pattern, method in ROUTES:
            if match := re.fullmatch(pattern, request):
                found = match.groupdict()
                if "type" in found:
                    found["type"] = (found["type"] or "models").rstrip("/")
                answer = method(self, **{k: v for k, v in found.items() if v is not None})
                if isinstance(answer, tuple):
                    return answer
                return {"Content-Type": "application/json"}, json.dumps(answer).encode()
        raise Refusal(404, "no such route")

    def _account(self) -> dict[str, Any] | None:
        token = self.headers.get("Authorization", "").removeprefix("Bearer ")
        if token and token not in self.hub.tokens:
            raise Refusal(401, "Invalid credentials in Authorization header")
        return self.hub.tokens.get(token)

    def _readable(self, type: str, name: str) -> Repository:
        account = self._account()
        repository = self.hub.repositories.get((type, name))
        if repository is None or (repository.private and account is None):
            raise Refusal(404 if account else 401, "Repository not found", "RepoNotFound")
        return repository

    def _check_write(self, name: str) -> None:
        account = self.whoami()
        owned = {account["name"]}
        owned |= {org["name"] for org in account["orgs"] if org["roleInOrg"] != "read"}
        role = account["auth"]["accessToken"]["role"]
        if role == "read" or name.split("/")[0] not in owned:
            raise Refusal(403, f"You don't have the rights to write to {name}")

    def _writable(self, type: str, name: str) -> Repository:
        repository = self._readable(type, name)
        self._check_write(name)
        return repository

    def whoami(self) -> dict[str, Any]:
        account = self._account()
        if account is None:
            raise Refusal(401, "Invalid username or password.")
        return account

    def create(self) -> Any:
        wanted = json.loads(self.data)
        name = f"{wanted.get('organization') or self.whoami()['name']}/{wanted['name']}"
        type = wanted.get("type", "model") + "s"
        self._check_write(name)
        url = f"{self.hub.url}/{PREFIXES[type]}{name}"
        if (type, name) in self.hub.repositories:
            raise Refusal(409, "You already created this model repo", url=url)
        self.hub.add(name, {}, type, private=wanted.get("visibility") == "private")
        return {"url": url}

    def validate(self) -> Any:
        return {"errors": [], "warnings": []}

    def info(self, type: str, name: str, revision: str = "main") -> Any:
        repository = self._readable(type, name)
        oid, files = repository.at(revision)
        siblings = [{"rfilename": path} for path in sorted(files)]
        return {"id": name, "sha": oid, "private": repository.private, "siblings": siblings}

    def tree(self, type: str, name: str, revision: str, folder: str = "") -> Any:
        _, files = self._readable(type, name).at(revision)
        start = f"{folder}/" if folder else ""
        inside = [path for path in sorted(files) if path.startswith(start)]
        if not inside:
            raise Refusal(404, "No such folder", "EntryNotFound")
        if "recursive=true" in self.path.lower():
            return [entry(path, files[path]) for path in inside]
        here = [path for path in inside if "/" not in path[len(start) :]]
        below = {start + path[len(start) :].split("/")[0] for path in inside} - set(here)
        folders = [{"type": "directory", "path": path, "oid": "0" * 40} for path in sorted(below)]
        return [entry(path, files[path]) for path in here] + folders

    def paths_info(self, type: str, name: str, revision: str) -> Any:
        _, files = self._readable(type, name).at(revision)
        wanted = parse_qs(self.data.decode()).get("paths", [])
        folders = {"/".join(path.split("/")[:-1]) for path in files}
        found = [entry(path, files[path]) for path in wanted if path in files]
        return found + [
            {"type": "directory", "path": path, "oid": "0" * 40}
            for path in wanted
            if path in folders
        ]

    def preupload(self, type: str, name: str, revision: str) -> Any:
        files = self._writable(type, name).files
        described = []
        for path in (file["path"] for file in json.loads(self.data)["files"]):
            data = files.get(path)
            oid = None if data is None else sha256(data) if is_lfs(path) else git_oid(data)
            mode = "lfs" if is_lfs(path) else "regular"
            described.append({"path": path, "uploadMode": mode, "shouldIgnore": False, "oid": oid})
        return {"files": described}

    def lfs_batch(self, type: str, name: str) -> Any:
        self._writable(type, name)
        objects = []
        for wanted in json.loads(self.data)["objects"]:
            about = {"oid": wanted["oid"], "size": wanted["size"]}
            if wanted["oid"] not in self.hub.blobs:
                href = f"{self.hub.url}/lfs/{wanted['oid']}"
                about["actions"] = {"upload": {"href": href}, "verify": {"href": f"{href}/verify"}}
            objects.append(about)
        return {"transfer": "basic", "objects": objects}

    def lfs_put(self, oid: str) -> Any:
        if sha256(self.data) != oid:
            raise Refusal(400, "content does not match its oid")
        self.hub.blobs[oid] = self.data
        return {}

    def lfs_verify(self, oid: str) -> Any:
        if len(self.hub.blobs.get(oid, b"")) != json.loads(self.data)["size"]:
            raise Refusal(404, "not uploaded")
        return {}

    def commit(self, type: str, name: str, revision: str) -> Any:
        repository = self._writable(type, name)
        header, *operations = (json.loads(line) for line in self.data.splitlines())
        if header["value"].get("parentCommit", repository.head) != repository.head:
            raise Refusal(412, "A commit has happened since. Please refresh and try again.")
        files = dict(repository.files)
        for operation in operations:
            key, value = operation["key"], operation["value"]
            if key == "deletedFile":
                del files[value["path"]]
            elif key == "file":
                files[value["path"]] = base64.b64decode(value["content"])
            else:
                files[value["path"]] = self.hub.blobs[value["oid"]]
        oid = repository.commit(files)
        return {"commitUrl": f"{self.hub.url}/{name}/commit/{oid}", "commitOid": oid}

    def resolve(self, type: str, name: str, revision: str, path: str) -> Any:
        oid, files = self._readable(type, name).at(revision)
        if path not in files:
            raise Refusal(404, "Entry not found", "EntryNotFound")
        data = files[path]
        headers = {"X-Repo-Commit": oid, "ETag": f'"{git_oid(data)}"'}
        if is_lfs(path):
            headers |= {"X-Linked-ETag": f'"{sha256(data)}"', "X-Linked-Size": str(len(data))}
        if match := re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", "")):
            start, end = int(match[1]), int(match[2] or len(data) - 1)
            headers["Content-Range"] = f"bytes {start}-{min(end, len(data) - 1)}/{len(data)}"
            data = data[start : end + 1]
        return headers, data


REPO = r"(?P<type>models|datasets)/(?P<name>[^/]+/[^/]+)"
PAGE = r"(?P<type>datasets/)?(?P<name>[^/]+/[^/]+?)"
REVISION = r"(?P<revision>[^/]+)"
ROUTES: list[tuple[str, Callable[..., Any]]] = [
    (r"GET /api/whoami-v2", Handler.whoami),
    (r"POST /api/repos/create", Handler.create),
    (r"POST /api/validate-yaml", Handler.validate),
    (rf"GET /api/{REPO}", Handler.info),
    (rf"GET /api/{REPO}/revision/{REVISION}", Handler.info),
    (rf"GET /api/{REPO}/tree/{REVISION}(/(?P<folder>.+))?", Handler.tree),
    (rf"POST /api/{REPO}/paths-info/{REVISION}", Handler.paths_info),
    (rf"POST /api/{REPO}/preupload/{REVISION}", Handler.preupload),
    (rf"POST /api/{REPO}/commit/{REVISION}", Handler.commit),
    (rf"POST /{PAGE}\.git/info/lfs/objects/batch", Handler.lfs_batch),
    (r"PUT /lfs/(?P<oid>\w+)", Handler.lfs_put),
    (r"POST /lfs/(?P<oid>\w+)/verify", Handler.lfs_verify),
    (rf"GET /{PAGE}/resolve/{REVISION}/(?P<path>.+)", Handler.resolve),
]
