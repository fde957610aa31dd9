"""What temperatures did to how far probabilities can be believed, in a sentence."""

from __future__ import annotations

from fedmed.report.phrases import WHERE, listed
from fedmed.report.schema import ProtocolName, Report

SAME = 0.0005  # of a calibration error: both ends read alike


def reliability(report: Report, protocol: ProtocolName) -> str:
    """Whether the calibration error of central and federated fell; empty where nobody asked."""
    scaling = report.get("calibration")
    if not scaling or protocol == "shifted":
        return ""
    told = []
    for name in ("central", "federated"):
        model = scaling["models"][name]
        ends = model["test"] if protocol == "test" else model["validation"]
        before, after = (ends[end]["calibration_error"] for end in ("before", "after"))
        verb = "falls" if after < before - SAME else "rises" if after > before + SAME else "stays"
        span = f"from {100 * before:.1f} to {100 * after:.1f} %"
        if verb == "stays":
            span = f"at {100 * after:.1f} %"
        told.append(f"{name}'s {verb} {span} (temperature {model['temperature']:.2f})")
    fitted = " they were fitted on" if protocol == scaling["fitted_on"] else ""
    return (
        f"With temperatures fitted on {scaling['fitted_on']}, the calibration error, the mean gap "
        f"between what is said and what is, on {WHERE[protocol]}{fitted}: {listed(told)}."
    )
