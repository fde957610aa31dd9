"""What a report bears out of privacy: the promise, its price, and what attacks got out."""

from __future__ import annotations

import math
from statistics import NormalDist
from typing import Literal

from fedmed.report.numbers import Interval
from fedmed.report.phrases import listed, name_of, scored_on
from fedmed.report.privacy_schema import Differential
from fedmed.report.schema import ProtocolName, Report

_NORMAL = NormalDist()
ONE_SIDED = 0.025  # how often a 95 % interval lies above the truth; of all attacks together, too


def privacy(report: Report, protocol: ProtocolName) -> str:
    """What the promise to patients is, and whether it is shown to cost something."""
    protected = report.get("privacy", {})
    promise, price = protected.get("differential"), protected.get("price")
    if promise is None or price is None or protocol == "shifted":
        return ""
    told = promised(promise)
    cost = price[protocol]["auc"]
    lost = cost["difference"]
    if lost["high"] < 0:
        outcome = "It costs ranking"
    elif lost["low"] > 0:
        outcome = "It costs nothing here: the private model even ranks better"
    else:
        outcome = "That it costs ranking is not shown"
    return (
        f"{told}. {outcome} (AUC on {scored_on(report, protocol)}: {cost['private']['value']:.3f} "
        f"private, {cost['unprotected']['value']:.3f} without; difference "
        f"{lost['value']:+.3f}, 95 % interval {lost['low']:+.3f} to {lost['high']:+.3f})."
    )


def promised(promise: Differential) -> str:
    """Return what a run's noise promises to patients, if it is enough to promise anything."""
    bound = f"epsilon {promise['epsilon']:g}"
    if any("for a patient" in line for line in promise["void"]):
        return (
            f"{bound.capitalize()} with delta {promise['delta']:g} protects nobody: such a bound "
            "excludes next to nothing"
        )
    return (
        f"Every patient is protected with {bound} (delta {promise['delta']:g}), whoever sees all "
        "that hospitals send"
    )


def attacked(report: Report, protocol: ProtocolName) -> str:
    """Whether an attack tells who was in the training set better than chance, and from which model.

    Said once, with the official test, though test patients have no part in it.
    """
    found = report.get("privacy", {}).get("audit", {}).get("membership")
    models = found["models"] if found else {}
    if not models or protocol != "test":
        return ""
    by_shadows = all("lira" in found for found in models.values())
    kind: Literal["lira", "loss"] = "lira" if by_shadows else "loss"
    how = "that trains models of its own" if by_shadows else "by how sure a model is"
    aucs = {name: found[kind]["auc"] for name, found in models.items()}
    # What members and others differ in beside having been trained on is no leak: where a model was
    # asked about patients it never saw in place of its members, that is what it is held against.
    unseen = {name: one["control"]["auc"] for name, one in models.items() if "control" in one}
    wide = _NORMAL.inv_cdf(1 - ONE_SIDED / len(aucs)) / _NORMAL.inv_cdf(1 - ONE_SIDED)
    leaking = [
        name
        for name, auc in aucs.items()
        if _excess(auc, unseen.get(name)) > wide * _margin(auc, unseen.get(name))
    ]
    worst = max(aucs, key=lambda name: aucs[name]["value"])
    highest = aucs[worst]
    figures = (
        f"AUC at most {highest['value']:.3f}, 95 % interval {highest['low']:.3f} to "
        f"{highest['high']:.3f}, of {name_of(worst)}, the highest of {len(aucs):,}; 0.5 is a coin"
    )
    if unseen:
        above = {name: _excess(aucs[name], control) for name, control in unseen.items()}
        most = max(above, key=lambda name: above[name])
        figures += (
            f"; {above[most]:+.3f} at most, of {name_of(most)}, above the same about patients that "
            "the model never saw"
        )
    if not leaking:
        return f"An attack {how} is not shown to tell who was in the training set ({figures})."
    return (
        f"An attack {how} tells better than chance who was in the training set of "
        f"{listed([name_of(name) for name in leaking])} ({figures})."
    )


def _excess(auc: Interval, control: Interval | None) -> float:
    """By how much an attack's AUC is above a coin's, or above that about patients never seen."""
    return auc["value"] - (control["value"] if control else 0.5)


def _margin(auc: Interval, control: Interval | None) -> float:
    """How far that may be off downwards, at 97.5 %: as if both had been drawn apart."""
    of_control = control["high"] - control["value"] if control else 0.0
    return math.hypot(auc["value"] - auc["low"], of_control)
