"""Copy figures into README.md, docs/measured.md and the model cards that ship: `make figures`.

Between `<!-- figures: NAME -->` and `<!-- /figures -->` stands what this writes: the scores
of the snapshots that ship, and what the other benchmarks left in benchmarks/results/.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

from benchmarks.tables import (
    accounting,
    engines,
    frames,
    lab,
    machines,
    networks,
    recipes,
    rounds,
    seeds,
    spread,
    stored,
    warnings,
)
from fedmed.backbones.backbone import IMAGENET, NETWORK
from fedmed.evaluation.intervals import percent
from fedmed.report.card import command, model_card
from fedmed.report.claims import summary
from fedmed.report.schema import PROTOCOLS, Config, PerClass, Report, Scores
from fedmed.snapshot.manifest import CARD
from fedmed.snapshot.reader import Snapshot

REPOSITORY = Path(__file__).parent.parent
PAGES = (REPOSITORY / "README.md", REPOSITORY / "docs" / "measured.md")
SNAPSHOTS = {"network": NETWORK, "imagenet": IMAGENET}


def main() -> None:
    for page in PAGES:
        page.write_text(filled(page.read_text(encoding="utf-8")), encoding="utf-8")
    for folder in SNAPSHOTS.values():
        (folder / CARD).write_text(card(folder), encoding="utf-8")


def card(folder: Path) -> str:
    """The model card of a snapshot that ships, as it is written today."""
    snapshot = Snapshot.open(folder)
    return model_card(snapshot.report, cast(Config, snapshot.config), None)


def filled(text: str) -> str:
    """A page's text with every marked part written anew."""
    parts: dict[str, Callable[[], str]] = {
        "recipes": recipes,
        "speed": speed,
        "warnings": warnings,
        "accounting": accounting,
        "rounds": rounds,
        "networks": networks,
        "engines": engines,
        "engines of network": lambda: engines("engines_network"),
        "machines": machines,
        "frames": frames,
        "lab": lab,
        "seeds": seeds,
        "spread": spread,
    }
    for name, folder in SNAPSHOTS.items():
        parts[f"results of {name}"] = lambda folder=folder: results(_report(folder))  # type: ignore[misc]
        parts[f"command of {name}"] = lambda folder=folder: (  # type: ignore[misc]
            f"```\n.venv/bin/{command(_report(folder))}\n```\n\n{took(_report(folder))}"
        )
    pattern = re.compile(r"(<!-- figures: ([\w ]+) -->\n).*?(<!-- /figures -->)", re.DOTALL)
    return pattern.sub(lambda found: f"{found[1]}{parts[found[2]]()}\n{found[3]}", text)


def _report(folder: Path) -> Report:
    report: Report = json.loads((folder / "evaluation.json").read_text(encoding="utf-8"))
    return report


def took(report: Report) -> str:
    """How long the run that ships took, what `--study` takes longer set apart."""
    timing = report["timing"]
    study = timing.get("study", 0.0)
    minutes = f"That run took {(timing['total'] - study) / 60:.0f} minutes"
    more = f", and {study / 60:.0f} for the study" if study else ""
    return f"{minutes}{more}."


def results(report: Report) -> str:
    """Central, federated and each hospital alone, on every protocol, and what that bears out."""
    protocols, everyone = report["protocols"], report["local_only"]
    images, shifted = protocols["test"]["n"], protocols.get("shifted")
    mixes = {site["name"]: site["images"] for site in report["partition"]["hospitals"]}
    lines = [
        "| model | trained on: normal / pneumonia | validation (n = "
        f"{protocols['validation']['n']}) | shifted | official test (n = {images}) "
        "| its accuracy |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for model in ("central", "federated"):
        of_whom = report["data"]["training"]["images"]
        title = "**federated**" if model == "federated" else model
        held_out, test = (protocols[name]["models"][model] for name in PROTOCOLS)
        swapped = shifted["models"][model] if shifted else None
        lines.append(_row(title, of_whom, held_out, swapped, test))
    for model, of_whom in mixes.items():
        title = f"{model.replace('_', ' ')} alone"
        held_out, test = (everyone[name][model] for name in PROTOCOLS)
        swapped = everyone["shifted"][model] if "shifted" in everyone else None
        lines.append(_row(title, of_whom, held_out, swapped, test))
    claimed = [f"- {claim.text}" for claim in summary(report)]
    told = "Balanced accuracy / AUC in %; accuracy with its 95 % interval."
    return "\n".join([*lines, "", told, "", *claimed])


def _row(title: str, mix: PerClass, held_out: Scores, swapped: Scores | None, test: Scores) -> str:
    pairs = (_pair(scores) for scores in (held_out, swapped, test))
    return (
        f"| {title} | {mix['NORMAL']} / {mix['PNEUMONIA']} | {' | '.join(pairs)} "
        f"| {percent(test['accuracy'])} |"
    )


def _pair(scores: Scores | None) -> str:
    if scores is None:
        return ""
    return f"{100 * scores['balanced_accuracy']['value']:.1f} / {100 * scores['auc']['value']:.1f}"


def speed() -> str:
    """What the benchmarks of speed measured last, a line each, and on which machine."""
    measured = {name: stored(name) for name in ("pipeline", "hospitals", "load", "app", "snapshot")}
    lines = ["| what | ours | held against | command |", "| --- | --- | --- | --- |"]
    for name, rows in (
        ("pipeline", _pipeline(measured["pipeline"])),
        ("hospitals", _hospitals(measured["hospitals"])),
        ("load", _load(measured["load"])),
        ("app", _app(measured["app"])),
        ("snapshot", _snapshot(measured["snapshot"])),
    ):
        lines += [f"| {' | '.join(row)} | `benchmarks.{name}` |" for row in rows]
    by_machine: dict[str, list[str]] = {}
    for name, found in measured.items():
        on = found["machine"]
        where = f"{on['date']} on {on['cores']} shared cores ({on['processor']})"
        by_machine.setdefault(where, []).append(f"`{name}`")
    told = "; ".join(f"{', '.join(names)} on {where}" for where, names in by_machine.items())
    return "\n".join(
        [
            *lines,
            "",
            f"Measured without a GPU: {told}. Passes on {measured['pipeline']['engine']}; bare "
            "ones all in FP32. Ratios are of runs in turns on one machine; the plain loop is "
            "extrapolated from slices.",
        ]
    )


def _pipeline(found: dict[str, Any]) -> list[tuple[str, str, str]]:
    seconds, faster = found["seconds"], found["times_faster"]
    return [
        (
            "full run, 5,216 + 624 images, 4 views, empty cache",
            f"{seconds['cold']:.0f} s, {found['peak_memory_gib']:.1f} GiB",
            f"**{faster['cold']:.0f} times** faster than the plain loop (DataLoader, transforms, "
            f"frozen ResNet18); {found['cold_over_floor']:.2f} times its bare backbone passes",
        ),
        (
            "the same, filled cache",
            f"{seconds['warm']:.0f} s, of which the federations "
            f"{found['parts']['warm']['federated']:.1f} s",
            f"**{faster['warm']:,.0f} times** faster than the plain loop",
        ),
    ]


def _hospitals(found: dict[str, Any]) -> list[tuple[str, str, str]]:
    (thousand,) = [
        row for rows in found["round"].values() for row in rows if row["hospitals"] == 1000
    ][:1]
    peers = ", ".join(
        f"**{row['times faster']:.0f} times** at {row['hospitals']} hospitals "
        f"(heads differ by {row['largest difference']:.0e})"
        for row in found["flower"] or []
    )
    return [
        (
            f"one FedAvg round of 1,000 hospitals with {thousand['X-rays each']} X-rays each, "
            "3 local epochs, updates serialised",
            f"{thousand['seconds']:.2f} s",
            f"Flower's simulation engine: {peers}" if peers else "",
        )
    ]


def _load(found: dict[str, Any]) -> list[tuple[str, str, str]]:
    app = found["app"]
    return [
        (
            f"{app['requests']:,} calls by {app['callers']} `gradio_client`s at once, on the same "
            "cores",
            f"{app['per_second']:.1f} a second, median {app['median_ms']:.0f} ms, p95 "
            f"{app['p95_ms']:.0f} ms, {app['errors']} errors",
            f"{found['ratio_to_engine']:.2f} of the bare engine's rate; Gradio and its client "
            f"leave {found['reachable_ratio_to_engine']:.2f}",
        )
    ]


def _app(found: dict[str, Any]) -> list[tuple[str, str, str]]:
    reading, start = found["reading"], found["start"]
    return [
        (
            "seven answers and heat maps for one X-ray",
            f"{1000 * reading['ours_seconds']:.0f} ms",
            f"{reading['ratio']:.2f} times one bare backbone pass",
        ),
        (
            "from start to first answer",
            f"{start['ours_seconds']:.1f} s",
            f"{start['ratio']:.2f} times `import torch, gradio`",
        ),
    ]


def _snapshot(found: dict[str, Any]) -> list[tuple[str, str, str]]:
    starts = found["seconds"]
    return [
        (
            "a snapshot, backbone and seven heads",
            f"{found['megabytes']['all']:.1f} MB",
            f"fetched from a Hub on the same machine in {starts['download alone']['median']:.1f} "
            f"s; first answer from there after {starts['start, from the Hub']['median']:.1f} s",
        )
    ]


if __name__ == "__main__":
    main()
