"""What a study bears out: a sentence for each question, by rules that can come out either way."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from fedmed.report.phrases import listed, name_of
from fedmed.report.poison_claims import poison
from fedmed.report.study_numbers import (
    by,
    find,
    lead,
    least_epsilon,
    over_seeds,
    points,
    scored,
    split_of,
    under_every_split,
)
from fedmed.report.study_schema import Cell, Study

SKEWED = "label-skew"


def told(study: Study) -> list[str]:
    """Return everything that a study says, in the order of its charts."""
    return [text for text in (rule(study) for rule in RULES.values()) if text]


def algorithms(study: Study) -> str:
    """Which algorithms rank better than federated averaging, and which worse."""
    base, others = _base_and_others(study, "algorithm", partition=SKEWED)
    if base is None or not others:
        return ""
    return f"Under {SKEWED}, {_ranked(others, base)}{by(study)})."


def splits(study: Study) -> str:
    """Whether federated averaging loses where hospitals differ."""
    cells = [cell for cell in find(study, algorithm="fedavg") if scored(cell)]
    even = next((cell for cell in cells if cell["partition"] == "iid"), None)
    others = [cell for cell in cells if cell is not even]
    if even is None or not others:
        return ""
    losses = {split_of(cell): found for cell in others if (found := lead(cell, even))}
    losing = [split for split, found in losses.items() if found["high"] < 0]
    if not losing:
        return (
            "That fedavg loses where patients are dealt unevenly is not shown (AUC "
            f"{_mean(even):.3f} dealt alike, {min(map(_mean, others)):.3f} at worst{by(study)})."
        )
    worst = min(losing, key=lambda split: losses[split]["value"])
    return (
        f"Where patients are dealt unevenly, fedavg loses under {listed(losing)}, most under "
        f"{worst} ({points(losses[worst])} of AUC against {_mean(even):.3f} dealt "
        f"alike{by(study)})."
    )


def bytes_sent(study: Study) -> str:
    """Which algorithm needs the fewest bytes among those that are not shown to rank worse."""
    cells = [cell for cell in find(study, partition=SKEWED) if scored(cell)]
    cells += [
        cell
        for format in ("fp16", "int8")
        for cell in find(study, partition=SKEWED, format=format)
        if scored(cell)
    ]
    if len(cells) < 2:
        return ""
    best = max(cells, key=_mean)
    alike = [c for c in cells if c is best or not ((d := lead(c, best)) and d["high"] < 0)]
    frugal = min(alike, key=lambda cell: cell["bytes"])
    if frugal is best:
        return (
            f"Nothing that sends fewer bytes ranks as well as {_way(best)}: "
            f"{best['bytes']:,} bytes for an AUC of {_mean(best):.3f}{by(study)}."
        )
    return (
        f"{_way(frugal)} is not shown to rank worse than the best, {_way(best)}, for "
        f"{frugal['bytes']:,} bytes in place of {best['bytes']:,} (AUC {_mean(frugal):.3f} against "
        f"{_mean(best):.3f}{by(study)})."
    )


def formats(study: Study) -> str:
    """Whether updates in fewer bits cost ranking."""
    base = next(iter(find(study, algorithm="fedavg", partition=SKEWED)), None)
    if base is None:
        return ""
    found = {
        format.upper(): gap
        for format in ("fp16", "int8")
        for cell in find(study, algorithm="fedavg", partition=SKEWED, format=format)
        if (gap := lead(cell, base))
    }
    if not found:
        return ""
    costly = [name for name, gap in found.items() if gap["high"] < 0]
    free = [name for name in found if name not in costly]
    parts = [f"cost ranking in {listed(costly)}"] if costly else []
    parts += [f"are not shown to cost ranking in {listed(free)}"] if free else []
    gaps = ", ".join(f"{name} {points(gap)}" for name, gap in found.items())
    return f"Updates in fewer bits {listed(parts)} (AUC against FP32: {gaps}{by(study)})."


def privacy(study: Study) -> str:
    """What privacy costs in ranking, by split, algorithm and epsilon.

    Of algorithms that were private under every split; `private_algorithms` tells of the others.
    """
    sentences = []
    private = under_every_split([c for c in study["cells"] if c["epsilon"] is not None])
    for split in dict.fromkeys(cell["partition"] for cell in private):
        costs, free = [], []
        for name in dict.fromkeys(c["algorithm"] for c in private if c["partition"] == split):
            base = next(iter(find(study, algorithm=name, partition=split)), None)
            cells = [c for c in private if (c["algorithm"], c["partition"]) == (name, split)]
            gaps = {
                cell["epsilon"]: gap
                for cell in sorted(cells, key=lambda cell: -(cell["epsilon"] or 0))
                if base and (gap := lead(cell, base))
            }
            shown = {epsilon: -100 * g["value"] for epsilon, g in gaps.items() if g["high"] < 0}
            if shown:
                told = [f"{cost:.1f} at epsilon {epsilon:g}" for epsilon, cost in shown.items()]
                costs.append(f"{name} {listed(told)}")
            elif gaps:
                free.append(name)
        parts = [f"privacy costs, in points of AUC, {', and '.join(costs)}"] if costs else []
        parts += [f"that it costs {listed(free)} ranking is not shown"] if free else []
        if parts:
            sentences.append(f"Under {split}, {'; '.join(parts)}{by(study)}.")
    return " ".join(sentences)


def private_algorithms(study: Study) -> str:
    """Which algorithms bear the noise better than federated averaging, at the least epsilon."""
    cells = [
        cell for cell in study["cells"]
        if cell["epsilon"] is not None and cell["partition"] == SKEWED and scored(cell)
    ]  # fmt: skip
    base, others = least_epsilon(cells)
    if base is None or len(others) < 2:  # one is told of by `privacy`
        return ""
    return f"At epsilon {base['epsilon']:g}, under {SKEWED}, {_ranked(others, base)}{by(study)})."


def gains(study: Study) -> str:
    """Who gains by joining, counted at each hospital's own mix of patients."""
    found = {
        name: gap
        for name, of in study["by_hospital"].items()
        if (gap := over_seeds([b - a for a, b in zip(of["alone"], of["federated"], strict=True)]))
    }
    if not found:
        return ""
    better = [name_of(name) for name, gap in found.items() if gap["low"] > 0]
    worse = [name_of(name) for name, gap in found.items() if gap["high"] < 0]
    parts = [_verb(better, "gains")] if better else []
    parts += [_verb(worse, "loses")] if worse else []
    outcome = listed(parts) if parts else "that any hospital gains or loses is not shown"
    low, high = (f(found, key=lambda name: found[name]["value"]) for f in (min, max))
    return (
        f"Counted as its own patients are mixed, {outcome} by joining ({name_of(high)} "
        f"{points(found[high])}, {name_of(low)} {points(found[low])} of accuracy at 0.5 on the "
        f"validation patients{by(study)})."
    )


def contribution(study: Study) -> str:
    """Which hospital gives most, if one does."""
    values = {n: of["contribution"] for n, of in study["by_hospital"].items() if of["contribution"]}
    if len(values) < 2:
        return ""
    ordered = sorted(values, key=lambda name: -sum(values[name]) / len(values[name]))
    first, last = ordered[0], ordered[-1]
    gap = over_seeds([a - b for a, b in zip(values[first], values[last], strict=False)])
    if gap is None:
        return ""
    if gap["low"] <= 0:
        return f"That one hospital contributes more than another is not shown{by(study)}."
    return (
        f"{name_of(first).capitalize()} contributes most and {name_of(last)} least: Shapley values "
        f"of AUC apart by {gap['value']:.3f}, 95 % interval {gap['low']:.3f} to "
        f"{gap['high']:.3f}{by(study)}."
    )


RULES: dict[str, Callable[[Study], str]] = {
    "algorithms": algorithms,
    "bytes": bytes_sent,
    "splits": splits,
    "formats": formats,
    "privacy": privacy,
    "private algorithms": private_algorithms,
    "poison": poison,
    "gains": gains,
    "contribution": contribution,
}


def _base_and_others(study: Study, key: str, **wanted: object) -> tuple[Cell | None, list[Cell]]:
    cells = [cell for cell in find(study, **wanted) if scored(cell)]
    base = next((cell for cell in cells if cell["algorithm"] == "fedavg"), None)
    return base, [cell for cell in cells if cell is not base]


def _ranked(others: Sequence[Cell], base: Cell) -> str:
    """Who ranks better and worse than federated averaging, up to an open bracket."""
    sides = _sides(others, base, lambda cell: cell["algorithm"])
    best = max([base, *others], key=_mean)
    return (
        f"{_sided(sides, 'ranks better', 'ranks worse', 'fedavg')} (AUC {_mean(best):.3f} at "
        f"best, by {best['algorithm']}, {_mean(base):.3f} by fedavg"
    )


def _sides(
    cells: Sequence[Cell], base: Cell, name: Callable[[Cell], str]
) -> tuple[list[str], list[str], list[str]]:
    """Those above the base, those below it, and those of whom neither is shown."""
    above: list[str] = []
    below: list[str] = []
    neither: list[str] = []
    for cell in cells:
        gap = lead(cell, base)
        side = neither
        if gap and gap["low"] > 0:
            side = above
        elif gap and gap["high"] < 0:
            side = below
        side.append(name(cell))
    return above, below, neither


def _sided(
    sides: tuple[list[str], list[str], list[str]], better: str, worse: str, base: str
) -> str:
    above, below, neither = sides
    if not above and not below:
        return f"no algorithm is shown to rank otherwise than {base}"
    parts = [f"{_verb(above, better)} than {base}"] if above else []
    parts += [f"{_verb(below, worse)}" + ("" if above else f" than {base}")] if below else []
    if neither:
        parts.append(f"of {listed(neither)} no difference shows")
    return "; ".join(parts)


def _verb(names: Sequence[str], verb: str) -> str:
    first, *rest = verb.split()
    return " ".join([listed(names), first if len(names) == 1 else first.removesuffix("s"), *rest])


def _mean(cell: Cell) -> float:
    found = scored(cell)
    return found["value"] if found else -1.0


def _way(cell: Cell) -> str:
    return cell["algorithm"] + ("" if cell["format"] == "fp32" else f" in {cell['format'].upper()}")
