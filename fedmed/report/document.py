"""evaluation.json: put together from its parts, checked, written; and the closing table."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from fedmed.errors import UserError
from fedmed.report.highlights import shown
from fedmed.report.schema import (
    BY_PAIR,
    COUNTS,
    CURVES,
    PROTOCOL,
    PROTOCOLS,
    REPORT,
    SCORES,
    SHIFTED,
    check,
    check_curves,
    check_formats,
)

SCHEMA_VERSION = 1
SIGNIFICANT = 6

Fields = dict[str, Any]


def build(
    *,
    protocols: Fields,
    comparison: Fields,
    rounds: list[Fields],
    communication: Fields,
    partition: Fields,
    local_only: Fields,
    data: Fields,
    recipe: Fields,
    timing: Fields,
    environment: Fields,
) -> Fields:
    """Return the report made of these parts. Raises UserError as `validate` does."""
    report = {
        "schema_version": SCHEMA_VERSION,
        "protocols": protocols,
        "comparison": comparison,
        "rounds": rounds,
        "communication": communication,
        "partition": partition,
        "local_only": local_only,
        "data": data,
        "recipe": recipe,
        "timing": timing,
        "environment": environment,
    }
    validate(report)
    return report


def validate(report: Any) -> None:
    """Check that `report` holds every field FedMed reads; further fields are welcome.

    Raises UserError naming the first field that is missing or of the wrong kind.
    """
    check(report, REPORT)
    if report["schema_version"] != SCHEMA_VERSION:
        raise UserError(
            f"evaluation.json: schema_version is {report['schema_version']}; this version of "
            f"FedMed reads {SCHEMA_VERSION}. Update FedMed, or train again."
        )
    hospitals = [hospital["name"] for hospital in report["partition"]["hospitals"]]
    for protocol in PROTOCOLS:
        scored = {name: dict for name in ("central", "federated", *hospitals)}
        check(report["protocols"][protocol]["models"], scored, f"protocols.{protocol}.models")
        alone = {name: dict for name in hospitals}
        check(report["local_only"][protocol], alone, f"local_only.{protocol}")
        drawn = dict.fromkeys(shown(scored), CURVES)
        check(report["protocols"][protocol]["models"], drawn, f"protocols.{protocol}.models")
        check_curves(report["protocols"][protocol]["models"], drawn, protocol)
    if SHIFTED in report["protocols"]:
        _check_shifted(report, hospitals)
    if report["data"]["public_cohort"] is not None:
        check(report["data"]["public_cohort"], COUNTS, "data.public_cohort")
    for name, sent in report["communication"]["formats"].items():
        if sent["measured"]:
            where = f"communication.formats.{name}.metrics"
            check(sent.get("metrics"), dict.fromkeys(PROTOCOLS, SCORES), where)
    check_formats(report["communication"])


def _check_shifted(report: Fields, hospitals: list[str]) -> None:
    """Raise UserError naming the first field of swapped validation that is missing or wrong."""
    where = f"protocols.{SHIFTED}"
    entry, models = report["protocols"][SHIFTED], ["central", "federated", *hospitals]
    check(entry, PROTOCOL | {"pairs": {str: list}}, where)
    check(entry["models"], dict.fromkeys(models, SCORES), f"{where}.models")
    pairs = {"pairs": dict.fromkeys(entry["pairs"], BY_PAIR)}
    check(entry["models"], dict.fromkeys(shown(models), pairs), f"{where}.models")
    alone = {SHIFTED: dict.fromkeys(hospitals, SCORES)}
    check(report["local_only"], alone, "local_only")


def write(report: Fields, path: Path) -> None:
    """Write `report` to `path` as JSON, floats with 6 significant digits.

    Raises ValueError where a number is not finite: JSON has no such numbers.
    """
    text = json.dumps(_rounded(report), indent=1, ensure_ascii=False, allow_nan=False)
    path.write_text(_compact(text) + "\n", encoding="utf-8")


def _rounded(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _rounded(field) for name, field in value.items()}
    if isinstance(value, (list, tuple)):
        return [_rounded(element) for element in value]
    if isinstance(value, float):
        return float(f"{value:.{SIGNIFICANT}g}")
    return value


def _compact(text: str) -> str:
    """Put intervals and curves on one line each. JSON escapes newlines, so no string can match."""

    def joined(found: re.Match[str]) -> str:
        line = found[1] + re.sub(r"\n\s*", " ", found[2]) + found[3]
        return line if found[1] == "[" or len(line) <= 80 else found[0]

    return re.sub(r"([\[{])\n\s*([^\[\]{}]*?)\n\s*([\]}])", joined, text)
