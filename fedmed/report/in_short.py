"""The last lines of a run, for somebody who meets federated learning for the first time."""

from __future__ import annotations

import textwrap

from fedmed.report.phrases import federated_by, number_of_hospitals, number_of_rounds
from fedmed.report.privacy_claims import promised
from fedmed.report.schema import Report
from fedmed.report.story import story


def in_short(report: Report) -> str:
    """What was done, what travelled for it, and what came of it, in at most 80 columns."""
    communication = report["communication"]
    sent = communication["formats"][communication["sent"]]
    rounds = communication["rounds"]
    together = (
        f"{number_of_hospitals(communication['hospitals'])} trained one model together, the "
        f"federated one: {federated_by(report)}. No X-ray left a hospital: in "
        f"{number_of_rounds(rounds)}, what they had learned travelled, {sent['run_bytes']:,} bytes "
        "in all."
    )
    if promise := report.get("privacy", {}).get("differential"):
        together += f" {promised(promise)}."
    if "secure_aggregation" in report.get("privacy", {}):
        together += (
            " Masks hid what each had learned from a server that keeps to the protocol, which got "
            "the mean alone."
        )
    told = story(report)
    lines = textwrap.wrap(together, 78) + textwrap.wrap(told[:1].upper() + told[1:], 78)
    return "\n".join(["In short", *(f"  {line}" for line in lines)])
