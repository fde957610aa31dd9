"""The Report tab's facts about a run: who held which images, what travelled, what data it was."""

from __future__ import annotations

import math
from collections.abc import Mapping
from html import escape
from typing import Any

from fedmed.page import charts
from fedmed.page.charts import Frame
from fedmed.page.elements import counted, size
from fedmed.page.report_tab.tables import title
from fedmed.report.highlights import note, one_class_words, shown
from fedmed.task import CLASSES

Fields = Mapping[str, Any]

UNITS = {"update": "one update", "round": "a round", "run": "the run"}


def hospitals(report: Fields) -> str:
    """A bar for each hospital: as long as it has images, divided by class."""
    partition = report["partition"]
    by_name = {hospital["name"]: hospital for hospital in partition["hospitals"]}
    some = [by_name[name] for name in shown(by_name)]
    largest = max(sum(hospital["images"].values()) for hospital in some)
    rows = "".join(_hospital(hospital, largest) for hospital in some)
    more = escape(f" {one_class_words(partition)} {note(by_name)}".rstrip())
    alpha = "" if partition["alpha"] is None else f", alpha {partition['alpha']:g}"
    return (
        f'<div class="fm-hospitals">{rows}</div>'
        f'<p class="fm-note">Dealt by patient ({escape(partition["scheme"])}{alpha}, '
        f"seed {partition['seed']}); no patient is in two hospitals.{more}</p>"
    )


def bytes_chart(report: Fields) -> str:
    """Bytes per update, round and run of every wire format, on a logarithmic scale."""
    formats = report["communication"]["formats"]
    sizes = [sent[f"{unit}_bytes"] for sent in formats.values() for unit in UNITS]
    low, high = math.floor(math.log10(min(sizes))), math.ceil(math.log10(max(sizes)))
    frame = Frame(
        x=(low, high), y=(-0.5, len(formats) - 0.5), width=440, height=64 + 46 * len(formats),
        left=14, right=24, top=4,
    )  # fmt: skip
    decades = [
        (float(power), size(10.0**power).replace(".0", "")) for power in range(low, high + 1)
    ]
    parts = [charts.axes(frame, decades, [], "Bytes up and down, logarithmic", "")]
    for place, (name, sent) in enumerate(reversed(formats.items())):
        points = [(math.log10(sent[f"{unit}_bytes"]), float(place)) for unit in UNITS]
        kind = "fm-measured" if sent["measured"] else "fm-computed"
        parts.append(charts.rule(frame, points[0], points[-1], kind=f"fm-rail {kind}"))
        words = sent["title"] + (" (sent)" if name == report["communication"]["sent"] else "")
        parts.append(charts.text(frame.left, frame.down(place) - 12, words, kind="row"))
        for unit, point in zip(UNITS, points, strict=True):
            tip = f"{sent['title']}, {UNITS[unit]}: {sent[f'{unit}_bytes']:,} bytes"
            parts.append(charts.dot(frame, point, model=name, tip=tip, radius=5, kind=kind))
    return charts.svg(frame, "Bytes sent in every format", *parts)


def bytes_table(report: Fields) -> str:
    """The same numbers to read, with what the federated model scores in each format."""
    communication = report["communication"]
    body = "".join(
        f'<tr><th scope="row">{escape(sent["title"])}</th>'
        + "".join(
            f'<td data-tip="{sent[f"{unit}_bytes"]:,} bytes">{size(sent[f"{unit}_bytes"])}</td>'
            for unit in UNITS
        )
        + f"<td>{_accuracy(sent)}</td></tr>"
        for sent in communication["formats"].values()
    )
    heads = "".join(f'<th scope="col">{words.capitalize()}</th>' for words in UNITS.values())
    return (
        '<div class="fm-scroll" tabindex="0" role="region" aria-label="Bytes">'
        '<table class="fm-plain"><thead><tr><th scope="col">What travels</th>'
        f'{heads}<th scope="col">Accuracy, test</th></tr></thead><tbody>{body}</tbody></table>'
        "</div>"
    )


def saving(report: Fields) -> str:
    """How many times smaller the run's updates are than the whole model."""
    communication = report["communication"]
    formats = communication["formats"]
    ratio = formats["full_fp32"]["update_bytes"] / formats[communication["sent"]]["update_bytes"]
    return f"{ratio:,.0f}×"


def audit(report: Fields) -> str:
    """What was found in the data before anything was trained."""
    data = report["data"]
    repeats = data["repeats"]
    facts = {
        "Data": f"{data['title']} ({data['licence']})",
        "Train split": _counts(data["splits"]["train"]),
        "Test split": _counts(data["splits"]["test"]),
        "Used for training": _counts(data["training"]),
        "Held out for validation": _counts(data["held_out"]),
        "Patients known": "yes" if data["patients_known"] else "no: an image counts as a patient",
        "Patients in both splits": f"{data['patient_overlap']:,}",
        "Repeated images": (
            f"{repeats['train']:,} in train, {repeats['test']:,} in test, "
            f"{repeats['across']:,} across"
        ),
        "Unreadable files": f"{len(data['unreadable']):,}",
    }
    if data["public_cohort"]:
        facts["Set aside for the backbone"] = _counts(data["public_cohort"])
    return _facts(facts)


def making(report: Fields) -> str:
    """The recipe, the time it took and the versions it ran on."""
    recipe = report["recipe"]
    settings = {
        name.replace("_", " "): str(value)
        for name, value in recipe.items()
        if name not in ("name", "description") and value is not None
    }
    timing = {
        name.replace("_", " "): f"{taken:.1f} s" if isinstance(taken, float) else f"{taken:,}"
        for name, taken in report["timing"].items()
    }
    versions = {name: str(value) for name, value in report["environment"].items()}
    return (
        f"<p><b>{escape(recipe['name'])}</b>: {escape(recipe['description'])}</p>"
        f"<h4>Settings</h4>{_facts(settings)}<h4>Time</h4>{_facts(timing)}"
        f"<h4>Versions</h4>{_facts(versions)}"
    )


def _facts(facts: Mapping[str, str]) -> str:
    entries = "".join(
        f"<div><dt>{escape(name)}</dt><dd>{escape(value)}</dd></div>"
        for name, value in facts.items()
    )
    return f'<dl class="fm-facts">{entries}</dl>'


def _counts(counts: Fields) -> str:
    images = counts["images"]
    classes = ", ".join(f"{images[label]:,} {label}" for label in CLASSES)
    return f"{sum(images.values()):,} images ({classes}) of {counts['patients']:,} patients"


def _hospital(hospital: Fields, largest: int) -> str:
    images = hospital["images"]
    total = sum(images.values())
    segments = "".join(
        f'<i data-label="{label}" style="width:{100 * images[label] / largest:.2f}%" '
        f'data-tip="{images[label]:,} {label} of {total:,} images"></i>'
        for label in CLASSES
    )
    return (
        f'<div data-model="{escape(hospital["name"])}"><b>{escape(title(hospital["name"]))}</b>'
        f'<span class="fm-held">{segments}</span><span>{counted(images)}'
        f"<small>{sum(hospital['patients'].values()):,} patients</small></span></div>"
    )


def _accuracy(sent: Fields) -> str:
    if not sent["measured"]:
        return "<small>computed</small>"
    value, low, high = (
        100 * sent["metrics"]["test"]["accuracy"][end] for end in ("value", "low", "high")
    )
    return f"{value:.1f} %<small>{low:.1f}–{high:.1f}</small>"
