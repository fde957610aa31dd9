"""README's picture of the page: `python -m docs.screenshot` (needs a chromium)."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

from playwright.sync_api import sync_playwright

PICTURE = Path(__file__).with_name("page.png")
PORT = "7871"


def main() -> None:
    environment = os.environ | {"GRADIO_SERVER_PORT": PORT}
    app = subprocess.Popen([sys.executable, "app.py"], cwd=PICTURE.parents[1], env=environment)
    url = f"http://127.0.0.1:{PORT}/"
    try:
        _wait(url)
        with sync_playwright() as driver:
            browser = driver.chromium.launch(
                executable_path=shutil.which("chromium"), args=["--no-sandbox", "--disable-gpu"]
            )
            page = browser.new_page(viewport={"width": 1280, "height": 1000})
            page.goto(url)
            page.wait_for_load_state("networkidle")
            page.wait_for_timeout(3000)  # the first example is read
            page.screenshot(path=PICTURE)
            browser.close()
    finally:
        app.terminate()
        app.wait(20)


def _wait(url: str) -> None:
    given_up = time.monotonic() + 120
    while time.monotonic() < given_up:
        try:
            urlopen(url, timeout=5).close()
            return
        except (URLError, OSError):
            time.sleep(0.3)
    raise TimeoutError(f"app.py did not come up at {url}")


if __name__ == "__main__":
    main()
