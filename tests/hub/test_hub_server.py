"""The loopback Hub serves data sets that the real `datasets` library loads."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from pathlib import Path

from PIL import Image

from tests.support.hub_server import HubServer, serve_parquet_dataset


def png(level: int) -> bytes:
    buffer = io.BytesIO()
    Image.new("L", (40, 40), level).save(buffer, "PNG")
    return buffer.getvalue()


def test_load_dataset_reads_what_is_served(tmp_path: Path) -> None:
    splits = {
        "train": [(png(10), "IM-0001.png", 0), (png(20), "person1_virus_2.png", 1)],
        "test": [(png(30), "person9_bacteria_3.png", 1)],
    }
    code = """
import datasets
loaded = datasets.load_dataset("alice/tiny-xrays")
for split in ("train", "test"):
    table = loaded[split]
    assert table.features["label"].names == ["NORMAL", "PNEUMONIA"]
    raw = table.cast_column("image", datasets.Image(decode=False))
    for row, decoded in zip(raw, table):
        print(split, row["image"]["path"], row["label"], decoded["image"].getpixel((0, 0)))
"""
    with HubServer() as server:
        serve_parquet_dataset(server, "alice/tiny-xrays", splits, ["NORMAL", "PNEUMONIA"])
        environment = os.environ | {
            "HF_ENDPOINT": server.url,
            "HF_HOME": str(tmp_path),
            "HF_HUB_DISABLE_XET": "1",
        }
        done = subprocess.run(
            [sys.executable, "-c", code], env=environment, capture_output=True, text=True
        )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        "train IM-0001.png 0 10",
        "train person1_virus_2.png 1 20",
        "test person9_bacteria_3.png 1 30",
    ]
