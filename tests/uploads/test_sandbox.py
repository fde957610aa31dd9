"""Uploads decoded in a process of their own, which a limit stops and which nobody has to miss."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image

from fedmed.errors import ImageError
from fedmed.imaging.decode import Decoded, decode, decode_with_colour
from fedmed.uploads import sandbox
from tests.support.image_bytes import PICTURE, overlapping, saved, with_segments

GOOD = saved(PICTURE, "PNG")

pytest.importorskip("resource", reason="this system has no limits on memory and time")


@pytest.fixture(autouse=True)
def workers_of_its_own() -> Iterator[None]:
    """Workers keep the limits that they were started with."""
    sandbox.stop()
    yield
    sandbox.stop()


def same(upload: Decoded) -> bool:
    return np.array_equal(np.asarray(upload.image), PICTURE)


def test_an_upload_is_what_decoding_says() -> None:
    colours = np.random.default_rng(0).integers(0, 256, (40, 50, 3), np.uint8)
    data = saved(colours, "PNG")
    upload = sandbox.read(data)
    assert upload.image.mode == "L"
    assert np.array_equal(np.asarray(upload.image), np.asarray(decode(data)))
    assert upload.colour == decode_with_colour(data).colour > 0


def test_a_refusal_says_what_decode_says() -> None:
    for data in (b"", b"no image", GOOD[: len(GOOD) // 2]):
        with pytest.raises(ImageError) as alone:
            decode(data)
        with pytest.raises(ImageError) as caught:
            sandbox.read(data)
        assert str(caught.value) == str(alone.value)


def test_one_worker_serves_one_upload_after_the_other() -> None:
    assert all(same(sandbox.read(GOOD)) for _ in range(3))
    assert sandbox._idle.qsize() == 1


@pytest.mark.skipif(not os.path.exists("/proc/self/environ"), reason="this system has no /proc")
def test_a_worker_knows_no_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_marker0123456789")
    monkeypatch.setenv("LC_ALL", "C.UTF-8")
    assert same(sandbox.read(GOOD))
    with open(f"/proc/{sandbox._idle.queue[0].pid}/environ", "rb") as environ:
        names = {entry.split("=")[0] for entry in environ.read().decode().split("\0") if entry}
    assert {"LC_ALL", "PYTHONPATH", "OPENBLAS_NUM_THREADS"} <= names
    known = {"PATH", "PYTHONHOME", "PYTHONUTF8", "LD_LIBRARY_PATH", "LANG", "TMPDIR", "TEMP", "TMP"}
    strange = names - known - {"PYTHONPATH", "OPENBLAS_NUM_THREADS"}
    assert {name for name in strange if not name.startswith("LC_")} == set()


def test_a_worker_starts_without_any_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        monkeypatch.delenv(name)
    assert same(sandbox.read(GOOD))


def test_a_worker_is_stopped_after_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sandbox, "MAX_SECONDS", 0.3)
    with pytest.raises(ImageError, match="too long to decode"):
        sandbox.read(with_segments(b"\xff" * 2**25))
    assert same(sandbox.read(GOOD))


def test_a_worker_is_refused_more_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    # Where memory is slow to come, its time would be over before 2 GiB of it are used.
    monkeypatch.setattr(sandbox, "MAX_MEMORY", 2**29)
    monkeypatch.setattr(sandbox, "MAX_SECONDS", 120.0)
    bomb = overlapping(60_000, 2**19)  # 30 GB, it says
    with pytest.raises(ImageError, match="too much memory"):
        sandbox.read(bomb)
    assert same(sandbox.read(GOOD))


def test_a_worker_that_crashes_takes_nobody_along() -> None:
    sandbox.read(GOOD)
    worker = sandbox._idle.get()
    os.kill(worker.pid, signal.SIGSTOP)
    sandbox._idle.put(worker)
    with ThreadPoolExecutor(1) as threads:
        reading = threads.submit(sandbox.read, GOOD)
        os.kill(worker.pid, signal.SIGKILL)  # while it has the upload, or before
        try:
            assert same(reading.result(30))
        except ImageError as error:
            assert "damaged or needs too much memory" in str(error)
    assert same(sandbox.read(GOOD))


def test_a_worker_that_died_idle_is_replaced() -> None:
    sandbox.read(GOOD)
    worker = sandbox._idle.queue[0]
    worker.kill()
    worker.wait()
    assert same(sandbox.read(GOOD))


def test_ctrl_c_is_for_the_app_and_not_for_its_workers() -> None:
    sandbox.read(GOOD)
    worker = sandbox._idle.queue[0]
    os.kill(worker.pid, signal.SIGINT)
    assert same(sandbox.read(GOOD))
    assert sandbox._idle.queue[0] is worker


def test_a_worker_whose_answer_nobody_takes_is_not_used_again(monkeypatch) -> None:
    """Its answer would be the next visitor's."""
    sandbox.read(GOOD)
    worker = sandbox._idle.queue[0]

    def interrupted(stream: object) -> bytes:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(sandbox, "receive", interrupted)
        sandbox.read(saved(PICTURE[::-1], "PNG"))
    assert worker.poll() is not None
    assert same(sandbox.read(GOOD))


def test_no_more_than_so_many_workers_for_any_number_of_threads() -> None:
    with ThreadPoolExecutor(8) as threads:
        assert all(map(same, threads.map(sandbox.read, [GOOD] * 32)))
    assert 1 <= sandbox._idle.qsize() <= sandbox.MAX_WORKERS


def test_workers_end_with_whoever_started_them() -> None:
    code = """
import os, sys
from fedmed.uploads import sandbox
sandbox.read(open(sys.argv[1], "rb").read())
print(sandbox._idle.queue[0].pid, flush=True)
os._exit(0)
"""
    film = os.path.join(os.path.dirname(__file__), "..", "..", "examples", "01_normal.png")
    done = subprocess.run(
        [sys.executable, "-c", code, film], capture_output=True, text=True, timeout=120, check=True
    )
    worker = int(done.stdout)
    for _ in range(1000):
        try:
            os.kill(worker, 0)
        except ProcessLookupError:
            return
        if _zombie(worker):
            return
        signal.sigtimedwait([], 0.02)
    pytest.fail("the worker outlived the process that started it")


def _zombie(process: int) -> bool:
    """Whether it has ended, though nobody asked how."""
    try:
        with open(f"/proc/{process}/stat") as stat:
            return stat.read().rsplit(")", 1)[1].split()[0] == "Z"
    except OSError:
        return True


def test_decoders_print_into_no_log(capfd: pytest.CaptureFixture[str]) -> None:
    damaged = saved(Image.fromarray(PICTURE), "TIFF", compression="tiff_lzw")
    with pytest.raises(ImageError):
        sandbox.read(damaged[:40] + b"\xff" * 40 + damaged[80:])
    assert capfd.readouterr() == ("", "")
