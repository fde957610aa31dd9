"""A hospital whose key the server does not know yet asks again, and then says so."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from fedmed.flower.supernode import TRIES, UNKNOWN_KEY, patiently


class Refused(Exception):
    def __init__(self, text):
        self.response = SimpleNamespace(text=text)


def server(*, knows_after, says=UNKNOWN_KEY):
    asked = []

    def activate(client, request):
        asked.append(request)
        if len(asked) <= knows_after:
            raise Refused(f'{{"code": 2004, "message": "{says}."}}')
        return "node"

    return activate, asked


def test_a_key_that_is_registered_a_little_later_is_known(capsys):
    activate, asked = server(knows_after=3)
    assert patiently(activate, sleep=lambda seconds: None)(None, "who") == "node"
    assert asked == ["who"] * 4
    assert capsys.readouterr().out.count("does not know this key yet") == 1


def test_a_key_that_is_not_registered_is_told_in_the_end(capsys):
    activate, asked = server(knows_after=1000)
    with pytest.raises(Refused):
        patiently(activate, sleep=lambda seconds: None)(None, "who")
    assert len(asked) == TRIES + 1
    assert "ask the coordinator to register" in capsys.readouterr().out


def test_other_faults_are_flowers(capsys):
    activate, asked = server(knows_after=1, says="no such thing")
    with pytest.raises(Refused):
        patiently(activate, sleep=lambda seconds: None)(None, "who")
    assert len(asked) == 1 and not capsys.readouterr().out
