"""The Report tab's facts about a run: who held which images, what travelled, what data it was."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from markupsafe import Markup

from fedmed.page import charts
from fedmed.page.charts import Frame
from fedmed.page.elements import PercentInterval, in_percent, size
from fedmed.page.rendering import render
from fedmed.report.highlights import displayed_formats, displayed_models, note, one_class_words
from fedmed.report.machines_facts import machines_facts
from fedmed.report.privacy_facts import privacy_facts
from fedmed.task import CLASSES, model_title

Fields = Mapping[str, Any]

UNITS = {"update": "one update", "round": "a round", "run": "the run"}


class Hospital(NamedTuple):
    """A hospital's bar."""

    model: str
    title: str
    images: dict[str, int]  # of each class
    total: int
    patients: int


class FormatRow(NamedTuple):
    """A wire format's line: bytes by unit, and the federated model's accuracy where it was run."""

    title: str
    counts: list[int]
    accuracy: PercentInterval | None


def hospitals(report: Fields) -> str:
    """A bar for each hospital: as long as it has images, divided by class."""
    partition = report["partition"]
    by_name = {hospital["name"]: hospital for hospital in partition["hospitals"]}
    alpha = "" if partition["alpha"] is None else f", alpha {partition['alpha']:g}"
    dealt = (
        f"Dealt by patient ({partition['scheme']}{alpha}, seed {partition['seed']}); no patient is "
        "in two hospitals."
    )
    return held(
        [
            _hospital(by_name[name], sum(by_name[name]["patients"].values()))
            for name in displayed_models(by_name)
        ],
        " ".join(filter(None, (dealt, one_class_words(partition), note(by_name)))),
    )


def told(members: Sequence[Fields]) -> str:
    """The same bars of hospitals that told what they hold; of a private run patients alone."""
    if any("images" not in member for member in members):
        facts = {model_title(one["name"]): f"{one['patients']:,} patients" for one in members}
        return render("report/facts.html", facts=facts)
    return held(
        [_hospital(member, member["patients"]) for member in members],
        "As each told when it joined, of the X-rays that it trains on.",
    )


def held(hospitals: Sequence[Hospital], words: str) -> str:
    """Bars, and what is to be said of them."""
    largest = max(hospital.total for hospital in hospitals) or 1
    return render("report/hospitals.html", hospitals=hospitals, largest=largest, words=words)


def bytes_chart(report: Fields) -> Markup:
    """Bytes per update, round and run of every wire format, on a logarithmic scale."""
    formats = displayed_formats(report)
    sizes = [sent[f"{unit}_bytes"] for sent in formats.values() for unit in UNITS]
    low, high = math.floor(math.log10(min(sizes))), math.ceil(math.log10(max(sizes)))
    frame = Frame(
        x=(low, high), y=(-0.5, len(formats) - 0.5), width=440, height=64 + 46 * len(formats),
        left=14, right=24, top=4,
    )  # fmt: skip
    decades = [
        (float(power), size(10.0**power).replace(".0", "")) for power in range(low, high + 1)
    ]
    marks = [charts.axes(frame, decades, [], "Bytes up and down, logarithmic", "")]
    for row, (name, sent) in enumerate(reversed(formats.items())):
        points = [(math.log10(sent[f"{unit}_bytes"]), float(row)) for unit in UNITS]
        kind = "fm-measured" if sent["measured"] else "fm-computed"
        marks.append(charts.rule(frame, points[0], points[-1], kind=f"fm-rail {kind}"))
        title = sent["title"] + (" (sent)" if name == report["communication"]["sent"] else "")
        marks.append(charts.text(frame.left, frame.down(row) - 12, title, kind="row"))
        for unit, point in zip(UNITS, points, strict=True):
            tip = f"{sent['title']}, {UNITS[unit]}: {sent[f'{unit}_bytes']:,} bytes"
            marks.append(charts.dot(frame, point, model=name, tip=tip, radius=5, kind=kind))
    return charts.svg(frame, "Bytes sent in every format", *marks)


def bytes_table(report: Fields) -> str:
    """The same numbers to read, with what the federated model scores in each format."""
    rows = [
        FormatRow(
            title=sent["title"],
            counts=[sent[f"{unit}_bytes"] for unit in UNITS],
            accuracy=in_percent(sent["metrics"]["test"]["accuracy"]) if sent["measured"] else None,
        )
        for sent in displayed_formats(report).values()
    ]
    return render("report/bytes.html", units=UNITS.values(), rows=rows)


def update(report: Fields) -> tuple[str, str]:
    """The size of one update, and what it is of the whole network."""
    communication = report["communication"]
    formats = communication["formats"]
    sent, whole = formats[communication["sent"]], formats["full_fp32"]["update_bytes"]
    if 2 * formats.get("fp32", sent)["update_bytes"] >= whole:
        return size(sent["update_bytes"]), f"{sent['title']}: the whole network travels"
    return size(sent["update_bytes"]), (
        f"{sent['title']}. The whole network has {size(whole)}, but it is frozen and the same for "
        "all: nobody would send it"
    )


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
    return render("report/facts.html", facts=facts)


def privacy(report: Fields) -> str:
    """What a protected or attacked run says of it; empty for others."""
    facts = privacy_facts(report)
    return render("report/facts.html", facts=facts) if facts else ""


def machines(report: Fields) -> str:
    """How a federation between machines went; empty for others."""
    facts = machines_facts(report)
    return render("report/facts.html", facts=facts) if facts else ""


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
    return render(
        "report/making.html",
        recipe=recipe,
        sections={"Settings": settings, "Time": timing, "Versions": versions},
    )


def _counts(counts: Fields) -> str:
    images = counts["images"]
    classes = ", ".join(f"{images[label]:,} {label}" for label in CLASSES)
    return f"{sum(images.values()):,} images ({classes}) of {counts['patients']:,} patients"


def _hospital(hospital: Fields, patients: int) -> Hospital:
    return Hospital(
        model=hospital["name"],
        title=model_title(hospital["name"]),
        images={label: hospital["images"][label] for label in CLASSES},
        total=sum(hospital["images"].values()),
        patients=patients,
    )
