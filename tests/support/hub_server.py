"""A loopback Hugging Face Hub, all in memory, that the real client can push to and read from.

    python -m tests.support.hub_server --port 8000

and in another shell HF_ENDPOINT=http://127.0.0.1:8000 HF_HUB_DISABLE_XET=1 HF_TOKEN=hf_write.
"""

from __future__ import annotations

import argparse
import io
import math
import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass
from http.server import ThreadingHTTPServer
from typing import Any

from tests.support.hub_protocol import ATTRIBUTES, Handler, Repository, drop


@dataclass
class Failure:
    """What befalls requests of this method whose path holds this text, and how many of them."""

    method: str
    fragment: str
    how: str
    status: int
    times: float
    headers: dict[str, str]


class HubServer:
    """Serves from entering the context to leaving it; tokens: hf_write and hf_read, both alice's.

    `requests` is every (method, path) that arrived.
    """

    def __init__(self, port: int = 0) -> None:
        self.repositories: dict[tuple[str, str], Repository] = {}
        self.blobs: dict[str, bytes] = {}
        self.tokens: dict[str, dict[str, Any]] = {}
        self.requests: list[tuple[str, str]] = []
        self.connections: set[socket.socket] = set()
        self._failures: list[Failure] = []
        self._interferences: list[tuple[str, str, Callable[[], object]]] = []
        self.add_token("hf_write", "alice", "write")
        self.add_token("hf_read", "alice", "read")
        handler = type("BoundHandler", (Handler,), {"hub": self})
        self._http = ThreadingHTTPServer(("127.0.0.1", port), handler)
        self.url = f"http://127.0.0.1:{self._http.server_port}"

    def __enter__(self) -> HubServer:
        threading.Thread(target=self.serve, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def serve(self) -> None:
        self._http.serve_forever(poll_interval=0.02)

    def stop(self) -> None:
        """Stop answering, on connections kept alive too."""
        self._http.shutdown()
        self._http.server_close()
        for connection in list(self.connections):
            drop(connection)

    def add_token(
        self, token: str, user: str, role: str, orgs: dict[str, str] | None = None, **access: Any
    ) -> None:
        """`role`: write, read or fineGrained (with `fineGrained=` as whoami gives it).

        `orgs`: the user's role in each organization.
        """
        self.tokens[token] = {
            "type": "user",
            "name": user,
            "orgs": [{"name": org, "roleInOrg": theirs} for org, theirs in (orgs or {}).items()],
            "auth": {"type": "access_token", "accessToken": {"role": role, **access}},
        }

    def fail(
        self,
        method: str,
        fragment: str,
        how: str = "status",
        *,
        status: int = 500,
        times: float = math.inf,
        headers: dict[str, str] | None = None,
    ) -> None:
        """Let requests fail.

        `how`: "status" answers with `status` and `headers`, "drop" hangs up instead of acting,
        "drop reply" after acting, "truncate" halfway through the body; "drip" sends the body a
        byte at a time, "flip" with its last byte changed, "page" sends HTML in its place.
        """
        self._failures.append(Failure(method, fragment, how, status, times, headers or {}))

    def before(self, method: str, fragment: str, action: Callable[[], object]) -> None:
        """Call `action` when the next such request arrives: another client, acting meanwhile."""
        self._interferences.append((method, fragment, action))

    def interfere(self, method: str, path: str) -> None:
        for interference in list(self._interferences):
            verb, fragment, action = interference
            if verb == method and fragment in path:
                self._interferences.remove(interference)
                action()

    def heal(self) -> None:
        self._failures.clear()

    def is_well(self) -> bool:
        return not self._failures

    def failure(self, method: str, path: str) -> Failure | None:
        for failure in self._failures:
            if failure.method == method and failure.fragment in path and failure.times > 0:
                failure.times -= 1
                return failure
        return None

    def add(
        self, name: str, files: dict[str, bytes], type: str = "models", private: bool = False
    ) -> str:
        """A repository with one commit of these files. Returns the commit."""
        repository = self.repositories[type, name] = Repository(name, private)
        return repository.commit({".gitattributes": ATTRIBUTES.encode()} | files)

    def __getitem__(self, name: str) -> Repository:
        return self.repositories["models", name]

    def count(self, method: str, fragment: str = "") -> int:
        return sum(verb == method and fragment in path for verb, path in self.requests)


def serve_parquet_dataset(
    server: HubServer,
    repo_id: str,
    splits: dict[str, list[tuple[bytes, str, int]]],
    class_names: list[str],
) -> None:
    """Add a data set of (encoded image, file name, class index) rows by split, as parquet."""
    import datasets

    features = datasets.Features(
        {"image": datasets.Image(), "label": datasets.ClassLabel(names=class_names)}
    )
    files = {}
    for split, rows in splits.items():
        columns = {
            "image": [{"bytes": data, "path": path} for data, path, _ in rows],
            "label": [label for _, _, label in rows],
        }
        buffer = io.BytesIO()
        datasets.Dataset.from_dict(columns, features=features).to_parquet(buffer)
        files[f"data/{split}-00000-of-00001.parquet"] = buffer.getvalue()
    server.add(repo_id, files, "datasets")


def main() -> None:
    parser = argparse.ArgumentParser(description="A Hugging Face Hub in memory, for trials.")
    parser.add_argument("--port", type=int, default=8000)
    server = HubServer(parser.parse_args().port)
    print(f"HF_ENDPOINT={server.url} HF_HUB_DISABLE_XET=1 HF_TOKEN=hf_write", flush=True)
    server.serve()


if __name__ == "__main__":
    main()
