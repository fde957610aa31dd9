"""What the page says of one snapshot, drawn when it is first shown and kept without weights."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

import gradio as gr

from fedmed.errors import ImageError, UserError
from fedmed.inference.loading import Opened
from fedmed.inference.predictor import MOST, Prediction
from fedmed.inference.shelf import Shelf
from fedmed.page import about, examples, header
from fedmed.page.examples import Example
from fedmed.page.report_tab import machines, tab
from fedmed.report.machines_report import MachinesReport
from fedmed.report.schema import Report
from fedmed.snapshot import lab_features


@dataclass(frozen=True)
class Shown:
    """HTML of the page's parts, and what answers are made of besides predictions."""

    header: str
    strip: str
    report_tab: str
    about: str
    footer: str
    examples: list[Example]
    predictions: list[Prediction]  # of the examples
    config: Mapping[str, Any]
    report: Report | None
    machines: MachinesReport | None  # in its place, of a federation between machines
    label: str
    why: str
    problem: str | None
    lab: Path | None  # its folder, if it keeps features to federate on


Snapshots = Shelf[Shown]


@contextmanager
def told() -> Iterator[None]:
    """Tell whoever asked, in words, what is wrong with the snapshot that they chose."""
    try:
        yield
    except UserError as error:
        # Gradio renders it as HTML, which is what an ImageError already is.
        words = str(error) if isinstance(error, ImageError) else escape(str(error), quote=False)
        raise gr.Error(words, print_exception=False) from error


def draw(opened: Opened) -> Shown:
    """Draw a snapshot; what cannot be drawn fails here, before anybody asks for it."""
    snapshot = opened.snapshot
    found = examples.load(snapshot.folder / "examples", examples.REPOSITORY)
    with ThreadPoolExecutor(MOST) as pool:  # so that they share passes
        predicted = list(pool.map(opened.predictor.predict_image, (one.image for one in found)))
    said = [each.labels["federated"] for each in predicted if "federated" in each.labels]
    return Shown(
        header=header.html(opened),
        strip=examples.strip(found, 0, examples.told(found, said, opened.report)),
        report_tab=machines.html(opened.machines) if opened.machines else tab.html(opened.report),
        about=about.html(snapshot.config, opened.report, opened.machines),
        footer=header.which(opened),
        examples=found,
        predictions=predicted,
        config=snapshot.config,
        report=opened.report,
        machines=opened.machines,
        label=opened.label,
        why=opened.why,
        problem=opened.problem,
        lab=snapshot.folder if (snapshot.folder / lab_features.NAME).is_file() else None,
    )
