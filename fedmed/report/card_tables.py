"""The tables of the model card: results, hospitals, communication, data."""

from __future__ import annotations

from typing import Any, Literal

from fedmed.evaluation.intervals import cell
from fedmed.evaluation.metrics import METRICS
from fedmed.report.claims import gap
from fedmed.report.highlights import (
    displayed_formats,
    displayed_models,
    note,
    one_class_words,
    spread,
)
from fedmed.report.phrases import number_of_rounds, unfinished
from fedmed.report.schema import Config, ProtocolName, Report, protocols
from fedmed.task import CLASSES

ALL = "all hospitals: median, and 95 % of them"
SPLIT_TITLES: dict[ProtocolName, str] = {
    "validation": "Validation (patients held out of train)",
    "shifted": "Shifted (validation, its framing swapped between the classes)",
    "test": "Official test",
}
UNITS: tuple[Literal["update_bytes", "round_bytes", "run_bytes"], ...] = (
    "update_bytes",
    "round_bytes",
    "run_bytes",
)


def results(report: Report, config: Config) -> str:
    """Every model on every protocol, a table each."""
    sections = [
        "## Results\n\nIn percent, with 95 % intervals from a bootstrap over patients. An X-ray is "
        f"called {CLASSES[1]} where its probability reaches the threshold."
    ]
    for name in protocols(report):
        protocol = report["protocols"][name]
        models = protocol["models"]
        rows = [
            [
                title(config, model),
                *(cell(models[model][metric]) for metric in METRICS),
                f"{models[model]['threshold']['value']:.3g} ({models[model]['threshold']['rule']})",
            ]
            for model in displayed_models(models)
        ]
        left_out = note(models)
        if left_out:
            middle = spread(models, METRICS)
            rows.append([ALL, *(cell(middle[metric]) for metric in METRICS), ""])
            left_out = f"\n\n{left_out}"
        sections.append(
            f"### {SPLIT_TITLES[name]}: n = {protocol['n']} images of {protocol['patients']} "
            f"patients\n\n{protocol['description']}\n\n"
            + table(["model", *(metric.title for metric in METRICS.values()), "threshold"], rows)
            + left_out
            + (f"\n\n{said}" if (said := gap(report, name)) else "")
        )
    return "\n\n".join(sections)


def hospitals(report: Report) -> str:
    """What each hospital holds, and what it would have without the others."""
    partition = report["partition"]
    alone = report["local_only"]["test"]
    size = report["protocols"]["test"]["n"]
    by_name = {hospital["name"]: hospital for hospital in partition["hospitals"]}
    rows = []
    for name in displayed_models(by_name):
        images, patients = by_name[name]["images"], by_name[name]["patients"]
        rows.append(
            [
                name.replace("_", " "),
                str(sum(patients[label] for label in CLASSES)),
                *(str(images[label]) for label in CLASSES),
                f"{100 * images['PNEUMONIA'] / sum(images[label] for label in CLASSES):.0f} %",
                cell(alone[name]["balanced_accuracy"]),
                cell(alone[name]["auc"]),
            ]
        )
    header = ["hospital", "patients", *(f"{label} images" for label in CLASSES), "PNEUMONIA"]
    header += [f"alone: balanced accuracy (test, n = {size})", "alone: AUC (test)"]
    alpha = "" if partition["alpha"] is None else f", alpha {partition['alpha']:g}"
    return (
        "## The hospitals\n\n"
        f"One data set dealt out by patient (`{partition['scheme']}`{alpha}, seed "
        f"{partition['seed']}); `alone` is the model a hospital gets without the others. "
        f"{one_class_words(partition)} {note(by_name)}".rstrip()
        + "\n\n"
        + table(header, rows)
    )


def communication(report: Report) -> str:
    """Bytes of every format, and what the federated model scores with it."""
    communication = report["communication"]
    rows = [
        [
            sent["title"] + (" (sent)" if name == communication["sent"] else ""),
            *(f"{sent[unit]:,}" for unit in UNITS),
            "measured" if sent["measured"] else "computed",
            cell(sent["metrics"]["test"]["accuracy"]) if sent["measured"] else "",
        ]
        for name, sent in displayed_formats(report).items()
    ]
    header = [
        "what travels",
        "bytes per update",
        "per round",
        "per run",
        "bytes are",
        "accuracy (test)",
    ]
    return (
        "## Bytes that travelled\n\n"
        f"Up and down, {communication['hospitals']} hospitals, "
        f"{number_of_rounds(communication['rounds'])}; "
        "measured rows are the sizes of serialised updates of a run in that format.\n\n"
        + table(header, rows)
        + "".join(f"\n\n{line}" for line in unfinished(report))
    )


def data(report: Report) -> str:
    """How many images and patients there are, and what the audit found."""
    data = report["data"]
    splits = {
        "train split": data["splits"]["train"],
        "of it, trained on": data["training"],
        "of it, held out for validation": data["held_out"],
        "test split": data["splits"]["test"],
    }
    if data["public_cohort"]:
        splits["of train, only for the backbone"] = data["public_cohort"]
    rows = [
        [title, *(counts["images"][label] for label in CLASSES), counts["patients"]]
        for title, counts in splits.items()
    ]
    header = ["", *(f"{label} images" for label in CLASSES), "patients"]
    return (
        f"## Data\n\n{data['title']}, licence {data['licence']}. {data['citation']}\n\n"
        + table(header, rows)
        + f"\n\nByte-identical repeats: {data['repeats']['train']} in train, "
        f"{data['repeats']['test']} in test, {data['repeats']['across']} across. Unreadable files: "
        f"{len(data['unreadable'])}. What was trained and the code are under the MIT licence; an "
        "X-ray in `examples/` keeps the licence that `examples.json` names."
    )


def title(config: Config, model: str) -> str:
    """A model's name, as the snapshot gives it."""
    return config["models"][model]["title"]


def table(header: list[str], rows: list[list[Any]]) -> str:
    """A table in Markdown."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(str(cell) for cell in line) + " |" for line in lines)
