"""Who connects and asks for nothing is not kept."""

from __future__ import annotations

import asyncio
import socket
import time
from types import SimpleNamespace
from urllib.parse import urlsplit

import pytest

from fedmed.server.connections import Connections
from tests.support.small_app import EVERY

ASK = b"GET /gradio_api/app_id HTTP/1.1\r\nHost: x\r\n"


@pytest.mark.parametrize(
    "sent", [b"", b"GET / HT", ASK, ASK + b"\r\n" + ASK], ids=["", "line", "head", "second"]
)
def test_the_silent_are_hung_up_on(page, sent):
    with connected(page) as connection:
        connection.sendall(sent)
        connection.settimeout(30)
        while connection.recv(2**16):
            pass


def test_who_trickles_a_head_is_hung_up_on(page):
    with connected(page) as connection, pytest.raises(OSError):
        for _ in range(300):
            connection.sendall(b"x")
            time.sleep(EVERY / 4)


def test_who_is_answered_or_asks_again_is_not():
    """At a sweep each: an answer on its way, done, another one done, and nothing since."""
    closed: list[str] = []
    connection = Connection(closed.append)
    server = SimpleNamespace(server_state=SimpleNamespace(connections={connection}))
    app = SimpleNamespace(get_blocks=lambda: SimpleNamespace(server=server))
    keeper = Connections()
    cycles = [SimpleNamespace(response_complete=done) for done in (False, True, True)]
    for cycle in (cycles[0], cycles[0], cycles[1], cycles[2]):
        connection.cycle = cycle
        asyncio.run(keeper.close_idle(app))
        assert not closed
    asyncio.run(keeper.close_idle(app))
    assert closed == ["closed"] and not keeper.idle


class Connection:
    """As much of uvicorn's as the sweeper sees."""

    cycle: object = None

    def __init__(self, tell) -> None:
        self.transport = SimpleNamespace(close=lambda: tell("closed"))


def connected(page) -> socket.socket:
    address = urlsplit(page.address)
    return socket.create_connection((address.hostname, address.port))
