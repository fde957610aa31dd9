"""A federation rehearsed on one machine: all processes, a hospital killed and brought back."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from fedmed.flower import keys
from fedmed.flower.follow import Follow
from fedmed.flower.processes import Processes, free_port
from fedmed.flower.relay import Relay
from fedmed.flower.superlink import SuperLink, environment, node_arguments
from fedmed.progress import say


@dataclass(frozen=True)
class Rehearsal:
    """Where everything lies: X-rays, homes, keys, logs and what the coordinator writes."""

    folder: Path
    names: Sequence[str]

    def xrays(self, name: str) -> Path:
        """The folder of a hospital's X-rays."""
        return self.folder / "xrays" / name

    def home(self, name: str) -> Path:
        """The folder that a hospital writes to."""
        return self.folder / "homes" / name

    @property
    def output(self) -> Path:
        """The folder that the coordinator writes to."""
        return self.folder / "coordinator"

    def run(self, options: dict[str, object], *, kill: str | None) -> dict[str, tuple[int, int]]:
        """Run a federation; return the bytes on TCP of each hospital, up and down.

        `kill` is killed in the second round and started again after it.

        Raises:
            UserError: it did not end as it should.
        """
        secrets = self.folder / "keys"
        keys.make(secrets, ["localhost", "127.0.0.1"], self.names)
        port = free_port()
        started = time.monotonic()
        with ExitStack() as stack:
            home = self.folder / "superlink"
            processes = stack.enter_context(
                Processes(self.folder / "logs", environment(home.absolute()))
            )
            link = SuperLink(processes, secrets, home, "127.0.0.1", port)
            link.register()
            say(f"The SuperLink is up on {link.address}, and knows the key of each hospital.")
            relays = {}
            for name in self.names:
                relays[name] = stack.enter_context(Relay(("127.0.0.1", port)))
                self._start(processes, name, relays[name])
            link.run(options | {"hospitals": len(self.names), "output": str(self.output)})
            follow = Follow(processes, "run")
            if kill:
                follow.until("Round 1 of")
                follow.wait(lambda: processes.log(kill).count("Receiving: train") >= 2)
                processes.kill(kill)
                say(f"{kill} is killed, in mid-round (kill -9).")
                follow.until("Round 2 of")
                self._start(processes, kill, relays[kill])
                say(f"{kill} is started again, with the same key.")
            follow.until("Done:")
            say(f"The federation took {time.monotonic() - started:.0f} s.")
        return {name: (relay.up, relay.down) for name, relay in relays.items()}

    def _start(self, processes: Processes, name: str, relay: Relay) -> None:
        arguments = node_arguments(
            address=relay.address,
            ca=self.folder / "keys" / keys.CA,
            key=self.folder / "keys" / f"{name}.key",
            port=free_port(),
            settings={
                "hospital": name,
                "data": str(self.xrays(name).absolute()),
                "home": str(self.home(name).absolute()),
            },
        )
        code = "import sys; from fedmed.flower.supernode import run; run(sys.argv[1:])"
        processes.start(name, [sys.executable, "-c", code, *arguments])
