"""Nothing that was started is left running, and bytes through a relay are counted."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from fedmed.errors import UserError
from fedmed.flower.processes import Processes, wait_for_port
from fedmed.flower.relay import Relay
from fedmed.flower.superlink import SuperLink

# A child in a group of its own that does not mind being asked to end.
STUBBORN = """
import signal, subprocess, sys, time
child = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(600)"
process = subprocess.Popen([sys.executable, "-c", child], start_new_session=True)
print(process.pid, flush=True)
time.sleep(600)
"""


def gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs /proc")
def test_children_of_children_end_too(tmp_path):
    with Processes(tmp_path, {}) as processes:
        process = processes.start("stubborn", [sys.executable, "-c", STUBBORN])
        while not processes.log("stubborn").strip():
            time.sleep(0.05)
        child = int(processes.log("stubborn"))
        assert processes.running("stubborn") and not gone(child)
    assert process.poll() is not None and gone(child)


PARENT = """
import sys, time
from pathlib import Path
from fedmed.flower.processes import Processes
with Processes(Path(sys.argv[1]), {}) as processes:
    print(processes.start("child", ["sleep", "600"]).pid, flush=True)
    time.sleep(600)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="prctl is Linux's")
def test_a_child_ends_with_a_parent_that_is_killed(tmp_path):
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT, tmp_path], stdout=subprocess.PIPE, text=True
    )
    child = int(parent.stdout.readline())
    assert not gone(child)
    parent.kill()
    parent.wait()
    until = time.monotonic() + 10
    while not gone(child) and time.monotonic() < until:
        time.sleep(0.05)
    assert gone(child)


def test_a_port_that_is_taken_is_told(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as other, Processes(tmp_path, {}) as processes:
        port = other.getsockname()[1]
        with pytest.raises(UserError, match=f"127.0.0.1:{port} cannot be listened on"):
            SuperLink(processes, tmp_path, tmp_path / "home", "127.0.0.1", port)


def test_a_process_that_ends_too_early_is_told(tmp_path):
    with Processes(tmp_path, {}) as processes:
        processes.start("broken", [sys.executable, "-c", "raise SystemExit('no such certificate')"])
        with pytest.raises(UserError, match="broken ended: no such certificate"):
            wait_for_port("127.0.0.1", 1, processes, "broken")
        with pytest.raises(UserError, match=r"calling failed: .*boom"):
            processes.call("calling", [sys.executable, "-c", "raise SystemExit('boom')"])


def test_a_relay_passes_on_and_counts():
    server = socket.create_server(("127.0.0.1", 0))

    def answer():
        with server.accept()[0] as connection:
            connection.sendall(connection.recv(100) * 3)

    thread = threading.Thread(target=answer)
    thread.start()
    with Relay(server.getsockname()) as relay:
        with socket.create_connection(("127.0.0.1", relay.port)) as client:
            client.sendall(b"12345")
            client.shutdown(socket.SHUT_WR)
            assert b"".join(iter(lambda: client.recv(100), b"")) == b"12345" * 3
        thread.join()
        assert (relay.up, relay.down) == (5, 15)
    server.close()
