"""Copy figures into README.md: `python -m benchmarks.readme` (or `make figures`).

Between `<!-- figures: NAME -->` and `<!-- /figures -->` stands what this writes: the scores of the
bundled snapshot's evaluation.json, and what the other benchmarks left in benchmarks/results/.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from fedmed.backbone import BUNDLED
from fedmed.card import command

REPOSITORY = Path(__file__).parent.parent
README = REPOSITORY / "README.md"
RESULTS = Path(__file__).parent / "results"


def main() -> None:
    README.write_text(filled(README.read_text(encoding="utf-8")), encoding="utf-8")


def filled(text: str) -> str:
    """README's text with every marked part written anew."""
    report = json.loads((BUNDLED / "evaluation.json").read_text(encoding="utf-8"))
    parts: dict[str, Callable[[], str]] = {
        "results": lambda: results(report),
        "command": lambda: f"```\n{command(report)}\n```",
        "speed": speed,
    }
    pattern = re.compile(r"(<!-- figures: (\w+) -->\n).*?(<!-- /figures -->)", re.DOTALL)
    return pattern.sub(lambda found: f"{found[1]}{parts[found[2]]()}\n{found[3]}", text)


def results(report: dict[str, Any]) -> str:
    """The table of models on both protocols, and what the comparison and the wire say."""
    protocols = report["protocols"]
    mixes = {site["name"]: site["images"] for site in report["partition"]["hospitals"]}
    sizes = [f"{name} (n = {protocols[name]['n']})" for name in ("validation", "test")]
    lines = [
        f"| model | trained on: normal / pneumonia | accuracy, {sizes[0]} | accuracy, official "
        f"{sizes[1]} | specificity / recall, test | alone: accuracy, test |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for model, test in protocols["test"]["models"].items():
        held_out = protocols["validation"]["models"][model]
        mix = mixes.get(model, report["data"]["training"]["images"])
        alone = report["local_only"]["test"].get(model)
        strong = "**" if model == "federated" else ""
        lines.append(
            f"| {strong}{model.replace('_', ' ')}{strong} | {mix['NORMAL']} / {mix['PNEUMONIA']} "
            f"| {_interval(held_out['accuracy'])} | {_interval(test['accuracy'])} "
            f"| {_percent(test['specificity'])} / {_percent(test['recall'])} "
            f"| {_percent(alone['accuracy']) if alone else ''} |"
        )
    auc = ", ".join(
        f"{model} {protocols['validation']['models'][model]['auc']['value']:.3f} on validation, "
        f"{protocols['test']['models'][model]['auc']['value']:.3f} on test"
        for model in ("central", "federated")
    )
    formats = report["communication"]["formats"]
    cost = "; ".join(
        f"{sent['title']} {sent['update_bytes']:,} bytes{'' if sent['measured'] else ' (computed)'}"
        for sent in formats.values()
    )
    words = report["comparison"]["test"]["words"]
    return "\n".join([*lines, "", f"AUC: {auc}. {words}", "", f"One update: {cost}."])


def speed() -> str:
    """What benchmarks.pipeline measured last."""
    measured = json.loads((RESULTS / "pipeline.json").read_text(encoding="utf-8"))
    times = measured["times_faster"]
    return (
        f"A full run with 4 augmented views is **{times['cold']:.0f} times** faster than the plain "
        "loop (DataLoader, transforms, frozen ResNet18 in every epoch; extrapolated from a slice) "
        f"with an empty cache and **{times['warm']:.0f} times** with a filled one, on 2 CPU cores, "
        f"in {measured['peak_memory_gib']:.1f} GiB: `python -m benchmarks.pipeline --data DIR`."
    )


def _percent(interval: dict[str, float]) -> str:
    return f"{100 * interval['value']:.1f} %"


def _interval(interval: dict[str, float]) -> str:
    return f"{_percent(interval)} ({100 * interval['low']:.1f} to {100 * interval['high']:.1f})"


if __name__ == "__main__":
    main()
