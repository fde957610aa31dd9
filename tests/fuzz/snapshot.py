"""Coverage-guided fuzzing of everything that a snapshot's files go through when it is opened.

    pip install atheris
    python -m tests.fuzz.snapshot CORPUS -max_total_time=1200 -max_len=65536 -rss_limit_mb=2048

CORPUS is a folder, filled with seeds where empty, or a file to run again; the options are
libFuzzer's. An input's first byte says which of a snapshot's files the others are. Each must load
or raise UserError, and a report that is accepted must also show.
"""

from __future__ import annotations

import sys
import tempfile
import warnings
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["fedmed", "safetensors"]):
    import torchvision  # noqa: F401  (first: it is large, and not ours to instrument)

    from fedmed.backbones import network_files
    from fedmed.backbones.weights import SINGLE, read_state
    from fedmed.errors import UserError
    from fedmed.inference import out_of_distribution, views
    from fedmed.page.report_tab import tab as page
    from fedmed.report import table
    from fedmed.snapshot.manifest import CONFIG, EXAMPLES, REPORT, seal
    from fedmed.snapshot.original import read_model
    from fedmed.snapshot.reader import Snapshot

from tests.fuzz import seeds
from tests.support.reports import example_config, example_report

FOLDER = Path(tempfile.mkdtemp())


def config(data: bytes) -> None:
    (FOLDER / CONFIG).write_bytes(data)
    snapshot = Snapshot.open(FOLDER)
    assert {"central", "federated"} <= set(snapshot.models)
    assert isinstance(snapshot.examples, list)


def evaluation(data: bytes) -> None:
    folder = FOLDER / "report"
    folder.mkdir(exist_ok=True)
    (folder / REPORT).write_bytes(data)
    stored = Snapshot(folder, {}).report
    assert page.html(stored)
    assert table.table(stored)


def examples(data: bytes) -> None:
    folder = FOLDER / "with_examples"
    (folder / EXAMPLES).parent.mkdir(parents=True, exist_ok=True)
    (folder / EXAMPLES).write_bytes(data)
    for entry in Snapshot(folder, {"files": {EXAMPLES: "", "examples/1.png": ""}}).examples:
        assert entry["file"] == "1.png"


def head(data: bytes) -> None:
    (FOLDER / "head.bin").write_bytes(data)
    models = {"central": {"file": "head.bin"}}
    heads = Snapshot(FOLDER, {"models": models}).heads()
    assert heads.weight.shape == (1, 2, 512) and heads.bias.shape == (1, 2)


def backbone(data: bytes) -> None:
    (FOLDER / "backbone.bin").write_bytes(data)
    read_state(FOLDER / "backbone.bin")


def index(data: bytes) -> None:
    folder = FOLDER / "sharded"
    folder.mkdir(exist_ok=True)
    (folder / f"{SINGLE}.index.json").write_bytes(data)
    read_state(folder)


def statistics(data: bytes) -> None:
    (FOLDER / "statistics.bin").write_bytes(data)
    with suppress(UserError):
        out_of_distribution.ReferenceStatistics.load(FOLDER / "statistics.bin")
    views.ViewDetector.load(FOLDER / "statistics.bin")


def original(data: bytes) -> None:
    (FOLDER / "model.pth").write_bytes(data)
    read_model(FOLDER / "model.pth")


def network(data: bytes) -> None:
    (FOLDER / "federated_model.bin").write_bytes(data)
    network_files.read([FOLDER / "federated_model.bin"])


TARGETS: tuple[Callable[[bytes], None], ...] = (
    config,
    evaluation,
    examples,
    head,
    backbone,
    index,
    statistics,
    original,
    network,
)


def one(data: bytes) -> None:
    if data:
        try:
            TARGETS[data[0] % len(TARGETS)](data[1:])
        except UserError as error:
            assert str(error).strip()


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    sealed = example_config()
    for model in sealed["models"].values():
        (FOLDER / model["file"]).write_bytes(b"")
    (FOLDER / REPORT).write_bytes(b"{}")
    sealed = seal(FOLDER, sealed)
    if len(sys.argv) > 1:
        seeds.fill(sys.argv[1], seeds.snapshot_parts(example_report(), sealed))
    atheris.Setup(sys.argv, one)
    atheris.Fuzz()
