"""The check that a stranger's JSON holds the fields of schema.py, its faults in a sentence."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from typing import Any, NoReturn

from pydantic import TypeAdapter, ValidationError

from fedmed.errors import UserError

REPORT = "evaluation.json"
WAY_OUT = "Train again, or fetch the snapshot again."

# pydantic's kinds of fault, as JSON's words.
WANTED = {
    "int_type": "must be a whole number",
    "float_type": "must be a number",
    "finite_number": "must be finite",
    "string_type": "must be text",
    "bool_type": "must be true or false",
    "dict_type": "must be an object",
    "list_type": "must be a list",
    "too_short": "must hold {min_length} elements",
    "too_long": "must hold {max_length} elements",
    "greater_than": "must be above {gt}",
    "greater_than_equal": "must be {ge:.0e} at least",
    "less_than_equal": "must be {le:.0e} at most",
    "value_error": "{error}",
}


def check(value: Any, kind: Any, where: str = "", *, file: str = REPORT) -> None:
    """Raise UserError naming the first field below `where` that `value` lacks or has wrong.

    `kind` is a type of schema.py. Nothing is converted: a number as text is wrong, and so is true
    where a number is wanted. Further fields are welcome.
    """
    try:
        _adapter(kind).validate_python(value, strict=True)
    except ValidationError as error:
        fault = error.errors(include_url=False)[0]
        place = where + "".join(
            f"[{step}]" if isinstance(step, int) else f".{step}" for step in fault["loc"]
        )
        if fault["type"] == "missing":
            raise _missing(place, file) from None
        wanted = fault["msg"]
        if fault["type"] in WANTED:
            wanted = WANTED[fault["type"]].format(**fault.get("ctx", {}))
        refuse(place, wanted, fault["input"], file=file)


def require(value: Any, names: Iterable[str], where: str) -> None:
    """Raise UserError naming the first of the fields `names` that the object `value` lacks."""
    for name in names:
        if name not in value:
            raise _missing(f"{where}.{name}", REPORT)


def refuse(place: str, wanted: str, value: Any, *, file: str = REPORT) -> NoReturn:
    """Raise UserError: the field at `place` is not what is `wanted`, but `value`."""
    subject = place.lstrip(".") or "the report"
    raise UserError(f"{file}: {subject} {wanted}, not {str(value)[:40]!r}. {WAY_OUT}")


def _missing(place: str, file: str) -> UserError:
    return UserError(f"{file}: the field {place.lstrip('.')} is missing. {WAY_OUT}")


@cache  # building one takes longer than any check
def _adapter(kind: Any) -> TypeAdapter[Any]:
    return TypeAdapter(kind)
