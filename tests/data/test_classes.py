"""Which class a name stands for."""

from __future__ import annotations

import pytest

from fedmed.data.classes import LEFT_OUT, ClassNames
from fedmed.errors import UserError


def test_the_classes_are_known_in_any_case() -> None:
    names = ClassNames()
    assert [names.label(name) for name in ("NORMAL", "Pneumonia", " normal ", "COVID")] == [
        0,
        1,
        0,
        None,
    ]


def test_other_names_are_mapped_or_left_out() -> None:
    names = ClassNames("Healthy=normal, bacterial=PNEUMONIA,viral=Pneumonia,lateral=")
    asked = ("healthy", "BACTERIAL", "viral", "Lateral", "NORMAL", "covid")
    assert [names.label(name) for name in asked] == [0, 1, 1, LEFT_OUT, 0, None]


def test_a_name_may_hold_an_equals_sign() -> None:
    assert ClassNames("grade=2=PNEUMONIA").label("grade=2") == 1


@pytest.mark.parametrize("text", ["COVID", "=NORMAL", "a=b", "a=NORMAL,", "a=NORMAL,A=PNEUMONIA"])
def test_what_is_not_understood_is_refused(text: str) -> None:
    with pytest.raises(UserError, match="--classes"):
        ClassNames(text)
