"""What stored results of benchmarks look like as tables and lists of a page."""

from __future__ import annotations

import json
import math
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from scipy.stats import t

RESULTS = Path(__file__).parent / "results"
NAMED = {"flip-rotate": "mission", "clean, degraded, balanced": "robust"}


def stored(name: str) -> dict[str, Any]:
    return json.loads((RESULTS / f"{name}.json").read_text(encoding="utf-8"))


def machines() -> str:
    """What federations between processes took, by how many hospitals and what they train."""
    rows = stored("machines")["rows"]
    lines = [
        "| hospitals | algorithm, what is trained | rounds | a round | up at a hospital: messages, "
        "TCP | down: messages, TCP | memory of all | balanced accuracy |",
        "| --- " * 8 + "|",
    ]
    for row in rows:
        up, down = (f"{row[f'messages {way}']:,}, {row[f'TCP {way}']:,}" for way in ("up", "down"))
        lines.append(
            f"| {row['hospitals']} | {row['algorithm']}, {row['trained']} in "
            f"{row['format'].upper()} | {row['rounds']} | {row['seconds of a round']:.0f} s | {up} "
            f"| {down} | {row['memory of all, MiB'] / 1024:.1f} GiB "
            f"| {100 * row['balanced accuracy']:.0f} % |"
        )
    peaks = rows[0]["memory, MiB"]
    told = ", ".join(f"{name} {peak:,.0f} MiB" for name, peak in peaks.items())
    note = (
        "Bytes of a whole run. The model that hospitals score at its end goes down once more, in "
        f"FP32 and as no round's message. Memory of a process at most: {told}."
    )
    return "\n".join([*lines, "", note])


def accounting() -> str:
    """Whether the package's epsilons lie between those found by convolution, and how closely."""
    found = stored("privacy")
    rows = found["accounting"]
    inside = sum(row["agrees"] for row in rows)
    widest = max(rows, key=lambda row: row["at most"] - row["at least"])
    return (
        f"- Of {len(rows)} cases, epsilon {min(r['asked'] for r in rows):g} to "
        f"{max(r['asked'] for r in rows):g}, {min(r['releases'] for r in rows)} to "
        f"{max(r['releases'] for r in rows)} releases, delta {found['delta']:g}, the package's "
        f"epsilon lies between the two bounds in {inside}; they are "
        f"{widest['at most'] - widest['at least']:.2g} apart at most.\n"
        f"- Noise that was asked for with deviation 1 has {found['noise']:.3f}; the longest "
        f"gradient of a patient that was found is {found['longest_gradient']:.3f}, and the root of "
        "2 is the bound."
    )


def rounds() -> str:
    """Processor seconds of a round of each algorithm, by number of hospitals."""
    rows = stored("rounds")["rounds"]
    counts = sorted({row["hospitals"] for row in rows})
    lines = [
        f"| algorithm | {' | '.join(f'{count:,} hospitals' for count in counts)} | one message |",
        "| --- " * (len(counts) + 2) + "|",
    ]
    for name in dict.fromkeys(row["algorithm"] for row in rows):
        mine = {row["hospitals"]: row for row in rows if row["algorithm"] == name}
        seconds = " | ".join(f"{mine[count]['seconds']:.2f} s" for count in counts)
        lines.append(f"| {name} | {seconds} | {mine[counts[0]]['bytes up']:,} bytes |")
    return "\n".join([*lines, "", "Seconds of one core."])


def seeds() -> str:
    """What other seeds make of the networks that ship, and how far they scatter."""
    lines = [
        "| seed | federated, shifted | federated, test | its specificity | central, test |",
        "| --- " * 5 + "|",
    ]
    for row in (rows := _by_seed()):
        shifted, test = row["federated"]["shifted"], row["federated"]["test"]
        cells = [
            f"{row['seed']}{', ships' if row is rows[0] else ''}",
            f"{100 * shifted['balanced_accuracy']:.1f} / {100 * shifted['auc']:.1f}",
            _in_short(test),
            f"{100 * test['specificity']:.1f} %",
            _in_short(row["central"]["test"]),
        ]
        lines.append(f"| {' | '.join(cells)} |")
    words = (
        "Accuracy / AUC on the official test in %; on shifted validation balanced accuracy / AUC."
    )
    states = len({row.get("code") for row in rows[1:]})
    made = f"Rows but the first were made by {states} state{'s' * (states > 1)} of the code."
    return "\n".join([*lines, "", f"{words} {made} {spread()}"])


def spread() -> str:
    """How far the official test's scores scatter over the seeds."""
    rows = _by_seed()

    def over_seeds(values: Sequence[float]) -> str:
        return f"{statistics.mean(values):.1f} ± {statistics.stdev(values):.1f}"

    def told(model: str, *names: str) -> str:
        found = (
            f"{name} {over_seeds([100 * row[model]['test'][name.lower()] for row in rows])} %"
            for name in names
        )
        return ", ".join(found)

    less = [
        100 * (row["federated"]["test"]["accuracy"] - row["central"]["test"]["accuracy"])
        for row in rows
    ]
    return (
        f"On the official test over {len(rows)} seeds, mean and standard deviation: federated "
        f"{told('federated', 'accuracy', 'AUC', 'specificity')}; central "
        f"{told('central', 'accuracy', 'AUC')}. Federated less central: accuracy "
        f"{over_seeds(less)} points; 95 % interval of that mean {_interval(less)}."
    )


def _interval(values: Sequence[float]) -> str:
    """Of the mean of what so few seeds gave, by Student's t."""
    error = statistics.stdev(values) / math.sqrt(len(values))
    low, high = t.interval(0.95, len(values) - 1, statistics.mean(values), error)
    return f"{low:.1f} to {high:.1f}"


def _by_seed() -> list[dict[str, Any]]:
    measured = stored("seeds")
    return [measured["ships"], *measured["rows"]]


def _in_short(scores: dict[str, float]) -> str:
    return f"{100 * scores['accuracy']:.1f} / {100 * scores['auc']:.1f}"


def frames() -> str:
    """How often the lab's page is drawn, at what a visitor does."""
    rows = [row for row in stored("frames")["rows"] if row["what"] != "idle"]
    worst = min(rows, key=lambda row: row["frames a second"])
    return (
        f"- {worst['frames a second']:.0f} frames a second at the least, {worst['what']} at "
        f"{worst['width']} width; at most {max(row['late, %'] for row in rows):g} % of frames late "
        f"by half of one, the longest {max(row['longest ms'] for row in rows)} ms. As the page's "
        "own script is called; a browser without a GPU on the server's cores."
    )


def lab() -> str:
    """How soon a run in the lab has its first point and all of it, alone and in a crowd."""
    found = stored("lab")
    default, unseen, crowd = (found[name] for name in ("default", "unseen_deal", "crowd"))
    return (
        f"- First point after {default['first_ms']:.0f} ms, a default run with every yardstick "
        f"after {default['all_ms'] / 1000:.1f} s; of patients dealt as nobody had asked before, "
        f"{unseen['first_ms']:.0f} ms and {unseen['all_ms'] / 1000:.1f} s. Of {crowd['runs']} such "
        f"runs at once, {crowd['errors']} end in an error, and a reader's p95 of /predict is "
        f"{found['p95_ratio']:.1f} times that alone ({found['predict_alone']['p95_ms']:.0f} ms)."
    )


def networks() -> str:
    """How fast whole networks are trained, against a tutorial's loop."""
    found = stored("network")
    speeds, precision = found["images_per_second"], "bf16" if found["bf16"] else "FP32"
    return (
        f"- {speeds['ours']:.0f} images a second at {found['size']} px in {precision} on "
        f"{found['machine']['cores']} cores, {found['times_faster']:.1f} times a plain loop's "
        f"{speeds['plain']:.0f} (DataLoader, PIL, torchvision's transforms, FP32)."
    )


def engines(topic: str = "engines") -> str:
    """How fast each engine is, and how many verdicts it turns against PyTorch in FP32."""
    found = stored(topic)
    splits = ("validation", "shifted", "test")
    lines = [
        "| engine | one image | images/s, a batch on each core | verdicts turned: validation, "
        "shifted, test |",
        "| --- | --- | --- | --- |",
    ]
    for name, told in found["faithful"].items():
        speed = found["speed"].get(name)  # `auto` is two of the engines
        on_each = next((n for key, n in (speed or {}).items() if key.endswith("core")), None)
        cells = [f"{speed['ms for one']:.0f} ms", f"{on_each:.0f}"] if speed else ["", ""]
        turned = (f"{told[split]['verdicts turned']} of {told[split]['of']:,}" for split in splits)
        lines.append(f"| {name} | {cells[0]} | {cells[1]} | {', '.join(turned)} |")
    images = found["images"]
    return "\n".join(
        [*lines, "", f"Heads of {images['training']:,} X-rays, on {found['backbone']}."]
    )


def recipes() -> str:
    """What the candidate recipes give, most views each, and which are `mission` and `robust`."""
    found = stored("recipes")
    central, federated = found["models"][0], found["models"][-1]
    lines = [
        f"| views, class weights | {central}: validation, shifted | {federated}: validation, "
        "shifted |",
        "| --- | --- | --- |",
    ]
    for name, views in found["recipes"].items():
        if name in NAMED or name.endswith(", balanced"):
            scores = views[max(views, key=int)]
            cells = (_cells(scores[model]) for model in (central, federated))
            title = f"**{name}** (`{NAMED[name]}`)" if name in NAMED else name
            lines.append(f"| {title} | {' | '.join(cells)} |")
    counts = ", ".join(f"{count:,} {side}" for side, count in found["images"].items())
    return "\n".join(
        [
            *lines,
            "",
            f"Balanced accuracy / AUC in %; {counts} X-rays; backbone {found['backbone']}, passes "
            f"on {found['engine']}.",
        ]
    )


def _cells(scores: dict[str, dict[str, float]]) -> str:
    return ", ".join(
        f"{found['balanced_accuracy']:.1f} / {found['auc']:.1f}" for found in scores.values()
    )


def warnings() -> str:
    """What pictures are warned about, in two sentences, and what is not told."""
    rows = stored("warnings")["rows"]
    told = {
        wanted: ", ".join(
            f"{row['pictures']} {100 * row['warned']:.0f} % of {row['n']}"
            for row in rows
            if row["wanted"] == wanted
        )
        for wanted in ("pass", "warn")
    }
    changed = ", ".join(
        f"{row['pictures']} {100 * row['changed_unwarned']:.0f} %"
        for row in rows
        if row["changed_unwarned"]
    )
    return "\n".join(
        [
            f"- Should pass, and is warned about: {told['pass']}.",
            f"- Should be warned about, and is: {told['warn']}.",
            f"- Changes the federated label, unwarned: {changed or 'none'}.",
        ]
    )
