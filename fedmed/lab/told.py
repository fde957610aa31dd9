"""What a run showed, in one or two sentences: rules on its summary that can come out either way."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

SHOWS = 0.01  # of balanced accuracy: less is not told as a gain or a loss
NEAR = 0.005  # of the optimum's balanced accuracy
COIN = 0.55  # an attack's AUC below this is hardly better than a coin
FAILS = 0.6  # a balanced accuracy below this is hardly better than a coin


def told(summary: Mapping[str, Any]) -> str:
    """Return the sentences of a run: who gained, how far the optimum is, privacy, the attack."""
    rules = (_spoiled if summary["settings"]["poison"] else _joining, _optimum, _privacy, _attack)
    return " ".join(text for rule in rules if (text := rule(summary)))


def _joining(summary: Mapping[str, Any]) -> str:
    gains = summary["gains"]
    up = {name: gain for name, gain in gains.items() if gain >= SHOWS}
    down = {name: gain for name, gain in gains.items() if gain <= -SHOWS}
    if not up and not down:
        return "Joining made no difference that shows to any hospital."
    parts = []
    if up:
        most = max(up, key=up.__getitem__)
        parts.append(f"lifted {_whom(up, len(gains))}, {_title(most)} most, by {_points(up[most])}")
    if down:
        most = min(down, key=down.__getitem__)
        parts.append(f"cost {_whom(down, len(gains))}, {_title(most)} most, {_points(down[most])}")
    return f"Joining {' and '.join(parts)}."


def _spoiled(summary: Mapping[str, Any]) -> str:
    settings = summary["settings"]
    bad = f"hospital_{settings['poisoned'] or settings['hospitals']}"
    honest = {name: gain for name, gain in summary["gains"].items() if name != bad}
    worse = sum(gain <= -SHOWS for gain in honest.values())
    reached = summary["federated"]["balanced_accuracy"]
    begin = f"With {_title(bad)} poisoned, {settings['algorithm']} reaches {_percent(reached)}"
    if reached < FAILS:
        return f"{begin}, hardly better than a coin: one hospital spoiled it for all."
    if 2 * worse > len(honest):
        return f"{begin}: {worse} of {len(honest)} honest hospitals would do better alone."
    return (
        f"{begin} and holds: {len(honest) - worse} of {len(honest)} honest hospitals lose nothing "
        "by joining."
    )


def _optimum(summary: Mapping[str, Any]) -> str:
    best, federated = (summary[name]["balanced_accuracy"] for name in ("optimum", "federated"))
    rounds = summary["rounds"]
    ran = "its one round" if rounds == 1 else f"these {rounds} rounds"
    if federated >= best - NEAR:
        return f"With {ran} it comes as far as the exact optimum, {_percent(best)}."
    left = _points(best - federated)
    return f"The exact optimum, {_percent(best)}, is {left} above what {ran} reached."


def _privacy(summary: Mapping[str, Any]) -> str:
    privacy = summary.get("privacy")
    if privacy is None:
        return ""
    below = summary["central"]["balanced_accuracy"] - summary["federated"]["balanced_accuracy"]
    cost = (
        f"{_points(below)} below central training without privacy"
        if below >= SHOWS
        else "at no cost that shows against central training without privacy"
    )
    return f"Every patient has an epsilon of {privacy['epsilon']:.2g}, {cost}."


def _attack(summary: Mapping[str, Any]) -> str:
    attack = summary.get("attack")
    if attack is None:
        return ""
    how = "hardly better than a coin" if attack["auc"] < COIN else "better than a coin"
    return f"Asked who was in the training set, it gives them away {how}: AUC {attack['auc']:.2f}."


def _title(name: str) -> str:
    return name.replace("_", " ")


def _whom(some: Mapping[str, float], count: int) -> str:
    return f"{len(some)} of {count} hospitals" if len(some) > 1 else "one hospital"


def _points(difference: float) -> str:
    value = round(100 * abs(difference), 1)
    return f"{value:g} point{'' if value == 1 else 's'}"


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"
