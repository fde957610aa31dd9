"""`--patients`: a regular expression on file names, or a CSV, that tells whom an image shows."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from fedmed.data.listed import Listed
from fedmed.data.table import Files, patients_of, read_table
from fedmed.errors import UserError


def is_table(text: str | None) -> bool:
    """Whether what the option was given is a CSV, by its name."""
    return bool(text) and str(text).lower().endswith(".csv")


class PatientOption:
    """What the option was given; without it, images keep what they had.

    Raises:
        UserError: no regular expression, or one without a group.
    """

    def __init__(self, text: str | None = None) -> None:
        self._text = text
        self._table = is_table(text)
        self._pattern: re.Pattern[str] | None = None
        if text is None or self._table:
            return
        try:
            self._pattern = re.compile(text)
        except re.error as error:
            raise UserError(f"--patients {text!r} is no regular expression: {error}.") from error
        if not self._pattern.groups:
            raise UserError(
                f"--patients {text!r} has no group: put round brackets around what names the "
                r"patient, as in '(\d+)_\d+\.png'; or give a CSV with the columns image and "
                "patient."
            )

    def applied(self, listed: Sequence[Listed]) -> list[Listed]:
        """The images with the patient that the option tells; others keep what they had.

        An expression is searched for in the path below the data folder; its groups that matched
        are the patient.

        Raises:
            UserError: it tells of none of them, or the CSV cannot be used.
        """
        if self._text is None:
            return list(listed)
        if self._table:
            path = Path(self._text)
            try:
                table = read_table(path)
            except OSError as error:
                raise UserError(f"--patients {path} cannot be read: {error.strerror}.") from error
            told = patients_of(table, Files(image.name for image in listed))
        else:
            told = {x.name: patient for x in listed if (patient := self._match(x.name))}
            if not told:
                raise UserError(
                    f"--patients {self._text!r} matches none of the {len(listed):,} images, such "
                    f"as {listed[0].name}."
                )
        return [replace(image, told=told.get(image.name, image.told)) for image in listed]

    def _match(self, name: str) -> str | None:
        assert self._pattern is not None
        match = self._pattern.search(name)
        return "-".join(group for group in match.groups() if group) or None if match else None
