"""What a report bears out, in sentences for a newcomer.

No claim is typed by hand: each follows from stored figures by a rule that can come out the other
way, and says what was compared, on which X-rays, and how many.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from fedmed.evaluation.comparison import verdict
from fedmed.evaluation.intervals import difference, mean
from fedmed.report import claims_federation
from fedmed.report.phrases import (
    WHERE,
    any_of,
    end_of_mix,
    in_percent,
    listed,
    lowest_and_highest,
    name_of,
    percentage,
    scored_on,
    some_of,
    trains_networks,
)
from fedmed.report.privacy_claims import attacked, privacy
from fedmed.report.schema import ProtocolName, Report, Scores
from fedmed.task import CLASSES, ClassName

Kind = Literal[
    "poison",
    "collapse",
    "joining",
    "ranking",
    "gap",
    "mix",
    "framing",
    "record",
    "bytes",
    "optimum",
    "contribution",
    "worst-off",
    "personal",
    "privacy",
    "attack",
]

ON_BOTH = ("collapse", "joining")  # what is also said of validation
ALIKE = 0.01  # AUCs that lie within this rank alike
APART = 0.05  # recalls or specificities further apart than this are another operating point
HALF = 0.5  # whoever gets less of a class right does worse there than a coin
FEW = 3  # hospitals are named
SAME_MIX = 0.1  # shares of PNEUMONIA that lie within this are one mix


@dataclass(frozen=True)
class Claim:
    """A sentence or two of plain text, and what they are about."""

    kind: Kind
    text: str


def summary(report: Report) -> list[Claim]:
    """The claims of the official test, each with that of validation where it may differ."""
    held_out = {one.kind: one for one in claims(report, "validation") if one.kind in ON_BOTH}
    found = []
    for claim in claims(report):
        found.append(claim)
        if claim.kind in held_out:
            found.append(held_out.pop(claim.kind))
    return [*found, *held_out.values()]


def claims(report: Report, protocol: ProtocolName = "test") -> list[Claim]:
    """Everything that can be said of a report's models on one protocol, what matters most first."""
    said = ((kind, rule(report, protocol)) for kind, rule in RULES.items())
    return [Claim(kind, text) for kind, text in said if text]


def collapse(report: Report, protocol: ProtocolName) -> str:
    """Where the federated model, or the central one, misses most of a class; else empty."""
    models = report["protocols"][protocol]["models"]
    federated, central = models["federated"], models["central"]
    where = scored_on(report, protocol)
    missed, missed_by_central = _missed(federated), _missed(central)
    if missed and missed_by_central:
        return (
            f"Both models have collapsed: on {where}, the federated one gets only "
            f"{_right(federated, missed)} right, the central one "
            f"{_right(central, missed_by_central)}."
        )
    if missed:
        name, other, right = "federated", "central", _right(federated, missed)
    elif missed_by_central:
        name, other, right = "central", "federated", _right(central, missed_by_central)
    else:
        return ""
    accuracy = {model: in_percent(models[model]["accuracy"]) for model in (name, other)}
    return (
        f"The {name} model has collapsed: on {where}, it gets only {right} right, and "
        f"{accuracy[name]} of all; the {other} one gets {accuracy[other]} of all right. "
        f"{_ranks(report, protocol, name, other)}"
    )


def joining(report: Report, protocol: ProtocolName) -> str:
    """Which hospitals gain from the federated model, against training alone."""
    alone = {name: s["balanced_accuracy"] for name, s in report["local_only"][protocol].items()}
    if not alone:
        return ""
    federated = report["protocols"][protocol]["models"]["federated"]["balanced_accuracy"]
    gains = {name: difference(federated, interval) for name, interval in alone.items()}
    helped = [name for name, gain in gains.items() if gain["low"] > 0]
    hurt = [name for name, gain in gains.items() if gain["high"] < 0]
    same = len(alone) - len(helped) - len(hurt)
    if same == len(alone):
        outcome = f"is not shown to help or hurt {any_of(same)}"
    else:
        parts: list[str] = []
        for verb, names in (("helps", helped), ("hurts", hurt)):
            if names:
                count = f"{len(names):,}" if parts else some_of(len(names), len(alone))
                parts.append(f"{verb} {count}{_who(names, alone)}")
        if same:
            parts.append(f"makes no difference that shows for {same:,}")
        outcome = listed(parts)
    worst, best = lowest_and_highest(alone)
    return (
        f"Joining {outcome}, on {scored_on(report, protocol)}: the federated model's balanced "
        f"accuracy (the mean of recall and specificity) is {in_percent(federated)}; trained alone, "
        f"hospitals have from {in_percent(alone[worst])} ({name_of(worst)}) to "
        f"{in_percent(alone[best])} ({name_of(best)})."
    )


def _who(hospitals: Sequence[str], everyone: Collection[str]) -> str:
    """Their names in brackets, where they are few and not all."""
    few = len(hospitals) <= FEW and len(hospitals) < len(everyone)
    return f" ({listed([name_of(name) for name in hospitals])})" if few else ""


def ranking(report: Report, protocol: ProtocolName) -> str:
    """Whether the models differ in how they rank X-rays, or only in where they draw the line."""
    models = report["protocols"][protocol]["models"]
    alone = report["local_only"][protocol]
    everyone = {**models, **{f"{name} alone": scores for name, scores in alone.items()}}
    if trains_networks(report):  # a hospital's model is the one that it has alone
        everyone = {name: scores for name, scores in everyone.items() if name not in alone}
    aucs = {name: scores["auc"] for name, scores in everyone.items()}
    worst, best = lowest_and_highest(aucs)
    lowest, highest = aucs[worst]["value"], aucs[best]["value"]
    span = f"AUC on {scored_on(report, protocol)}: {lowest:.3f} to {highest:.3f}"
    if highest - lowest <= ALIKE:
        return f"All {len(aucs):,} models rank X-rays alike ({span}){_cuts(everyone)}"
    gains = [difference(aucs["federated"], scores["auc"]) for scores in alone.values()]
    better = sum(gain["low"] > 0 for gain in gains)
    worse = sum(gain["high"] < 0 for gain in gains)
    lead = _auc_lead(report, protocol)
    sides = {"better": (better, lead["low"] > 0), "worse": (worse, lead["high"] < 0)}
    ranks = []
    for degree, (count, than_central) in sides.items():
        others = [f"{some_of(count, len(alone))} alone"] if count else []
        others += ["central"] if than_central else []
        ranks += [f"{degree} than {listed(others)}"] if others else []
    span = f"{span}, {name_of(worst)} lowest and {name_of(best)} highest"
    if not ranks:
        return f"That federated ranks X-rays better or worse than the others is not shown ({span})."
    return (
        "Models differ in how they rank X-rays, not only in where they draw the line: federated "
        f"ranks {listed(ranks)} ({span})."
    )


def gap(report: Report, protocol: ProtocolName) -> str:
    """Federated against central, with the interval of the difference, where it was computed."""
    if protocol == "shifted":
        return ""
    images = f"{report['protocols'][protocol]['n']:,} images of {WHERE[protocol]}"
    text = verdict(report["comparison"][protocol], images)
    return text[0].upper() + text[1:]


def mix(report: Report, protocol: ProtocolName) -> str:
    """Whether hospitals alone lean the way their own patients do.

    Those with most PNEUMONIA are held against those with least: a fifth of all hospitals each. To
    lean is to have more recall and less specificity, or the other way round: more of both is
    only better.
    """
    shares = {
        hospital["name"]: hospital["images"]["PNEUMONIA"]
        / (sum(hospital["images"][label] for label in CLASSES) or 1)
        for hospital in report["partition"]["hospitals"]
    }
    if len(shares) < 2:
        return ""
    ordered = sorted(shares, key=lambda name: shares[name])
    fifth = max(1, len(ordered) // 5)
    least, most = ordered[:fifth], ordered[-fifth:]
    low, high = (sum(shares[name] for name in group) / fifth for group in (least, most))
    if high - low <= SAME_MIX:
        return (
            f"Hospitals hold much the same mix ({100 * low:.0f} to {100 * high:.0f} % PNEUMONIA): "
            "there is nothing for one alone to be biased by."
        )
    alone = report["local_only"][protocol]
    recall = [mean([alone[name]["recall"] for name in group]) for group in (most, least)]
    cleared = [mean([alone[name]["specificity"] for name in group]) for group in (most, least)]
    found, spared = difference(*recall), difference(*cleared)
    if found["low"] > 0 and spared["high"] < 0:
        outcome = "Trained alone, hospitals lean towards the class they hold more of"
    elif found["high"] < 0 and spared["low"] > 0:
        outcome = "Trained alone, hospitals lean away from the class they hold more of"
    else:
        outcome = "That hospitals trained alone lean by their mix of patients is not shown"
    return (
        f"{outcome}: on {scored_on(report, protocol)}, recall is {in_percent(recall[0])} and "
        f"specificity {in_percent(cleared[0])} at {end_of_mix(most, high, 'most')}, "
        f"{in_percent(recall[1])} and {in_percent(cleared[1])} at "
        f"{end_of_mix(least, low, 'least')}."
    )


def framing(report: Report, protocol: ProtocolName) -> str:
    """Whether the models do worse on validation once its framing no longer tells the classes."""
    if "shifted" not in report["protocols"]:
        return ""
    plain, swapped = (report["protocols"][name]["models"] for name in ("validation", "shifted"))
    told = []
    for name in ("central", "federated"):
        before, after = (models[name]["balanced_accuracy"] for models in (plain, swapped))
        fall = difference(before, after)
        verb = "falls" if fall["low"] > 0 else "is not shown to fall"
        told.append(
            f"{name} {verb} (balanced accuracy {in_percent(before)}, then {in_percent(after)})"
        )
    return (
        "Where what tells the classes apart by framing is swapped between them, on "
        f"{scored_on(report, 'shifted')}, {listed(told)}."
    )


def record(report: Report, protocol: ProtocolName, model: str = "federated") -> str:
    """How far one model's answers can be trusted: what it got right, counted."""
    if protocol == "shifted":  # which counts every X-ray once for each pair of shifts
        return ""
    (tn, fp), (fn, tp) = report["protocols"][protocol]["models"][model]["confusion_matrix"]
    return (
        f"On {WHERE[protocol]} the {name_of(model)} model finds {tp:,} of {tp + fn:,} PNEUMONIA "
        f"X-rays (recall {percentage(tp, fn)}) and clears {tn:,} of {tn + fp:,} NORMAL ones "
        f"(specificity {percentage(tn, fp)})."
    )


def bytes_sent(report: Report, protocol: ProtocolName) -> str:
    """What an update costs, and what that is compared with."""
    communication = report["communication"]
    formats = communication["formats"]
    sent, whole = formats[communication["sent"]], formats["full_fp32"]
    plain = formats.get("fp32", sent)  # lacking where it alone could not be finished
    size, full = sent["update_bytes"], whole["update_bytes"]
    told = f"One update takes {size:,} bytes ({sent['title']})"
    if size < plain["update_bytes"]:
        told += f", {size / plain['update_bytes']:.2f} of its {plain['update_bytes']:,} in FP32"
    if 2 * plain["update_bytes"] >= full:
        return f"{told}: the whole network travels."
    return (
        f"{told}. The whole network would take {full:,}, {full / size:,.0f} times as much, but it "
        "is frozen and the same for all: nobody would send it."
    )


RULES: dict[Kind, Callable[[Report, ProtocolName], str]] = {
    "poison": claims_federation.poison,
    "collapse": collapse,
    "joining": joining,
    "ranking": ranking,
    "gap": gap,
    "mix": mix,
    "framing": framing,
    "record": record,
    "bytes": bytes_sent,
    "optimum": claims_federation.optimum,
    "contribution": claims_federation.contribution,
    "worst-off": claims_federation.worst_off,
    "personal": claims_federation.personal,
    "privacy": privacy,
    "attack": attacked,
}


def _ranks(report: Report, protocol: ProtocolName, collapsed: str, other: str) -> str:
    """How a collapsed model ranks X-rays, against the other of the two that are compared."""
    models = report["protocols"][protocol]["models"]
    aucs = " against ".join(f"{models[name]['auc']['value']:.3f}" for name in (collapsed, other))
    lead = _auc_lead(report, protocol)
    if abs(lead["value"]) <= ALIKE:
        return f"Both rank X-rays alike (AUC {aucs}): what is off is the threshold."
    if lead["high"] < 0 if collapsed == "federated" else lead["low"] > 0:
        return f"It ranks X-rays worse, too (AUC {aucs})."
    return f"That it ranks X-rays worse is not shown (AUC {aucs})."


def _auc_lead(report: Report, protocol: ProtocolName) -> Mapping[str, Any]:
    """The AUC of federated minus that of central: paired where that was computed."""
    if protocol == "shifted":
        models = report["protocols"][protocol]["models"]
        return difference(models["federated"]["auc"], models["central"]["auc"])
    return report["comparison"][protocol]["auc_difference"]


def _cuts(models: Mapping[str, Scores]) -> str:
    """Where models that rank alike draw the line, to end a sentence."""
    recalls = [scores["recall"]["value"] for scores in models.values()]
    cleared = [scores["specificity"]["value"] for scores in models.values()]
    spans = (
        f"recall from {100 * min(recalls):.1f} to {100 * max(recalls):.1f} %, specificity from "
        f"{100 * min(cleared):.1f} to {100 * max(cleared):.1f} %"
    )
    if max(max(values) - min(values) for values in (recalls, cleared)) <= APART:
        return f", and draw the line in much the same place ({spans})."
    return f"; they differ only in where they draw the line between the classes: {spans}."


def _missed(scores: Scores) -> ClassName | None:
    """The class of which a model gets less than half right, if there is one."""
    right: dict[ClassName, float] = {
        "NORMAL": scores["specificity"]["value"],
        "PNEUMONIA": scores["recall"]["value"],
    }
    least = min(CLASSES, key=lambda label: right[label])
    return least if right[least] < HALF else None


def _right(scores: Scores, label: ClassName) -> str:
    interval = scores["recall"] if label == "PNEUMONIA" else scores["specificity"]
    return f"{in_percent(interval)} of the {label} X-rays"
