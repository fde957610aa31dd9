"""The coordinator's server, looked for before a hospital starts anything: is it there, and is it
the one that `ca.crt` names? Flower gives up after half a minute, and tells both alike."""

from __future__ import annotations

import socket
import ssl
import time
from collections.abc import Callable
from pathlib import Path

from fedmed.errors import UserError
from fedmed.progress import say

ANSWER_SECONDS = 10.0
POLL_SECONDS = 5.0
TELL_SECONDS = 60.0
OTHER_NAME = (62, 64)  # OpenSSL's X509_V_ERR_HOSTNAME_MISMATCH and _IP_ADDRESS_MISMATCH


def wait_for(
    address: str,
    ca: Path,
    *,
    sleep: Callable[[float], None] = time.sleep,
    clock: Callable[[], float] = time.monotonic,
) -> None:
    """Wait until the server at HOST:PORT answers with a certificate of `ca`'s, however long.

    Raises:
        UserError: the address is none, or who answers is not the federation's server.
    """
    host, _, port = address.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not host or not port.isdigit() or not 0 < int(port) < 2**16:
        raise UserError(f"--join {address}: give HOST:PORT, as server.example:8443")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        context.load_verify_locations(ca)
    except ssl.SSLError as error:
        raise UserError(
            f"--ca {ca} is no certificate: ask the coordinator for ca.crt again"
        ) from error
    told = None
    while why := _try(host, int(port), address, ca, context):
        if told is None or clock() - told >= TELL_SECONDS:
            told = clock()
            say(f"{address} does not answer yet ({why}). It is tried until it does.")
        sleep(POLL_SECONDS)


def _try(host: str, port: int, address: str, ca: Path, context: ssl.SSLContext) -> str:
    """Return why there is no answer; nothing where there is a good one."""
    try:
        with (
            socket.create_connection((host, port), timeout=ANSWER_SECONDS) as plain,
            context.wrap_socket(plain, server_hostname=host),
        ):
            return ""
    except ssl.SSLCertVerificationError as error:
        if error.verify_code in OTHER_NAME:
            raise UserError(
                f"--join {address}: the server's certificate is for another name "
                f"({error.verify_message}); join by the name that the coordinator tells you"
            ) from error
        raise UserError(
            f"{address} is not the server that {ca} names ({error.verify_message}): ask the "
            "coordinator for the ca.crt of this federation, and whether the address is right"
        ) from error
    except ssl.SSLEOFError as error:
        return str(error.strerror or error)
    except ssl.SSLError as error:
        raise UserError(
            f"--join {address}: what answers there speaks no TLS ({error.reason}), and so is no "
            "coordinator's server"
        ) from error
    except OSError as error:
        return str(error.strerror or error)
