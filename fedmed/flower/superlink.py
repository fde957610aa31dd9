"""Flower's SuperLink, as a coordinator runs it: over TLS, and for registered hospitals alone."""

from __future__ import annotations

import json
import socket
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from fedmed.errors import UserError
from fedmed.flower import keys, patient_superlink
from fedmed.flower.processes import Processes, wait_for_port
from fedmed.flower.supernode import QUIET, search_path

APP = Path(__file__).parents[2] / "flower"
NAME = "superlink"
CONNECTION = "fedmed"
EVERYWHERE = ("0.0.0.0", "")


def environment(home: Path) -> dict[str, str]:
    """Return what Flower's processes get beside this process's own variables."""
    return {**QUIET, "FLWR_HOME": str(home.absolute()), "PATH": search_path()}


def command(name: str) -> str:
    """Return the path of one of Flower's commands."""
    return str(Path(sys.executable).with_name(name))


class SuperLink:
    """A SuperLink that is up, with the hospitals registered whose public keys lie in `folder`.

    Raises:
        UserError: its certificate does not name it, its port is taken, or it did not come up.
    """

    def __init__(
        self, processes: Processes, folder: Path, home: Path, host: str, port: int
    ) -> None:
        self._processes = processes
        self._folder = folder
        self.address = f"{host}:{port}"
        near = _near(host)
        _check_certificate(folder, host)
        # Or another's port that answers would be taken for this SuperLink's.
        try:
            socket.create_server((host, port)).close()
        except OSError as error:
            raise UserError(
                f"{self.address} cannot be listened on ({error.strerror}): name another with "
                "--port or --host, or end what listens there"
            ) from error
        home.mkdir(parents=True, exist_ok=True)
        root = (folder / keys.CA).absolute()
        (home / "config.toml").write_text(
            f'[superlink.{CONNECTION}]\naddress = "{near}:{port}"\n'
            f"root-certificates = {json.dumps(str(root))}\n"
        )
        processes.start(
            NAME,
            [
                *(sys.executable, "-m", patient_superlink.__name__, "--host", host),
                *("--port", str(port)),
                *("--ssl-ca-certfile", str(root)),
                *("--ssl-certfile", str((folder / keys.SERVER).absolute())),
                *("--ssl-keyfile", str((folder / keys.SERVER_KEY).absolute())),
                "--enable-supernode-auth",
                *("--database", str((home / "superlink.db").absolute())),
                "--disable-runtime-dependency-installation",
            ],
        )
        wait_for_port(near, port, processes, NAME)

    def register(self) -> list[str]:
        """Register every hospital whose public key is there; return their names."""
        found = sorted((self._folder / keys.HOSPITALS).glob("*.pub"))

        def one(path: Path) -> str:
            line = [command("flwr"), "supernode", "register", str(path), CONNECTION]
            try:
                self._processes.call(f"registering {path.name}", [*line, "--name", path.stem])
            except UserError as error:
                if "already" not in str(error):  # from a run before, on the same database
                    raise
            return path.stem

        with ThreadPoolExecutor(4) as pool:
            return list(pool.map(one, found))

    def run(self, options: Mapping[str, object]) -> None:
        """Start the federation with these options; what it says goes into logs/run.log."""
        given = " ".join(f"{name}={json.dumps(value)}" for name, value in options.items())
        self._processes.start(
            "run",
            [command("flwr"), "run", str(APP), CONNECTION, "--stream", "--run-config", given],
        )


def _check_certificate(folder: Path, host: str) -> None:
    """Refuse a host that the certificate is not for: nobody would take the server for itself.

    Raises:
        UserError: naming the hosts that it is for.
    """
    certificate = folder / keys.SERVER
    named = keys.hosts(certificate)
    if _near(host).lower() in (name.lower() for name in named):
        return
    told = f"{certificate} is for {', '.join(named)} alone"
    fault = f"--host {host}: {told}, so that no hospital would know the server by that name"
    way_out = "leave out --host, which listens everywhere, or "
    if host in EVERYWHERE:
        fault = f"{told}, and not for {_near(host)}, by which this command reaches its own server"
        way_out = ""
    raise UserError(
        f"{fault}: {way_out}delete {keys.SERVER} and {keys.SERVER_KEY} there and make them again "
        f"with python -m fedmed.federation_keys {folder} and --host for every name that hospitals "
        f"use; their {keys.CA} and keys stay"
    )


def _near(host: str) -> str:
    """The name by which this machine reaches a server that listens on `host`."""
    return keys.LOOPBACK[-1] if host in EVERYWHERE else host


def node_arguments(
    *, address: str, ca: Path, key: Path, port: int, settings: Mapping[str, str]
) -> Sequence[str]:
    """Return the arguments of a SuperNode of a hospital."""
    config = " ".join(f"{name}={json.dumps(value)}" for name, value in settings.items())
    return [
        *("--superlink", address, "--root-certificates", str(ca)),
        *("--auth-supernode-private-key", str(key), "--port", str(port)),
        *("--node-config", config),
    ]
