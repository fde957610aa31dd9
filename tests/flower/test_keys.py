"""Certificates and keys: over them a client and a server speak TLS, and no others do."""

from __future__ import annotations

import socket
import ssl
import stat
import threading

import pytest
from cryptography.hazmat.primitives import serialization

from fedmed.errors import UserError
from fedmed.flower import keys


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("keys")
    keys.make(folder, ["localhost", "127.0.0.1"], ["hospital_1", "hospital_2"])
    return folder


def greet(folder, authority, host: str) -> str:
    """Speak TLS to a server with `folder`'s certificate; return its greeting."""
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(folder / keys.SERVER, folder / keys.SERVER_KEY)
    listener = socket.create_server(("127.0.0.1", 0))

    def serve():
        try:
            with server.wrap_socket(listener.accept()[0], server_side=True) as connection:
                connection.sendall(b"hello")
        except OSError:
            pass

    thread = threading.Thread(target=serve)
    thread.start()
    client = ssl.create_default_context(cafile=authority / keys.CA)
    try:
        with (
            socket.create_connection(listener.getsockname()) as plain,
            client.wrap_socket(plain, server_hostname=host) as connection,
        ):
            return connection.recv(9).decode()
    finally:
        thread.join()
        listener.close()


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
def test_hospitals_know_the_server_by_its_authority(folder, host):
    assert greet(folder, folder, host) == "hello"


def test_another_authority_or_another_name_is_refused(folder, tmp_path):
    keys.make(tmp_path, ["localhost"], [])
    for authority, host in ((tmp_path, "localhost"), (folder, "elsewhere.example")):
        with pytest.raises(ssl.SSLCertVerificationError):
            greet(folder, authority, host)


def test_private_keys_are_their_owners_alone_and_of_the_curve_that_flower_takes(folder):
    for path in folder.glob("*.key"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    private = (folder / "hospital_1.key").read_bytes()
    key = serialization.load_ssh_private_key(private, None)
    public = (folder / keys.HOSPITALS / "hospital_1.pub").read_bytes()
    assert key.curve.name == "secp384r1"
    assert serialization.load_ssh_public_key(public) == key.public_key()


def test_a_hospital_can_be_added_and_nothing_is_written_twice(folder):
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    written = keys.make(folder, ["localhost"], ["hospital_1", "hospital_3"])
    assert [path.name for path in written] == ["hospital_3.key", "hospital_3.pub"]
    assert all(path.read_bytes() == content for path, content in before.items())


def test_without_the_authoritys_key_no_server_is_signed(tmp_path):
    keys.make(tmp_path, ["localhost"], [])
    for name in (keys.CA_KEY, keys.SERVER, keys.SERVER_KEY):
        (tmp_path / name).unlink()
    with pytest.raises(UserError, match=r"ca\.key is needed"):
        keys.make(tmp_path, ["localhost"], [])
