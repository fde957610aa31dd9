"""A run's privacy in plain words, a line each: for the model card and the Report tab."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fedmed.evaluation.intervals import percent

ATTACKS = {
    "loss": "by loss",
    "lira": "by LiRA",
    "control": "for comparison, by loss about patients it never saw",
}


def privacy_facts(report: Mapping[str, Any]) -> dict[str, str]:
    """Return what is promised, what is not and what attacks got out, by heading; maybe nothing."""
    privacy = report.get("privacy", {})
    facts: dict[str, str] = {}
    if promise := privacy.get("differential"):
        facts["Promise"] = (
            f"epsilon {promise['epsilon']:g}, delta {promise['delta']:g} for each "
            f"{promise['unit']}; {promise['neighbouring']}"
        )
        facts["Mechanism"] = (
            f"{promise['mechanism']}: {promise['noise_multiplier']:.3g} times the clip of "
            f"{promise['clip']:g}"
        )
        facts["Accounting"] = f"{promise['composition']}; {promise['accounting']}"
        facts["Who must be trusted"] = promise["trust"]
        facts["Covered"] = "; ".join(promise["covered"])
        facts["Not covered"] = "; ".join(promise["not_covered"])
        facts["Void"] = "; ".join(promise["void"]) or "nothing that was looked at"
    if hidden := privacy.get("secure_aggregation"):
        facts["Secure aggregation"] = f"hides {hidden['hides']}: {hidden['method']}"
        facts["It assumes"] = hidden["assumes"]
        facts["It does not hide"] = "; ".join(hidden["not_covered"])
    audit = privacy.get("audit", {})
    if planted := audit.get("canaries"):
        verdict = "refuted" if planted["at_least"] > planted["claimed"] else "not refuted"
        facts["Audit with planted patients"] = (
            f"epsilon is at least {planted['at_least']:.2f} ({planted['right']:,} of "
            f"{planted['guesses']:,} guesses right, {100 * planted['confidence']:.0f} % sure): the "
            f"promise of {planted['claimed']:g} is {verdict}; no more than "
            f"{planted['ceiling']:.2f} could have been shown"
        )
    membership = audit.get("membership", {})
    if "design" in membership:
        facts["Who was in it: what was attacked"] = membership["design"]
    for name, found in membership.get("models", {}).items():
        facts[f"Who was in it: {name.replace('_', ' ')}"] = "; ".join(
            f"{title} AUC {found[kind]['auc']['value']:.3f} "
            f"({found[kind]['auc']['low']:.3f} to {found[kind]['auc']['high']:.3f}), finds "
            f"{percent(found[kind]['true_positives'])} at 1 % false alarms"
            for kind, title in ATTACKS.items()
            if kind in found
        )
    return facts


def privacy_section(report: Mapping[str, Any]) -> str:
    """Return the model card's section; empty where a run was neither protected nor attacked."""
    facts = privacy_facts(report)
    if not facts:
        return ""
    return "## Privacy\n\n" + "\n".join(f"- **{term}**: {text}" for term, text in facts.items())
