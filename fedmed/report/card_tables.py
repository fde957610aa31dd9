"""The tables of the model card: results, hospitals, communication, data."""

from __future__ import annotations

from typing import Any

from fedmed.report.highlights import note, one_class_words, shown, spread
from fedmed.report.schema import PROTOCOLS

Fields = dict[str, Any]
COLUMNS = {
    "accuracy": "accuracy",
    "balanced_accuracy": "balanced accuracy",
    "precision": "precision",
    "recall": "recall",
    "specificity": "specificity",
    "f1": "F1",
    "auc": "AUC",
}
ALL = "all hospitals: median, and 95 % of them"
SPLIT_TITLES = {"validation": "Validation (patients held out of train)", "test": "Official test"}


def results(report: Fields, config: Fields) -> str:
    parts = [
        "## Results\n\nIn percent, with 95 % intervals from a bootstrap over patients. An X-ray is "
        f"called {config['classes'][1]} where its probability reaches the threshold."
    ]
    for name in PROTOCOLS:
        protocol = report["protocols"][name]
        models = protocol["models"]
        rows = [
            [
                title(config, model),
                *(percent(models[model][column]) for column in COLUMNS),
                f"{models[model]['threshold']['value']:.3g} ({models[model]['threshold']['rule']})",
            ]
            for model in shown(models)
        ]
        if words := note(models):
            middle = spread(models, COLUMNS)
            rows.append([ALL, *(percent(middle[column]) for column in COLUMNS), ""])
            words = f"\n\n{words}"
        parts.append(
            f"### {SPLIT_TITLES[name]}: n = {protocol['n']} images of {protocol['patients']} "
            f"patients\n\n{protocol['description']}\n\n"
            + table(["model", *COLUMNS.values(), "threshold"], rows)
            + f"{words}\n\n{report['comparison'][name]['words']}"
        )
    return "\n\n".join(parts)


def hospitals(report: Fields) -> str:
    partition = report["partition"]
    alone = report["local_only"]["test"]
    size = report["protocols"]["test"]["n"]
    by_name = {hospital["name"]: hospital for hospital in partition["hospitals"]}
    rows = []
    for name in shown(by_name):
        images, patients = by_name[name]["images"], by_name[name]["patients"]
        rows.append(
            [
                name.replace("_", " "),
                str(sum(patients.values())),
                *(str(images[label]) for label in images),
                f"{100 * images['PNEUMONIA'] / sum(images.values()):.0f} %",
                percent(alone[name]["balanced_accuracy"]),
                percent(alone[name]["auc"]),
            ]
        )
    labels = partition["hospitals"][0]["images"]
    header = ["hospital", "patients", *(f"{label} images" for label in labels), "PNEUMONIA"]
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


def communication(report: Fields) -> str:
    communication = report["communication"]
    rows = [
        [
            sent["title"] + (" (sent)" if name == communication["sent"] else ""),
            *(f"{sent[f'{unit}_bytes']:,}" for unit in ("update", "round", "run")),
            "measured" if sent["measured"] else "computed",
            percent(sent["metrics"]["test"]["accuracy"]) if sent["measured"] else "",
        ]
        for name, sent in communication["formats"].items()
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
        f"Up and down, {communication['hospitals']} hospitals, {communication['rounds']} rounds; "
        "measured rows are the sizes of serialised updates of a run in that format.\n\n"
        + table(header, rows)
    )


def data(report: Fields, config: Fields) -> str:
    data = report["data"]
    parts = {
        "train split": data["splits"]["train"],
        "of it, trained on": data["training"],
        "of it, held out for validation": data["held_out"],
        "test split": data["splits"]["test"],
    }
    if data["public_cohort"]:
        parts["of train, only for the backbone"] = data["public_cohort"]
    rows = [
        [title, *(counts["images"][name] for name in config["classes"]), counts["patients"]]
        for title, counts in parts.items()
    ]
    header = ["", *(f"{name} images" for name in config["classes"]), "patients"]
    return (
        f"## Data\n\n{data['title']}, licence {data['licence']}. {data['citation']}\n\n"
        + table(header, rows)
        + f"\n\nByte-identical repeats: {data['repeats']['train']} in train, "
        f"{data['repeats']['test']} in test, {data['repeats']['across']} across. Unreadable files: "
        f"{len(data['unreadable'])}. What was trained and the code are under the MIT licence; an "
        "X-ray in `examples/` keeps the licence that `examples.json` names."
    )


def title(config: Fields, model: str) -> str:
    return str(config["models"][model]["title"])


def percent(interval: Fields) -> str:
    value, low, high = (100 * interval[key] for key in ("value", "low", "high"))
    return f"{value:.1f} ({low:.1f}–{high:.1f})"


def table(header: list[str], rows: list[list[Any]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(str(cell) for cell in line) + " |" for line in lines)
