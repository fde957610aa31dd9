"""What the callers of `tests.endurance.soak` do, good and bad, and what each may get for it.

Every action returns a word for its outcome. What is not among the outcomes that ACTIONS allows, an
exception of the caller's included, is unexplained.
"""

from __future__ import annotations

import json
import random
import socket
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

import httpx
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError, ValidationError
from gradio_client.utils import QueueError

EXAMPLES = sorted((Path(__file__).parents[2] / "examples").glob("*.png"))
API = "gradio_api"
MEGABYTE = bytes(2**20)
FORM = {"Content-Type": "multipart/form-data; boundary=edge"}
HEAD = b'--edge\r\nContent-Disposition: form-data; name="files"; filename="film.png"\r\n\r\n'
TAIL = b"\r\n--edge--\r\n"
JUNK: list[tuple[str, object]] = [
    ("file=/etc/passwd", {}),
    ("component_server", {"data": [], "component_id": 1, "session_hash": "x", "fn_name": "x"}),
    ("queue/join", {"data": [], "fn_index": 99, "session_hash": "x"}),
    ("queue/join", []),
    ("call/predict", {"data": "x"}),
    ("call/predict", None),
    ("call/nosuch", {"data": []}),
]
SECONDS = 120  # until a caller gives up, which nothing explains


_ready: Barrier


class Caller:
    """One of many, with an address, a client and a random choice of its own."""

    def __init__(self, url: str, number: int, seed: int) -> None:
        self.url = url
        self.headers = {"X-Forwarded-For": f"203.0.113.{number}"}
        self.random = random.Random(seed * 1000 + number)
        # The server closes connections idle for 5 s: one must not be taken up just then.
        kept = httpx.Limits(keepalive_expiry=2)
        self.http = httpx.Client(base_url=url, headers=self.headers, timeout=SECONDS, limits=kept)
        self.client = self.new_client()
        self.folder = tempfile.TemporaryDirectory()
        config = self.http.get("config").json()
        # The number of the handler of a click on an example; it has no name.
        self.click = next(
            one["id"]
            for one in config["dependencies"]
            if one["api_visibility"] == "private" and one["targets"][0][1] == "click"
        )

    def new_client(self) -> Client:
        return Client(
            self.url, headers=self.headers, verbose=False, httpx_kwargs={"timeout": SECONDS}
        )

    def close(self) -> None:
        self.client.close()
        self.http.close()
        self.folder.cleanup()

    def predict(self, path: Path) -> str:
        return outcome(lambda: self.client.predict(image=handle_file(path), api_name="/predict"))

    def post(self, route: str, body: object) -> httpx.Response:
        return self.http.post(f"{API}/{route}", json=body)

    def upload(self, data: bytes) -> str:
        reply = self.http.post(f"{API}/upload", content=HEAD + data + TAIL, headers=FORM)
        reply.raise_for_status()
        return reply.json()[0]

    def file(self, name: str, data: bytes) -> Path:
        path = Path(self.folder.name) / name
        path.write_bytes(data)
        return path


def outcome(ask: Callable[[], dict]) -> str:
    """The word for what a call of `/predict` by gradio_client comes to."""
    try:
        return "answered" if len(ask()["models"]) == 7 else "half an answer"
    except QueueError:
        return "queue full"
    except ValidationError as error:
        return "refused" if "fetches no addresses" in str(error) else f"refused: {error}"
    except httpx.HTTPStatusError as error:
        return "share taken" if error.response.status_code == 429 else f"failed: {error}"
    except AppError as error:
        return "told why" if "ccepted: " in str(error) else f"told: {error}"


def film(caller: Caller) -> str:
    return caller.predict(caller.random.choice(EXAMPLES))


def damaged(caller: Caller) -> str:
    data = bytearray(caller.random.choice(EXAMPLES).read_bytes())
    cut = caller.random.randrange(len(data))
    kind = caller.random.choice(["cut", "flipped", "noise", "empty", "page"])
    if kind == "cut":
        del data[cut:]
    elif kind == "flipped":
        data[cut] ^= 1 << caller.random.randrange(8)
    else:
        made = {"noise": caller.random.randbytes(5000), "empty": b"", "page": b"<html><script>"}
        data = bytearray(made[kind])
    return caller.predict(caller.file(f"{kind}.png", bytes(data)))


def stranger_path(caller: Caller) -> str:
    """A file of the server, or none at all, in place of an upload."""
    path = caller.random.choice(["/etc/passwd", "app.py", "", "../../x", "a\0b"])
    image = {"path": path, "meta": {"_type": "gradio.FileData"}}
    return by_hand(caller, [caller.random.choice([image, None, 1, "text", [], {}])])


def by_hand(caller: Caller, data: list) -> str:
    reply = caller.post("call/predict", {"data": data})
    if reply.status_code == 422:
        return "told why" if "upload" in reply.text else reply.text
    if reply.status_code != 200:
        return {503: "queue full", 429: "share taken"}.get(reply.status_code, f"{reply}")
    told = caller.http.get(f"{API}/call/predict/{reply.json()['event_id']}").text
    return "error" if "event: error" in told else "answered" if "models" in told else told


def address(caller: Caller) -> str:
    return outcome(
        lambda: caller.client.predict(
            image=handle_file("http://127.0.0.1:9/x.png"), api_name="/predict"
        )
    )


def oversize(caller: Caller) -> str:
    def chunks() -> Iterator[bytes]:
        yield HEAD
        for _ in range(66):
            yield MEGABYTE
        yield TAIL

    reply = caller.http.post(f"{API}/upload", content=chunks(), headers=FORM)
    return "refused" if reply.status_code == 413 else f"{reply}"


def broken_off(caller: Caller) -> str:
    """An upload whose sender leaves half-way."""
    place = urlsplit(caller.url)
    assert place.hostname and place.port
    lines = [f"POST /{API}/upload HTTP/1.1", f"Host: {place.netloc}", "Content-Length: 900000"]
    lines += [f"{name}: {value}" for name, value in (FORM | caller.headers).items()]
    with socket.create_connection((place.hostname, place.port), timeout=SECONDS) as connection:
        connection.sendall("\r\n".join([*lines, "", ""]).encode() + HEAD)
        connection.sendall(bytes(caller.random.randrange(400_000)))
    return "left"


def abandoned(caller: Caller) -> str:
    """An event whose answer nobody fetches, or whose asker leaves while it waits."""
    kept = caller.upload(caller.random.choice(EXAMPLES).read_bytes())
    image = {"path": kept, "meta": {"_type": "gradio.FileData"}}
    reply = caller.post("call/predict", {"data": [image]})
    if reply.status_code != 200:
        return {503: "queue full", 429: "share taken"}.get(reply.status_code, f"{reply}")
    if caller.random.random() < 0.5:
        event = reply.json()["event_id"]
        with caller.http.stream("GET", f"{API}/call/predict/{event}") as stream:
            stream.read() if caller.random.random() < 0.1 else None
    return "left"


def page_visit(caller: Caller) -> str:
    """The page, and a click on one of its examples, or on one that is not there."""
    caller.http.get("/").raise_for_status()
    session = f"soak{caller.random.getrandbits(60):x}"
    number = caller.random.randrange(-1, 4)
    body = {"data": [None], "fn_index": caller.click, "session_hash": session}
    reply = caller.post("queue/join", body | {"event_data": {"example": number}})
    if reply.status_code != 200:
        return {503: "queue full", 429: "share taken"}.get(reply.status_code, f"{reply}")
    told = caller.http.get(f"{API}/queue/data", params={"session_hash": session}).text
    if number < 0:
        return "told why" if "no such example" in told else told
    return "answered" if "fm-answer" in told else told


def facts(caller: Caller) -> str:
    name = caller.random.choice(["/report", "/models"])
    try:
        return "answered" if caller.client.predict(api_name=name) else "nothing"
    except QueueError:
        return "queue full"
    except httpx.HTTPStatusError as error:
        return "share taken" if error.response.status_code == 429 else f"failed: {error}"


def junk(caller: Caller) -> str:
    route, body = caller.random.choice(JUNK)
    reply = caller.post(route, body)
    return "refused" if reply.status_code in (400, 404, 405, 422, 429) else f"{reply}"


def newcomer(caller: Caller) -> str:
    """The caller's client is dropped for a new one, as when a page is loaded anew."""
    caller.client = caller.new_client()
    return "came"


class Action(NamedTuple):
    """What a caller does, how often among the others, and what may come of it."""

    do: Callable[[Caller], str]
    weight: int
    allowed: frozenset[str]


BUSY = {"queue full", "share taken"}
ACTIONS = {
    "film": Action(film, 40, frozenset({"answered"} | BUSY)),
    "damaged file": Action(damaged, 15, frozenset({"answered", "told why"} | BUSY)),
    "no upload": Action(stranger_path, 8, frozenset({"error", "told why"} | BUSY)),
    "address": Action(address, 4, frozenset({"refused"} | BUSY)),
    "oversize": Action(oversize, 1, frozenset({"refused"})),
    "upload broken off": Action(broken_off, 6, frozenset({"left"})),
    "event abandoned": Action(abandoned, 6, frozenset({"left"} | BUSY)),
    "page and click": Action(page_visit, 10, frozenset({"answered", "told why"} | BUSY)),
    "report, models": Action(facts, 4, frozenset({"answered"} | BUSY)),
    "junk": Action(junk, 8, frozenset({"refused"})),
    "new client": Action(newcomer, 1, frozenset({"came"})),
}


def get_ready(ready: Barrier) -> None:
    """In a new process: what all wait for before any of them calls."""
    global _ready
    _ready = ready


def call_for(
    url: str, numbers: list[int], seed: int, seconds: float
) -> tuple[Counter[tuple[str, str]], list[str]]:
    """Callers in threads, for so long: their outcomes counted, and the unexplained ones."""
    callers = [Caller(url, number, seed) for number in numbers]
    _ready.wait()
    ends = time.monotonic() + seconds
    counts: Counter[tuple[str, str]] = Counter()
    unexplained: list[str] = []

    def call(caller: Caller) -> None:
        names = list(ACTIONS)
        weights = [ACTIONS[name].weight for name in names]
        while time.monotonic() < ends:
            name = caller.random.choices(names, weights)[0]
            try:
                said = ACTIONS[name].do(caller)
            except Exception as error:
                said = repr(error)
            if said not in ACTIONS[name].allowed:
                unexplained.append(json.dumps([name, said[:500]]))
                said = "unexplained"
            counts[name, said] += 1
        caller.close()

    threads = [threading.Thread(target=call, args=(caller,)) for caller in callers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return counts, unexplained
