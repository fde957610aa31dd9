"""A relay that counts the bytes of every connection through it: what really is on the wire."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress
from types import TracebackType

from fedmed.flower.processes import free_port

_BLOCK = 1 << 16


class Relay:
    """Listens on `address` and passes all on to a server, encrypted or not, as it comes."""

    def __init__(self, server: tuple[str, int]) -> None:
        self._server = server
        self.port = free_port()
        self.address = f"127.0.0.1:{self.port}"
        self.up = self.down = 0
        self._lock = threading.Lock()
        self._listener = socket.create_server(("127.0.0.1", self.port))

    def __enter__(self) -> Relay:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:  # closed
                return
            try:
                server = socket.create_connection(self._server)
            except OSError:
                client.close()
                continue
            for source, sink, way in ((client, server, "up"), (server, client, "down")):
                threading.Thread(target=self._pass, args=(source, sink, way), daemon=True).start()

    def _pass(self, source: socket.socket, sink: socket.socket, way: str) -> None:
        with suppress(OSError):
            while block := source.recv(_BLOCK):
                with self._lock:  # before anybody has them who may ask how many there were
                    setattr(self, way, getattr(self, way) + len(block))
                sink.sendall(block)
        with suppress(OSError):
            sink.shutdown(socket.SHUT_WR)  # the other direction may still go on
