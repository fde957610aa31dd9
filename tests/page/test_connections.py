"""Who connects and asks for nothing is not kept."""

from __future__ import annotations

import socket
import time
from http.client import HTTPConnection
from urllib.parse import urlsplit

import pytest

from tests.page.small_app import EVERY, fetch, join

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


def test_who_is_answered_or_asks_again_is_not(page):
    event = join(page, 6 * EVERY)
    connection = HTTPConnection(urlsplit(page.address).netloc)
    connection.connect()
    own = connection.sock
    for _ in range(10):
        connection.request("GET", "/gradio_api/app_id")
        assert connection.getresponse().read()
        time.sleep(EVERY / 2)
    assert connection.sock is own
    connection.close()
    assert "after" in fetch(page, event)


def connected(page) -> socket.socket:
    address = urlsplit(page.address)
    return socket.create_connection((address.hostname, address.port))
