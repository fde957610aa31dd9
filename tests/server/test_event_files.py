"""Files that are none: addresses, paths, others' files, and what whoever sends them is told."""

from __future__ import annotations

import json
import socket
import threading

import pytest
from gradio_client import Client, handle_file
from gradio_client.exceptions import ValidationError

from fedmed.server.event_files import ADDRESS, GONE, NO_FILE, NOT_SENT
from tests.support.app_fixtures import REPOSITORY
from tests.support.strangers import FILM, answer, ask, file, multipart, upload, works

JOIN = "/gradio_api/queue/join"


@pytest.fixture(scope="module", autouse=True)
def works_afterwards(server):
    yield
    assert works(server)


@pytest.fixture
def listener():
    """A server nobody should call: its port, and the calls it got."""
    calls: list[object] = []
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.settimeout(0.1)
        ended = threading.Event()

        def listen() -> None:
            while not ended.is_set():
                try:
                    connection, caller = listening.accept()
                except TimeoutError:
                    continue
                calls.append(caller)
                connection.close()

        thread = threading.Thread(target=listen)
        thread.start()
        yield listening.getsockname()[1], calls
        ended.set()
        thread.join()


@pytest.mark.parametrize(
    "address",
    [
        "http://127.0.0.1:{}/x.png",
        "http://localhost:{}/x.png",
        "http://[::1]:{}/x.png",
        "http://127.1:{}/x.png",
        "http://2130706433:{}/x.png",
        "http://0x7f.0.0.1:{}/x.png",
        "http://user@127.0.0.1:{}/x.png",
        "https://127.0.0.1:{}/x.png",
        "HTTP://127.0.0.1:{}/x.png",
        " http://127.0.0.1:{}/x.png",
        "ftp://127.0.0.1:{}/x.png",
        "gopher://127.0.0.1:{}/_x",
        "file:///etc/passwd?{}",
        "http://169.254.169.254:{}/latest/meta-data/",
        "https://huggingface.co:{}/",
    ],
)
def test_no_address_is_fetched(server, listener, address):
    port, calls = listener
    image = file(address.format(port))
    for body in ({"data": [image]}, {"data": [{"deep": [image]}]}):
        reply = ask(server, "POST", "/gradio_api/call/predict", body)
        assert reply.status == 422 and ADDRESS in reply.body.decode()
    reply = ask(server, "POST", "/gradio_api/call/v2/predict", {"image": image})
    assert reply.status == 422
    reply = ask(server, "POST", JOIN, {"data": [image], "fn_index": 2, "session_hash": "s"})
    assert reply.status == 422
    assert not calls


def test_an_address_beside_a_file_is_not_fetched(server, listener):
    port, calls = listener
    kept = json.loads(upload(server, multipart(("files", "film.png", FILM))).body)[0]
    reply = answer(server, file(kept, url=f"http://127.0.0.1:{port}/x.png"))
    assert b"probabilities" in reply.body
    assert not calls


def test_the_python_client_says_why(server):
    with pytest.raises(ValidationError, match=ADDRESS):
        Client(server, verbose=False).predict(
            image=handle_file("https://example.com/film.png"), api_name="/predict"
        )


@pytest.mark.parametrize(
    "path",
    [
        "/etc/passwd",
        "/proc/self/environ",
        "/dev/zero",
        "../../../../etc/passwd",
        str(REPOSITORY / "examples" / "01_normal.png"),
        "examples/01_normal.png",
        "app.py",
        "C:\\Windows\\win.ini",
        "\\\\127.0.0.1\\share\\x.png",
        "a\0b.png",
        "a" * 5000,
        "",
    ],
)
def test_only_what_was_uploaded_is_read(server, path):
    reply = answer(server, file(path))
    assert reply.status == 422 and json.loads(reply.body)["detail"][0]["message"] == GONE


def test_no_way_out_of_the_uploads(server):
    kept = json.loads(upload(server, multipart(("files", "film.png", FILM))).body)[0]
    reply = answer(server, file(f"{kept}/../../../../../../../../../../../etc/passwd"))
    assert reply.status == 422 and json.loads(reply.body)["detail"][0]["message"] == GONE


@pytest.mark.parametrize("name", ["../../../x.png", "/etc/x.png", "..\\x.png", "%2e%2e%2fx.png"])
def test_a_name_is_no_path(server, scratch, name):
    kept = json.loads(upload(server, multipart(("files", name, FILM))).body)[0]
    assert str(scratch / "uploads") in kept and ".." not in kept.split("/")


WRONG = [
    ([], NO_FILE),
    ([None, None], NO_FILE),
    ([1], NOT_SENT),
    (["/tmp/film.png"], NOT_SENT),
    (["https://example.com/film.png"], ADDRESS),
    ([[]], NOT_SENT),
    ([{}], NOT_SENT),
    ([True], NOT_SENT),
    ([{"path": 1}], NOT_SENT),
    ([{"path": None, "url": "https://example.com/film.png"}], ADDRESS),
    ([{"path": "film.png"}], GONE),
]


@pytest.mark.parametrize(("data", "told"), WRONG)
def test_whoever_sends_no_file_is_told_how(server, data, told):
    number = next(
        each["id"]
        for each in json.loads(ask(server, "GET", "/config").body)["dependencies"]
        if each["api_name"] == "predict"
    )
    queued = {"data": data, "fn_index": number, "session_hash": "wrong"}
    bodies = {"/gradio_api/call/predict": {"data": data}, JOIN: queued}
    if data:
        bodies["/gradio_api/call/v2/predict"] = {"image": data[0]}
    for path, body in bodies.items():
        reply = ask(server, "POST", path, body)
        assert reply.status == 422, path
        assert json.loads(reply.body)["detail"][0]["message"] == told


def test_a_file_need_not_say_that_it_is_one(server):
    kept = json.loads(upload(server, multipart(("files", "film.png", FILM))).body)[0]
    assert b"probabilities" in answer(server, {"path": kept}).body


@pytest.mark.parametrize("image", ["/tmp/film.png", None])
def test_the_python_client_is_told_how(server, image):
    with pytest.raises(ValidationError, match="handle_file"):
        Client(server, verbose=False).predict(image=image, api_name="/predict")
