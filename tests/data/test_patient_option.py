"""--patients: an expression or a table that tells whom an image shows."""

from __future__ import annotations

from pathlib import Path

import pytest

from fedmed.data.patient_option import PatientOption
from fedmed.errors import UserError
from tests.support.xrays import listed

IMAGES = [listed(f"train/NORMAL/ward{n // 2}-{n:03d}.png") for n in range(4)]


def told(text: str | None) -> list[str | None]:
    return [image.told for image in PatientOption(text).applied(IMAGES)]


def test_the_groups_are_the_patient() -> None:
    assert told(r"ward(\d)") == ["0", "0", "1", "1"]
    assert told(r"(ward)(\d)-") == ["ward-0", "ward-0", "ward-1", "ward-1"]
    assert told(r"ward0-00(\d)|ward(9)") == ["0", "1", None, None]
    assert told(None) == [None] * 4


def test_an_expression_that_matches_nothing_is_refused() -> None:
    with pytest.raises(UserError, match=r"matches none of the 4 images, such as train/NORMAL/w"):
        told(r"patient(\d+)")


@pytest.mark.parametrize("text", ["ward", "(", "(?:ward)"])
def test_what_names_no_patient_is_refused(text: str) -> None:
    with pytest.raises(UserError, match="--patients"):
        PatientOption(text)


def test_a_table_tells_by_path_or_name(tmp_path: Path) -> None:
    table = tmp_path / "who.CSV"
    table.write_text("image,patient\nward0-000.png,Ann\ntrain/NORMAL/ward0-001.png,Ann\nx.png,Bo\n")
    assert told(str(table)) == ["Ann", "Ann", None, None]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("image,who\na,b\n", "columns image and patient is needed, found image, who"),
        ("image,patient\nx.png,Ann\n", "names none of the images"),
        ("image,patient\nward0-000,Ann\nward0-000.png,Bo\n", "has two patients"),
    ],
)
def test_a_table_that_does_not_fit_is_refused(text: str, problem: str, tmp_path: Path) -> None:
    (tmp_path / "who.csv").write_text(text)
    with pytest.raises(UserError, match=problem):
        told(str(tmp_path / "who.csv"))


def test_a_table_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"none\.csv cannot be read: No such file"):
        told(str(tmp_path / "none.csv"))
