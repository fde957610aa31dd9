"""The lab's speed, alone and beside readers of X-rays: `python -m benchmarks.lab`.

A running `python app.py` federates on the features that ship, asked by gradio_client:

- default: 20 rounds with every yardstick, once what does not depend on the press was computed, as
  it is a few seconds after the tab opens; and the same of a deal that nobody asked for before.
- crowd: as many visitors run labs at once, and nobody gets an error.
- readers: what one reader of X-rays waits for /predict, without and with that crowd.
"""

from __future__ import annotations

import argparse
import statistics
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from benchmarks import measuring
from benchmarks.load import EXAMPLES
from benchmarks.serving import Server, running
from fedmed import cli


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.lab", description=__doc__)
    parser.add_argument("--visitors", type=int, default=16, help="default: %(default)s")
    parser.add_argument("--runs", type=int, default=9, help="default: %(default)s")
    parser.add_argument("--requests", type=int, default=100, help="default: %(default)s")
    options = parser.parse_args()
    with running(["app.py"], b"fm-model") as server:
        _run(server)
        time.sleep(10)  # what is computed ahead
        default = [_run(server) for _ in range(options.runs)]
        unseen = [_run(server, seed=number) for number in range(options.runs)]
        alone = _read(server, options.requests)
        crowd, beside = _crowd(server, options.visitors, options.requests)
    result = {
        "default": _middle(default),
        "unseen_deal": _middle(unseen),
        "crowd": crowd,
        "predict_alone": alone,
        "predict_beside_crowd": beside,
        "p95_ratio": beside["p95_ms"] / alone["p95_ms"],
    }
    rows = ({"": name} | part for name, part in result.items() if isinstance(part, dict))
    columns = ("first_ms", "all_ms", "median_ms", "p95_ms", "runs", "errors")
    print(measuring.table([{"": row[""]} | {c: row.get(c) for c in columns} for row in rows]))
    print(f"/predict's p95 beside the crowd is {result['p95_ratio']:.2f} times that alone.")
    print(f"written to {measuring.write('lab', result)}")


def _run(server: Server, **settings: Any) -> tuple[float, float]:
    """Seconds until the first round and until the summary."""
    from gradio_client import Client

    client = Client(server.url, verbose=False, ssl_verify=False, analytics_enabled=False)
    try:
        begun, first, events = time.perf_counter(), 0.0, []
        for event in client.submit(**settings, api_name="/federate"):
            first = first or time.perf_counter() - begun
            events.append(event)
        if not events or "summary" not in events[-1]:
            raise ValueError("no summary came")
        return first, time.perf_counter() - begun
    finally:
        client.close()


def _middle(runs: list[tuple[float, float]]) -> dict[str, Any]:
    first, every = (statistics.median(column) for column in zip(*runs, strict=True))
    return {"first_ms": 1000 * first, "all_ms": 1000 * every, "runs": len(runs)}


def _read(server: Server, requests: int, until: threading.Event | None = None) -> dict[str, Any]:
    """What one reader waits, for so many X-rays, or until everybody else has done."""
    from gradio_client import Client, handle_file

    client = Client(server.url, verbose=False, ssl_verify=False, analytics_enabled=False)
    seconds: list[float] = []
    while not until.is_set() if until else len(seconds) < requests:
        begun = time.perf_counter()
        image = handle_file(EXAMPLES[len(seconds) % len(EXAMPLES)])
        client.predict(image=image, api_name="/predict")
        seconds.append(time.perf_counter() - begun)
    client.close()
    ordered = sorted(seconds)
    return {
        "requests": len(ordered),
        "median_ms": 1000 * statistics.median(ordered),
        "p95_ms": 1000 * ordered[int(0.95 * len(ordered))],
    }


def _crowd(server: Server, visitors: int, requests: int) -> tuple[dict[str, Any], dict[str, Any]]:
    """So many runs at once, each of a deal of its own, and a reader among them."""
    errors: list[str] = []

    def visit(number: int) -> tuple[float, float] | None:
        try:
            return _run(server, seed=1000 + number)
        except Exception as error:  # whatever it is, it is counted and told
            errors.append(f"{type(error).__name__}: {error}")
            return None

    done = threading.Event()
    with ThreadPoolExecutor(visitors + 1) as pool:
        reader = pool.submit(_read, server, requests, done)
        runs = [run for run in pool.map(visit, range(visitors)) if run]
        done.set()
        read = reader.result()
    return _middle(runs) | {"errors": len(errors), "first_errors": errors[:3]}, read


if __name__ == "__main__":
    raise SystemExit(cli.run(main))
