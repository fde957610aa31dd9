"""/federate through gradio_client, on the running app."""

from __future__ import annotations

import re

import gradio_client
import pytest
from gradio_client import Client
from gradio_client.exceptions import AppError

from tests.support.app_fixtures import REPOSITORY


@pytest.fixture(scope="module")
def client(server):
    return Client(server, verbose=False)


def test_rounds_are_streamed_then_a_summary(client):
    *rounds, last = list(client.submit(rounds=2, hospitals=3, api_name="/federate"))
    assert [event["round"] for event in rounds] == [1, 2]
    for event in rounds:
        assert {"federated", "hospital_1", "hospital_2", "hospital_3"} <= set(event["models"])
        assert set(event["models"]["federated"]) == {"auc", "balanced_accuracy"}
        assert len(event["bytes_up"]) == len(event["bytes_down"]) == 3
    assert last["summary"]["rounds"] == 2
    assert set(last) == {"summary"}  # the models stay


def test_bad_settings_get_a_sentence(client):
    with pytest.raises(AppError, match="rounds is a whole number from 1 to 100, not 1000"):
        client.predict(rounds=1000, api_name="/federate")
    with pytest.raises(AppError, match="There is no snapshot"):
        client.predict(rounds=1, snapshot="none", api_name="/federate")


def test_the_snippet_of_the_documentation_runs_as_printed(server, monkeypatch, capsys):
    text = (REPOSITORY / "docs" / "lab.md").read_text(encoding="utf-8")
    found = re.search(r"<!-- snippet: federate -->\s*```python\n(.*?)```", text, re.DOTALL)
    assert found
    monkeypatch.setattr(
        gradio_client, "Client", lambda _: Client(server, verbose=False, ssl_verify=False)
    )
    exec(compile(found[1], "snippet", "exec"), {})
    lines = capsys.readouterr().out.strip().split("\n")
    assert [line.split()[0] for line in lines[:5]] == ["1", "2", "3", "4", "5"]
    assert "hospital" in lines[5]
