"""Does the lab draw at 60 frames a second? `python -m benchmarks.frames` (needs a chromium).

A browser without a GPU opens the lab at desktop and at phone width, and times its own frames: with
nothing to do, during a default run, and while skew is dragged and the patients are dealt anew. A
frame is when the page's script is called to draw one. The page and the server share the cores, so
frames of the idle page are what can be had here at best.
"""

from __future__ import annotations

import argparse
import itertools
import shutil
import statistics
from typing import Any

from playwright.sync_api import Page, sync_playwright

from benchmarks import measuring
from benchmarks.serving import running
from fedmed import cli

WIDTHS = {"desktop": (1280, 1000), "phone": (390, 844)}
FRAME_MS = 1000 / 60
RECORD = """() => {
  const times = (window.fmFrames = []), tasks = (window.fmTasks = []);
  new PerformanceObserver((list) => tasks.push(...list.getEntries().map((one) => one.duration)))
    .observe({entryTypes: ["longtask"]});
  const frame = (now) => { times.push(now); requestAnimationFrame(frame); };
  requestAnimationFrame(frame);
}"""
READ = """() => {
  const read = {times: [...window.fmFrames], tasks: [...window.fmTasks]};
  window.fmFrames.length = window.fmTasks.length = 0;
  return read;
}"""


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.frames", description=__doc__)
    parser.add_argument("--runs", type=int, default=3, help="default: %(default)s")
    options = parser.parse_args()
    rows = []
    with running(["app.py"], b"fm-model") as server, sync_playwright() as driver:
        browser = driver.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox", "--disable-gpu"]
        )
        for width, size in WIDTHS.items():
            page = browser.new_page(viewport={"width": size[0], "height": size[1]})
            page.goto(server.url)
            rows += [{"width": width} | row for row in measured(page, options.runs)]
            page.close()
        browser.close()
    print(measuring.table(rows))
    print(f"written to {measuring.write('frames', {'rows': rows})}")


def measured(page: Page, runs: int) -> list[dict[str, Any]]:
    """The frames of each thing that a visitor does."""
    page.get_by_role("tab", name="Lab").click()
    page.wait_for_function("document.querySelector('.fm-lab-mix')?.textContent.includes('%')")
    run(page)  # what is computed once is not counted
    page.wait_for_timeout(8000)  # nor what is computed ahead
    page.evaluate(RECORD)
    rows = []
    for name, work in (("idle", rest), ("a run", run), ("dragging skew", drag)):
        page.evaluate(READ)
        for _ in range(runs):
            work(page)
        rows.append({"what": name} | told(page.evaluate(READ)))
    return rows


def told(read: dict[str, list[float]]) -> dict[str, Any]:
    """Frames a second, and how many of the gaps between them are longer than a frame should be."""
    times = read["times"]
    gaps = [after - before for before, after in itertools.pairwise(times)]
    late = [gap for gap in gaps if gap > 1.5 * FRAME_MS]
    return {
        "frames": len(gaps),
        "frames a second": round(1000 * len(gaps) / sum(gaps), 1),
        "median ms": round(statistics.median(gaps), 1),
        "late, %": round(100 * len(late) / len(gaps), 1),
        "longest ms": round(max(gaps)),
        "tasks above 50 ms": len(read["tasks"]),
    }


def rest(page: Page) -> None:
    page.wait_for_timeout(2000)


def run(page: Page) -> None:
    page.get_by_role("button", name="Run", exact=True).click()  # which says Stop until it ends
    page.get_by_role("button", name="Run", exact=True).wait_for()


def drag(page: Page) -> None:
    """Move the slider of skew from end to end and back, a step a frame or so."""
    slider = page.locator("[name=place]")
    slider.focus()
    for key in ["ArrowLeft"] * 40 + ["ArrowRight"] * 40:
        slider.press(key)


if __name__ == "__main__":
    raise SystemExit(cli.run(main))
