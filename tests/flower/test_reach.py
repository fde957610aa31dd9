"""A hospital finds its federation's server, waits for one that is not there, and takes no other."""

from __future__ import annotations

import socket
import ssl
import threading
from contextlib import contextmanager

import pytest

from fedmed.errors import UserError
from fedmed.flower import keys
from fedmed.flower.reach import TELL_SECONDS, wait_for


@pytest.fixture(scope="module")
def federation(tmp_path_factory):
    folder = tmp_path_factory.mktemp("keys")
    keys.make(folder, ["localhost"], [])
    return folder


@contextmanager
def server(folder, *, tls=True):
    """Its port; whoever connects is greeted, and that is all."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / keys.SERVER, folder / keys.SERVER_KEY)
    listening = socket.create_server(("127.0.0.1", 0))

    def serve():
        while True:
            try:
                plain, _ = listening.accept()
            except OSError:
                return
            try:
                if not tls:
                    plain.sendall(b"SSH-2.0-OpenSSH_9.9\r\n")
                    continue
                context.wrap_socket(plain, server_side=True).close()
            except OSError:
                continue
            finally:
                plain.close()

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield listening.getsockname()[1]
    finally:
        listening.shutdown(socket.SHUT_RDWR)
        listening.close()
        thread.join()


def test_the_federations_own_server_is_taken(federation):
    with server(federation) as port:
        wait_for(f"localhost:{port}", federation / keys.CA)


def test_one_that_is_not_there_is_waited_for_and_that_is_said_every_minute(federation, capsys):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    time = [0.0]

    class Enough(Exception):
        pass

    def sleep(seconds):
        time[0] += seconds
        if time[0] > 2.5 * TELL_SECONDS:
            raise Enough

    with pytest.raises(Enough):
        wait_for(f"127.0.0.1:{port}", federation / keys.CA, sleep=sleep, clock=lambda: time[0])
    assert capsys.readouterr().out.count("does not answer yet (Connection refused)") == 3


def test_another_federations_server_is_not_taken(federation, tmp_path):
    keys.make(tmp_path, ["localhost"], [])
    with (
        server(tmp_path) as port,
        pytest.raises(UserError, match=r"is not the server that .*ca.crt"),
    ):
        wait_for(f"localhost:{port}", federation / keys.CA)


def test_a_name_that_the_certificate_has_not_is_told(federation, monkeypatch):
    to = socket.create_connection
    monkeypatch.setattr(socket, "create_connection", lambda at, **k: to(("127.0.0.1", at[1]), **k))
    with server(federation) as port, pytest.raises(UserError, match="is for another name"):
        wait_for(f"server.example:{port}", federation / keys.CA)


def test_what_speaks_no_tls_is_no_server(federation):
    with server(federation, tls=False) as port, pytest.raises(UserError, match="speaks no TLS"):
        wait_for(f"localhost:{port}", federation / keys.CA)


@pytest.mark.parametrize("address", ["server.example", ":8443", "server.example:", "a:99999"])
def test_an_address_that_is_none_is_refused(address, federation):
    with pytest.raises(UserError, match="give HOST:PORT"):
        wait_for(address, federation / keys.CA)


def test_an_authority_that_is_none_is_refused(tmp_path):
    (tmp_path / "ca.crt").write_text("no certificate")
    with pytest.raises(UserError, match="is no certificate"):
        wait_for("localhost:8443", tmp_path / "ca.crt")
