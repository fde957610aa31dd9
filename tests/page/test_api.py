"""The API through gradio_client, and what a stranger gets who asks for more."""

from __future__ import annotations

import json
import re
from io import BytesIO

import gradio_client
import httpx
import numpy as np
import pytest
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError, ValidationError
from PIL import Image, ImageOps

from tests.support.app_fixtures import REPOSITORY
from tests.support.reports import MODELS

EXAMPLE = REPOSITORY / "examples" / "01_normal.png"


@pytest.fixture(scope="module")
def client(server):
    return Client(server, verbose=False)


def test_predict_has_the_promised_shape(client):
    answer = client.predict(image=handle_file(EXAMPLE), api_name="/predict")
    assert list(answer) == ["models", "agreement", "warnings", "notes", "snapshot"]
    assert list(answer["models"]) == list(MODELS)
    for said in answer["models"].values():
        assert said["label"] in ("NORMAL", "PNEUMONIA")
        assert list(said["probabilities"]) == ["NORMAL", "PNEUMONIA"]
        assert sum(said["probabilities"].values()) == pytest.approx(1, abs=1e-6)
    assert answer["agreement"]["of"] == len(MODELS)
    assert answer["snapshot"] == "folder snapshot"


def test_a_16_bit_film_is_read_in_full(client, tmp_path):
    """Gradio's own image component would clip it to white."""
    # So much of it is white that nothing of it is taken for a burnt-in marker.
    grey = np.asarray(ImageOps.autocontrast(Image.open(EXAMPLE).convert("L"), cutoff=6))
    Image.fromarray(grey).save(tmp_path / "8.png")
    Image.fromarray(grey.astype(np.uint16) * 257).save(tmp_path / "16.png")
    shallow, deep = (
        client.predict(image=handle_file(tmp_path / name), api_name="/predict")["models"]
        for name in ("8.png", "16.png")
    )
    for model in MODELS:
        expected = shallow[model]["probabilities"]
        assert deep[model]["probabilities"] == pytest.approx(expected, abs=1e-5)


def test_what_cannot_be_read_is_said(client, tmp_path):
    path = tmp_path / "<b>secret name.png"
    path.write_bytes(b"not an image at all")
    with pytest.raises(AppError) as refused:
        client.predict(image=handle_file(path), api_name="/predict")
    assert "not an image" in str(refused.value)
    assert "Accepted: JPEG, PNG, DICOM, TIFF, BMP or WebP." in str(refused.value)
    assert "secret" not in str(refused.value)


def test_callers_at_once_each_get_their_own_answer(server, tmp_path):
    client = Client(server, verbose=False, httpx_kwargs={"timeout": 120})  # on a slow machine
    bad = tmp_path / "bad.png"
    bad.write_bytes(b"not an image at all")
    paths = sorted((REPOSITORY / "examples").glob("*.png"))[:6]
    expected = [client.predict(image=handle_file(path), api_name="/predict") for path in paths]
    assert len({str(answer) for answer in expected}) == len(paths)
    jobs = [
        client.submit(image=handle_file(path), api_name="/predict")
        for path in (*paths, bad, *paths, *paths)
    ]
    with pytest.raises(AppError, match="not an image"):
        jobs.pop(len(paths)).result(120)
    for number, job in enumerate(jobs):
        models, alone = job.result(120)["models"], expected[number % len(paths)]["models"]
        for model in MODELS:
            assert models[model]["label"] == alone[model]["label"]
            found = models[model]["probabilities"]
            assert found == pytest.approx(alone[model]["probabilities"], abs=1e-6)


def test_no_file_at_all(client):
    with pytest.raises(ValidationError, match="No file came"):
        client.predict(image=None, api_name="/predict")


def test_thresholds_and_on_request_heat_maps(client):
    plain = client.predict(image=handle_file(EXAMPLE), api_name="/predict")["models"]
    answer = client.predict(image=handle_file(EXAMPLE), heat_map=True, api_name="/predict")
    for model, said in answer["models"].items():
        probability, threshold = said["probabilities"]["PNEUMONIA"], said["threshold"]
        assert (said["label"] == "PNEUMONIA") == (probability >= threshold)
        grid = np.array(said.pop("heat_map"))
        assert grid.shape == (7, 7)
        log_odds = np.log(probability / (1 - probability))
        assert grid.mean() == pytest.approx(log_odds, abs=1e-3)
        assert said == plain[model]


def test_the_code_to_copy_works(server, monkeypatch, capsys):
    """It names an X-ray that is there, in a checkout, and no way in that is not offered."""
    about = httpx.get(f"{server}gradio_api/info", timeout=30).json()["named_endpoints"]
    for endpoint in about.values():
        assert "sample_file" not in str(endpoint) and "Hello!!" not in str(endpoint)
    monkeypatch.chdir(REPOSITORY)
    exec(compile(about["/predict"]["code_snippets"]["python"], "snippet", "exec"), {})
    assert "'agreement'" in capsys.readouterr().out


def test_report_is_the_stored_one(client, snapshot_folder):
    stored = json.loads((snapshot_folder / "evaluation.json").read_text(encoding="utf-8"))
    assert client.predict(api_name="/report") == stored


def test_models_describe_what_is_shown(client, snapshot_folder):
    config = json.loads((snapshot_folder / "config.json").read_text(encoding="utf-8"))
    found = client.predict(api_name="/models")
    assert found["models"] == config["models"]
    assert found["backbone"] == config["backbone"]
    assert found["snapshot"]["label"] == "folder snapshot"
    assert found["snapshot"]["problem"] is None


def test_nothing_else_is_public(client):
    endpoints = client.view_api(return_format="dict", print_info=False)
    assert sorted(endpoints["named_endpoints"]) == ["/federate", "/models", "/predict", "/report"]
    assert not endpoints["unnamed_endpoints"]


def test_a_file_of_the_server_cannot_be_named(server):
    body = {"data": [{"path": str(REPOSITORY / "LICENSE"), "meta": {"_type": "gradio.FileData"}}]}
    reply = httpx.post(f"{server}gradio_api/call/predict", json=body, timeout=30)
    assert reply.status_code == 422 and "no such upload" in reply.text
    assert httpx.get(f"{server}gradio_api/file={REPOSITORY}/LICENSE", timeout=30).status_code == 404


def test_limits_of_the_server(server):
    assert httpx.get(f"{server}monitoring/summary", timeout=30).status_code != 200
    config = httpx.get(f"{server}config", timeout=30).json()
    assert config["max_file_size"] == 64 * 2**20
    assert not config.get("run_history", False)
    assert config["analytics_enabled"] is False
    picture = BytesIO()
    Image.new("L", (64, 64)).save(picture, "PNG")
    files = {"files": ("big.png", picture.getvalue() + bytes(70_000_000))}
    upload = httpx.post(f"{server}gradio_api/upload", files=files, timeout=60)
    assert upload.status_code == 413


def test_readme_snippet_as_printed(server, monkeypatch, capsys):
    readme = (REPOSITORY / "README.md").read_text(encoding="utf-8")
    found = re.search(r"<!-- snippet: client -->\s*```python\n(.*?)```", readme, re.DOTALL)
    assert found, "README.md has no snippet marked <!-- snippet: client -->"

    def at_the_test_server(address: str) -> Client:
        assert address.rstrip("/") == "http://127.0.0.1:7860"
        return Client(server, verbose=False)

    monkeypatch.chdir(REPOSITORY)
    monkeypatch.setattr(gradio_client, "Client", at_the_test_server)
    exec(compile(found[1], "README.md", "exec"), {})
    printed = capsys.readouterr().out
    assert [line.split()[0] for line in printed.splitlines()] == list(MODELS)
