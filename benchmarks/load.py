"""The app under load: `python -m benchmarks.load`.

A running `python app.py` reads the X-rays of examples/ for many callers at once, each with a
gradio_client of its own, on the same cores. In the same run:

- engine: the backbone alone, in batches of each size, before and after the app; the best is the
  rate that the app is held against.
- idle: the same server around a function that does nothing. Its rate is what Gradio and its client
  leave time for. `reachable` is the rate of doing both, one after the other.
- neighbours: how much an answer depends on who shares its batch.

gradio_client loads the system's certificates three times a call, for http:// too; the callers
spare themselves that (`ssl_verify=False`), but for one row.
"""

from __future__ import annotations

import argparse
import statistics
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from benchmarks import measuring
from benchmarks.serving import REPOSITORY, Server, running
from fedmed import cli
from fedmed.backbones.backbone import IMAGENET
from fedmed.inference.predictor import MOST, Prediction, Predictor
from fedmed.snapshot.reader import Snapshot
from fedmed.uploads.decode import decode_upload

EXAMPLES = sorted((REPOSITORY / "examples").glob("*.png"))
BATCHES = (1, 2, 4, 8, 16)
STEPS = 5  # of the memory's readings


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.load", description=__doc__)
    parser.add_argument("--callers", type=int, default=32, help="default: %(default)s")
    parser.add_argument("--requests", type=int, default=1000, help="default: %(default)s")
    options = parser.parse_args()
    callers, requests = options.callers, options.requests

    before = engine()
    with running(["app.py"], b"fm-model") as server:
        alone = load(server, 1, max(requests // 25, 5))
        together = load(server, callers, requests, steps=STEPS)
    after = engine()
    with running(["-m", "benchmarks.idle_app"], b"idle") as server:
        idle = load(server, callers, max(requests // 3, callers))
        as_it_is = load(server, callers, max(requests // 10, callers), certificates=True)

    rates = {size: statistics.mean((before[size], after[size])) for size in BATCHES}
    best = max(rates, key=lambda size: rates[size])
    reachable = 1 / (1 / rates[best] + 1 / idle["per_second"])
    result = {
        "engine_per_second": rates,
        "app": together,
        "app_one_caller": alone,
        "idle": idle,
        "idle_with_certificates": as_it_is,
        "neighbours": neighbours(),
        "ratio_to_engine": together["per_second"] / rates[best],
        "reachable_ratio_to_engine": reachable / rates[best],
        "ratio_to_reachable": together["per_second"] / reachable,
    }
    rows = {
        f"engine alone, batches of {best}": {"per_second": rates[best]},
        "engine alone, one by one": {"per_second": rates[1]},
        f"app, {callers} callers": together,
        "app, 1 caller": alone,
        f"idle server, {callers} callers": idle,
        "the same, clients load certificates": as_it_is,
        "reachable: engine and idle server in turn": {"per_second": reachable},
    }
    columns = ("requests", "per_second", "median_ms", "p95_ms", "server_ms", "client_ms", "errors")
    print(
        measuring.table(
            [{"": name} | {c: row.get(c) for c in columns} for name, row in rows.items()]
        )
    )
    print(f"server_ms and client_ms are processor time a call. {_words(result)}")
    print(f"written to {measuring.write('load', result)}")


def engine() -> dict[int, float]:
    """Images a second through the bundled backbone alone, by batch size."""
    import torch

    from fedmed.imaging.preprocessing import to_input

    backbone = Snapshot.open(IMAGENET).backbone
    inputs = to_input(torch.rand(max(BATCHES), 1, 224, 224))

    def passing(size: int) -> Callable[[], object]:
        return lambda: backbone.feature_maps(inputs[:size])

    seconds = measuring.median_of(7, {str(size): passing(size) for size in BATCHES})
    return {size: size / seconds[str(size)] for size in BATCHES}


def load(
    server: Server, callers: int, requests: int, *, steps: int = 1, certificates: bool = False
) -> dict[str, Any]:
    """So many requests by so many callers at once; memory after each step of them."""
    from gradio_client import Client, handle_file

    clients = [
        Client(server.url, verbose=False, ssl_verify=certificates, analytics_enabled=False)
        for _ in range(callers)
    ]
    seconds: list[float] = []
    errors: list[str] = []

    def call(client: Client, number: int) -> None:
        started = time.perf_counter()
        image = handle_file(EXAMPLES[number % len(EXAMPLES)])
        try:
            answer = client.predict(image=image, api_name="/predict")
            if len(answer["models"]) != 7:
                raise ValueError(answer)
        except Exception as error:  # whatever it is, it is counted and told
            errors.append(f"{type(error).__name__}: {error}")
        seconds.append(time.perf_counter() - started)

    def share(numbers: range) -> None:
        """These requests by all callers; each takes the next as soon as it has an answer."""
        following, lock = iter(numbers), threading.Lock()

        def caller(client: Client) -> None:
            while True:
                with lock:
                    number = next(following, None)
                if number is None:
                    return
                call(client, number)

        with ThreadPoolExecutor(callers) as pool:
            list(pool.map(caller, clients))

    share(range(2 * callers))  # until everybody has a connection and a thread
    seconds.clear()
    memory = [server.resident_mib()]
    started = time.perf_counter(), time.process_time(), server.processor_seconds()
    for step in range(steps):
        share(range(step * requests // steps, (step + 1) * requests // steps))
        memory.append(server.resident_mib())
    ended = time.perf_counter(), time.process_time(), server.processor_seconds()
    wall, client, used = (end - start for start, end in zip(started, ended, strict=True))
    for one in clients:
        one.close()
    ordered = sorted(seconds)
    return {
        "callers": callers,
        "requests": requests,
        "per_second": requests / wall,
        "median_ms": 1000 * statistics.median(ordered),
        "p95_ms": 1000 * ordered[int(0.95 * len(ordered))],
        "server_ms": 1000 * used / requests,
        "client_ms": 1000 * client / requests,
        "memory_mib": memory,
        "errors": len(errors),
        "first_errors": errors[:3],
    }


def neighbours() -> dict[str, Any]:
    """How far sharing a batch moves a probability, over the examples, and what verdicts change."""
    predictor = Predictor(Snapshot.open(IMAGENET))
    files = [path.read_bytes() for path in EXAMPLES]

    def predict(data: bytes) -> Prediction:
        return predictor.predict(decode_upload(data))

    alone = [predict(data) for data in files]
    changed, largest = 0, 0.0
    with ThreadPoolExecutor(MOST) as pool:
        shared = pool.map(predict, files * 10)
        for place, prediction in enumerate(shared):
            expected = alone[place % len(files)]
            changed += prediction.labels != expected.labels
            for model, found in prediction.probabilities.items():
                difference = abs(found["PNEUMONIA"] - expected.probabilities[model]["PNEUMONIA"])
                largest = max(largest, difference)
    return {"readings": 10 * len(files), "largest_difference": largest, "changed_verdicts": changed}


def _words(result: dict[str, Any]) -> str:
    memory = ", ".join(f"{mib:.0f}" for mib in result["app"]["memory_mib"])
    apart = result["neighbours"]
    return (
        f"The app reaches {result['ratio_to_engine']:.2f} of the engine's rate, of "
        f"{result['reachable_ratio_to_engine']:.2f} that the idle server leaves. Its memory by "
        f"steps: {memory} MiB. Sharing a batch changes a probability by at most "
        f"{apart['largest_difference']:.1e}, and {apart['changed_verdicts']} verdicts of "
        f"{apart['readings']} readings."
    )


if __name__ == "__main__":
    raise SystemExit(cli.run(main))
