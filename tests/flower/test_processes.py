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
from fedmed.flower import keys
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


def test_what_a_run_before_said_is_not_said_again(tmp_path):
    for word in ("before", "now"):
        with Processes(tmp_path, {}) as processes:
            processes.start("run", [sys.executable, "-c", f"print({word!r})"]).wait()
            assert processes.log("run").split() == [word]
    assert (tmp_path / "run.log").read_text().split() == ["before", "now"]


@pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")
def test_children_end_whose_parent_is_gone(tmp_path):
    with Processes(tmp_path, {}) as processes:
        processes.start("stubborn", [sys.executable, "-c", STUBBORN])
        while not processes.log("stubborn").strip():
            time.sleep(0.05)
        processes.kill("stubborn")
        child = int(processes.log("stubborn"))
        assert not gone(child)
    assert gone(child)


PARENT = """
import sys, time
from pathlib import Path
from fedmed.flower.processes import Processes
with Processes(Path(sys.argv[1]), {}) as processes:
    print(processes.start("child", [sys.executable, "-c", sys.argv[2]]).pid, flush=True)
    while not processes.log("child").strip():
        time.sleep(0.05)
    print(processes.log("child").strip(), flush=True)
    time.sleep(600)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="prctl is Linux's, and so is /proc")
def test_children_and_theirs_end_with_a_parent_that_is_killed(tmp_path):
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT, tmp_path, STUBBORN], stdout=subprocess.PIPE, text=True
    )
    family = [int(parent.stdout.readline()) for _ in range(2)]
    assert not any(map(gone, family))
    parent.kill()
    parent.wait()
    until = time.monotonic() + 30
    while not all(map(gone, family)) and time.monotonic() < until:
        time.sleep(0.05)
    assert all(map(gone, family))


def test_a_port_that_is_taken_is_told(tmp_path):
    keys.make(tmp_path, ["server.example"], [])
    with socket.create_server(("127.0.0.1", 0)) as other, Processes(tmp_path, {}) as processes:
        port = other.getsockname()[1]
        with pytest.raises(UserError, match=f"127.0.0.1:{port} cannot be listened on"):
            SuperLink(processes, tmp_path, tmp_path / "home", "127.0.0.1", port)


@pytest.mark.parametrize("host", ["10.1.2.3", "other.example"])
def test_a_host_that_the_certificate_does_not_name_is_told(host, tmp_path):
    keys.make(tmp_path, ["server.example"], [])
    told = f"--host {host}: .*is for server.example, localhost, 127.0.0.1 alone.*leave out --host"
    with Processes(tmp_path, {}) as processes, pytest.raises(UserError, match=told):
        SuperLink(processes, tmp_path, tmp_path / "home", host, 1)


def test_a_certificate_of_before_loopback_was_in_it_is_told(tmp_path, monkeypatch):
    monkeypatch.setattr(keys, "LOOPBACK", ())
    keys.make(tmp_path, ["server.example"], [])
    monkeypatch.undo()
    told = r"server\.crt is for server.example alone, and not for 127.0.0.1.*: delete server.crt"
    with Processes(tmp_path, {}) as processes, pytest.raises(UserError, match=told):
        SuperLink(processes, tmp_path, tmp_path / "home", "0.0.0.0", 1)


def test_a_certificate_that_is_none_is_told(tmp_path):
    (tmp_path / keys.SERVER).write_text("not a certificate")
    with Processes(tmp_path, {}) as processes, pytest.raises(UserError, match="no certificate"):
        SuperLink(processes, tmp_path, tmp_path / "home", "127.0.0.1", 1)


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
