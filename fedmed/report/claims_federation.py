"""What a report says of its federation: poison, the exact optimum, who gave and who gained."""

from __future__ import annotations

from fedmed.evaluation.intervals import difference
from fedmed.report.phrases import (
    any_of,
    in_percent,
    listed,
    name_of,
    number_of_hospitals,
    number_of_rounds,
    scored_on,
    some_of,
)
from fedmed.report.schema import ProtocolName, Report

SAME = 0.005  # an accuracy or AUC that differs by less is the same, rounded to a percent


def poison(report: Report, protocol: ProtocolName) -> str:
    """Whether the federated model stands a poisoned hospital, against the central one."""
    poisoned = report.get("federation", {}).get("poison")
    if not poisoned:
        return ""
    models = report["protocols"][protocol]["models"]
    central, federated = (models[name]["balanced_accuracy"] for name in ("central", "federated"))
    behind = difference(federated, central)
    algorithm = report.get("algorithm", {}).get("name", "the federation")
    if behind["high"] < 0:
        outcome = f"{algorithm} does not stand it"
    else:
        outcome = f"that it harms {algorithm} is not shown"
    return (
        f"{name_of(poisoned['hospital']).capitalize()} is poisoned ({poisoned['kind']}), and "
        f"{outcome}: on {scored_on(report, protocol)}, the federated model's balanced accuracy is "
        f"{in_percent(federated)}, that of the central one, which nobody poisons, "
        f"{in_percent(central)}."
    )


def optimum(report: Report, protocol: ProtocolName) -> str:
    """How near the federation comes to the exact optimum, and what that took."""
    yardstick = report.get("yardstick")
    if not yardstick:
        return ""
    best, last = yardstick["optimum"], yardstick["rounds"][-1]
    done = len(yardstick["rounds"])
    within = {"loss": yardstick["within"]["loss"], "AUC": yardstick["within"]["auc"]}
    reached = [
        f"its {title} after {number_of_rounds(at['rounds'])} and {at['bytes']:,} bytes"
        for title, at in within.items()
        if at
    ]
    missed = [title for title, at in within.items() if not at]
    told = f"comes within 1 % of {listed(reached)}" if reached else ""
    if missed:
        told += f"{', and ' if reached else ''}does not come within 1 % of its {listed(missed)}"
        told += f" in {number_of_rounds(done)}"
    return (
        f"Held against the exact optimum of the same loss, federated {told} (loss "
        f"{last['loss']:.4g} against {best['loss']:.4g}, AUC {last['auc']:.3f} against "
        f"{best['auc']:.3f} on the validation patients)."
    )


def contribution(report: Report, protocol: ProtocolName) -> str:
    """Which hospitals give most and least, and whether one takes away."""
    yardstick = report.get("yardstick")
    shares = yardstick.get("contribution") if yardstick else None
    if not shares or len(shares["hospitals"]) < 2:
        return ""
    ordered = sorted(shares["hospitals"].items(), key=lambda item: item[1])
    (least, low), (most, high) = ordered[0], ordered[-1]
    harmful = [name for name, value in ordered if value < 0]
    how = "exact Shapley values" if shares["exact"] else "Shapley values, sampled"
    if harmful:
        shown = listed([name_of(name) for name in harmful[:3]])
        outcome = (
            f"{shown} {'takes' if len(harmful) == 1 else 'take'} away"
            if len(harmful) <= 3
            else f"{number_of_hospitals(len(harmful))} take away"
        )
        outcome += f", the others add, most of all {name_of(most)}"
    elif high - low < SAME:
        outcome = "all hospitals contribute much the same"
    else:
        outcome = f"{name_of(most)} contributes most and {name_of(least)} least"
    return (
        f"Of what hospitals bring together, {outcome} ({low:+.3f} to {high:+.3f} of the "
        f"AUC above a coin's, {shares['everybody'] - shares['nobody']:.3f}: {how} over "
        f"{shares['federations']:,} federations by ridge regression, on the validation patients)."
    )


def worst_off(report: Report, protocol: ProtocolName) -> str:
    """The hospital that joining serves worst, at its own mix of patients."""
    gains = report.get("gains")
    if not gains:
        return ""
    change = {name: g["own_mix"]["federated"] - g["own_mix"]["alone"] for name, g in gains.items()}
    name = min(change, key=lambda hospital: change[hospital])
    gain = gains[name]["own_mix"]
    if change[name] > SAME:
        outcome = f"gains least of all, and gains: {name_of(name)}"
    elif change[name] < -SAME:
        outcome = f"is worst off by joining, and loses: {name_of(name)}"
    else:
        outcome = f"gains least of all, and neither gains nor loses: {name_of(name)}"
    return (
        f"Counted as its own patients are mixed, one hospital {outcome} ("
        f"{100 * gain['alone']:.1f} % of the validation patients' X-rays right alone, "
        f"{100 * gain['federated']:.1f} % federated)."
    )


def personal(report: Report, protocol: ProtocolName) -> str:
    """Whom a head of its own serves better than the federated one, and what it costs elsewhere."""
    gains, how = report.get("gains"), report.get("personalised")
    if not gains or not how:
        return ""
    own = [gain["own_mix"] for gain in gains.values()]
    everybody = [gain["everybody"] for gain in gains.values()]
    change = [of["personal"] - of["federated"] for of in own]
    better, worse = sum(c > SAME for c in change), sum(c < -SAME for c in change)
    parts = [f"serves {some_of(better, len(own))} better"] if better else []
    parts += [f"serves {some_of(worse, len(own))} worse"] if worse else []
    outcome = listed(parts) if parts else f"serves {any_of(len(own))} neither better nor worse"
    before, after = (
        sum(of[key] for of in everybody) / len(everybody) for key in ("federated", "personal")
    )
    return (
        f"A head of its own ({how['kind']}) {outcome} than the federated one, counted as its own "
        f"patients are mixed; on everybody's, the hospitals' heads have a balanced accuracy of "
        f"{100 * after:.1f} % in the mean, the federated one {100 * before:.1f} % (validation "
        "patients)."
    )
