"""Uploads go on schedule, and with the app."""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
import stat
import subprocess
import sys
import time
from pathlib import Path

import gradio as gr

from fedmed.server.guards import guard
from fedmed.uploads import storage
from fedmed.uploads.storage import Uploads, files_in, folder_of_its_own
from tests.support.strangers import FILM, multipart, upload


def put(folder: Path, name: str, size: int = 10, age: float = 0.0) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(bytes(size))
    if age:
        time.sleep(age)
    return path


def test_uploads_go_on_schedule_from_a_running_app(tmp_path, monkeypatch):
    """Those that were asked about and those that Gradio forgot."""
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path))
    monkeypatch.setenv("GRADIO_ANALYTICS_ENABLED", "False")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with folder_of_its_own() as folder:
        with gr.Blocks(analytics_enabled=False) as page:
            gr.File(type="binary")
        _, address, _ = page.launch(
            server_port=port,
            prevent_thread_lock=True,
            quiet=True,
            app_kwargs=guard(Uploads(folder, old=0.5, empty=0.2), every=0.2),
        )
        try:
            assert upload(address, multipart(("files", "film.png", FILM))).status == 200
            assert upload(address, multipart(("other", "film.png", FILM))).status == 200
            assert page.upload_file_set
            given_up = time.monotonic() + 60
            while list(folder.iterdir()) and time.monotonic() < given_up:
                time.sleep(0.1)
            assert not list(folder.iterdir())
            assert not page.upload_file_set
        finally:
            page.close()


def test_only_what_is_old_goes(tmp_path, monkeypatch):
    old = put(tmp_path, "a/old.png", age=0.3)
    new = put(tmp_path, "b/new.png")
    swept = new.stat().st_ctime  # at once, however long this process was kept waiting
    monkeypatch.setattr(storage.time, "time", lambda: swept)
    Uploads(tmp_path, old=0.2).sweep()
    assert not old.exists() and new.exists()


def test_a_folder_may_be_empty_for_a_file_that_is_about_to_come(tmp_path):
    coming = tmp_path / "coming"
    coming.mkdir()
    Uploads(tmp_path).sweep()
    assert coming.exists()
    Uploads(tmp_path, empty=-1).sweep()
    assert not coming.exists()


def test_beyond_the_bound_the_oldest_go_first(tmp_path):
    paths = [put(tmp_path, f"{index}/x.png", size=100, age=0.02) for index in range(5)]
    uploads = Uploads(tmp_path, bound=250)
    uploads.sweep()
    assert [path.exists() for path in paths] == [False, False, False, True, True]
    assert uploads.held == 200


def test_room_is_made_between_sweeps(tmp_path):
    uploads = Uploads(tmp_path, bound=250)
    paths = []
    for index in range(5):
        asyncio.run(uploads.accept(100))
        paths.append(put(tmp_path, f"{index}/x.png", size=100, age=0.02))
    left = sum(path.stat().st_size for path in paths if path.exists())
    assert left <= 250 and paths[-1].exists()


def test_what_goes_away_while_it_is_looked_for_is_left_out(tmp_path):
    for name in ("a", "b", "c"):
        (tmp_path / name).mkdir()
        for film in ("1.png", "2.png"):
            (tmp_path / name / film).write_bytes(b"x")
    looking = files_in(tmp_path)
    first, _ = next(looking)
    for path in tmp_path.iterdir():
        shutil.rmtree(path)
    assert first.name in ("1.png", "2.png")
    assert list(looking) == []


def test_the_folder_is_this_users_alone_and_goes_with_the_app(tmp_path):
    environment = {"GRADIO_TEMP_DIR": str(tmp_path / "to" / "make")}
    with folder_of_its_own(environment) as folder:
        assert folder.parent == (tmp_path / "to" / "make").resolve()
        assert environment["GRADIO_TEMP_DIR"] == str(folder)
        (folder / "film.png").write_bytes(b"x")
        if os.name == "posix":
            assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert not folder.exists()


def test_what_a_killed_app_left_goes_when_the_next_one_starts(tmp_path):
    """And nothing of one that runs, or of anybody else."""
    start = "import sys, time; from fedmed.uploads.storage import folder_of_its_own as own"
    start += (
        "; entered = own({'GRADIO_TEMP_DIR': sys.argv[1]}); print(entered.__enter__(), flush=1)"
    )
    start += "; time.sleep(600)"
    apps, folders = [], []
    for _ in range(2):
        command = [sys.executable, "-c", start, str(tmp_path)]
        app = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert app.stdout
        apps.append(app)
        folders.append(Path(app.stdout.readline().strip()))
        (folders[-1] / "film.png").write_bytes(b"x")
    (tmp_path / "theirs").mkdir()
    apps[0].kill()
    apps[0].wait()
    try:
        with folder_of_its_own({"GRADIO_TEMP_DIR": str(tmp_path)}) as folder:
            assert {path.name for path in tmp_path.iterdir() if path.is_dir()} == {
                "theirs",
                folder.name,
                folders[1].name,
            }
    finally:
        apps[1].kill()
        apps[1].wait()
