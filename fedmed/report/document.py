"""evaluation.json: put together from its parts, checked, written."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

from fedmed.errors import UserError
from fedmed.report.check import check, refuse, require
from fedmed.report.highlights import displayed_models
from fedmed.report.schema import CURVES, FORMATS, Report, protocols

SCHEMA_VERSION = 1
SIGNIFICANT = 6


def build(**sections: Any) -> Report:
    """Return the report made of these sections, which are the fields of `Report`.

    Raises UserError as `validate` does.
    """
    return validate({"schema_version": SCHEMA_VERSION, **sections})


def validate(report: Any) -> Report:
    """Return `report` if it holds every field FedMed reads; further fields are welcome.

    Raises UserError naming the first field that is missing or of the wrong kind.
    """
    check(report, Report)
    checked = cast(Report, report)
    if checked["schema_version"] != SCHEMA_VERSION:
        raise UserError(
            f"evaluation.json: schema_version is {checked['schema_version']}; this version of "
            f"FedMed reads {SCHEMA_VERSION}. Update FedMed, or train again."
        )
    _check_models(checked)
    _check_formats(checked)
    _check_federation(checked)
    return checked


def _check_models(report: Report) -> None:
    """Every protocol scores every model, and what is shown of it can be drawn."""
    hospitals = [hospital["name"] for hospital in report["partition"]["hospitals"]]
    names = ["central", "federated", *hospitals]
    for protocol in protocols(report):
        require(report["local_only"], [protocol], "local_only")
        models = report["protocols"][protocol]["models"]
        require(models, names, f"protocols.{protocol}.models")
        require(report["local_only"][protocol], hospitals, f"local_only.{protocol}")
        for model in displayed_models(names):
            where = f"protocols.{protocol}.models.{model}"
            if protocol == "shifted":
                require(models[model], ["pairs"], where)
                require(
                    models[model]["pairs"],
                    report["protocols"]["shifted"]["pairs"],
                    f"{where}.pairs",
                )
            else:
                require(models[model], CURVES, where)
                if "calibration" in report:
                    require(models[model], ["calibrated"], where)
    if "calibration" in report:
        require(report["calibration"]["models"], names, "calibration.models")


def _check_federation(report: Report) -> None:
    """Every hospital is told of, where one is."""
    hospitals = [hospital["name"] for hospital in report["partition"]["hospitals"]]
    if "gains" in report:
        require(report["gains"], hospitals, "gains")
    if "yardstick" in report:
        require(report["yardstick"]["alone"], hospitals, "yardstick.alone")
        if shares := report["yardstick"]["contribution"]:
            require(shares["hospitals"], hospitals, "yardstick.contribution.hospitals")


def _check_formats(report: Report) -> None:
    """The format that was sent is one of those told of, and what was measured was also scored."""
    formats, sent = report["communication"]["formats"], report["communication"]["sent"]
    unfinished = report["communication"].get("unfinished", {})
    require(formats, [name for name in FORMATS if name not in unfinished], "communication.formats")
    require(formats, ["full_fp32"], "communication.formats")
    if sent not in formats:
        refuse("communication.sent", f"must be among {', '.join(formats)}", sent)
    for name, format in formats.items():
        if format["measured"]:
            require(format, ["metrics"], f"communication.formats.{name}")


def write(report: Mapping[str, Any], path: Path) -> None:
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

    def joined(match: re.Match[str]) -> str:
        line = match[1] + re.sub(r"\n\s*", " ", match[2]) + match[3]
        return line if match[1] == "[" or len(line) <= 80 else match[0]

    return re.sub(r"([\[{])\n\s*([^\[\]{}]*?)\n\s*([\]}])", joined, text)
