"""The fields of evaluation.json, and the check that a value holds them."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

from fedmed.errors import UserError
from fedmed.task import CLASSES

PROTOCOLS = ("validation", "test")
SHIFTED = "shifted"  # swapped validation: a third protocol, which older reports lack

WAY_OUT = "Train again, or fetch the snapshot again."

LARGEST = 10**15  # no count or measure comes near it; Python's integers would grow beyond a float

# A kind is a type, a tuple of alternative types, [kind of every element], [kind of the first, kind
# of the second, ...], {name: kind of that field} or {str: kind of every field}.
NUMBER = (int, float)
INTERVAL = {"value": NUMBER, "low": NUMBER, "high": NUMBER}
SCORES = {
    "accuracy": INTERVAL,
    "balanced_accuracy": INTERVAL,
    "precision": INTERVAL,
    "recall": INTERVAL,
    "specificity": INTERVAL,
    "f1": INTERVAL,
    "auc": INTERVAL,
    "confusion_matrix": [[int, int], [int, int]],
    "threshold": {"value": NUMBER, "rule": str},
    "n": int,
}
# Of the models that are shown one by one.
CURVES: dict[str, dict[str, Any]] = {
    "roc": {"fpr": [NUMBER], "tpr": [NUMBER]},
    "calibration": {"predicted": [NUMBER], "observed": [NUMBER], "count": [int]},
}
PROTOCOL = {"n": int, "patients": int, "description": str, "models": {str: SCORES}}
BY_PAIR = {"balanced_accuracy": NUMBER, "auc": NUMBER}
COMPARISON = {
    "models": [str],
    "accuracy_difference": INTERVAL,
    "balanced_accuracy_difference": INTERVAL,
    "f1_difference": INTERVAL,
    "auc_difference": INTERVAL,
    "mcnemar_p": NUMBER,
    "only_federated_right": int,
    "only_central_right": int,
    "words": str,
}
PER_CLASS = dict.fromkeys(CLASSES, int)
COUNTS = {"images": PER_CLASS, "patients": int}
FORMAT = {
    "title": str,
    "measured": bool,
    "update_bytes": int,
    "round_bytes": int,
    "run_bytes": int,
}
REPORT = {
    "schema_version": int,
    "protocols": dict.fromkeys(PROTOCOLS, PROTOCOL),
    "comparison": dict.fromkeys(PROTOCOLS, COMPARISON),
    "rounds": [
        {"round": int, "validation": SCORES, "bytes_up": {str: int}, "bytes_down": {str: int}}
    ],
    "communication": {
        "sent": str,
        "rounds": int,
        "hospitals": int,
        "formats": dict.fromkeys(("full_fp32", "fp32", "fp16", "int8"), FORMAT),
    },
    "partition": {
        "scheme": str,
        "alpha": (int, float, None),
        "seed": int,
        "hospitals": [{"name": str, "patients": PER_CLASS, "images": PER_CLASS}],
    },
    "local_only": {name: {str: SCORES} for name in PROTOCOLS},
    "data": {
        "source": str,
        "title": str,
        "licence": str,
        "citation": str,
        "simulated": bool,
        "patients_known": bool,
        "splits": dict.fromkeys(("train", "test"), COUNTS),
        "repeats": {"train": int, "test": int, "across": int},
        "patient_overlap": int,
        "unreadable": list,
        "public_cohort": (dict, None),
        "held_out": COUNTS,
        "training": COUNTS,
    },
    "recipe": {"name": str, "description": str, "views": int},
    "timing": {str: NUMBER},
    "environment": dict,
}


def check(value: Any, kind: Any, where: str = "") -> None:
    """Raise UserError naming the first field below `where` that `value` lacks or has wrong."""
    if isinstance(kind, dict):
        _require(isinstance(value, dict), where, "must be an object", value)
        if str in kind:
            kind = dict.fromkeys(value, kind[str])
        for name, field in kind.items():
            path = f"{where}.{name}".lstrip(".")
            if name not in value:
                raise UserError(f"evaluation.json: the field {path} is missing. {WAY_OUT}")
            check(value[name], field, path)
    elif isinstance(kind, list):
        _require(isinstance(value, list), where, "must be a list", value)
        kinds = kind * len(value) if len(kind) == 1 else kind
        _require(len(value) == len(kinds), where, f"must hold {len(kinds)} elements", value)
        for position, element in enumerate(value):
            check(element, kinds[position], f"{where}[{position}]")
    else:
        _check_plain(value, kind if isinstance(kind, tuple) else (kind,), where)


def check_formats(communication: dict[str, Any]) -> None:
    """Raise UserError unless the format that was sent is one of those told of, and bytes were."""
    formats, sent = communication["formats"], communication["sent"]
    _require(sent in formats, "communication.sent", f"must be among {', '.join(formats)}", sent)
    for name, format in formats.items():
        where = f"communication.formats.{name}.update_bytes"
        _require(format["update_bytes"] > 0, where, "must be above 0", format["update_bytes"])


def check_curves(models: dict[str, Any], drawn: Iterable[str], protocol: str) -> None:
    """Raise UserError naming the first curve of a `drawn` model that cannot be drawn."""
    for model in drawn:
        scores = models[model]
        for curve, names in CURVES.items():
            where = f"protocols.{protocol}.models.{model}.{curve}"
            lengths = [len(scores[curve][name]) for name in names]
            _require(len(set(lengths)) == 1, where, "must hold lists of one length", lengths)
        counts = scores["calibration"]["count"]
        _require(min(counts, default=1) > 0, f"{where}.count", "must be above 0", counts)


def _check_plain(value: Any, kinds: tuple[Any, ...], where: str) -> None:
    types = tuple(type(None) if kind is None else kind for kind in kinds)
    # bool is an int to Python, not to a reader of the report.
    fits = isinstance(value, types) and (not isinstance(value, bool) or bool in types)
    names = " or ".join("null" if kind is None else kind.__name__ for kind in kinds)
    _require(fits, where, f"must be {names}", value)
    if isinstance(value, float):
        _require(math.isfinite(value), where, "must be finite", value)
    if isinstance(value, (int, float)):
        _require(abs(value) <= LARGEST, where, f"must be {LARGEST:.0e} at most", value)


def _require(fits: bool, where: str, wanted: str, value: Any) -> None:
    if not fits:
        raise UserError(
            f"evaluation.json: {where or 'the report'} {wanted}, not {str(value)[:40]!r}. {WAY_OUT}"
        )
