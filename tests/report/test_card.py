from __future__ import annotations

import copy
import re
import shlex

import numpy as np
import pytest
import torch
from huggingface_hub import ModelCard
from PIL import Image
from safetensors.torch import save_file
from torchvision.models import resnet18

from fedmed.backbones.backbone import Backbone
from fedmed.backbones.convert_onnx import ORIGIN
from fedmed.backbones.weights import write_state
from fedmed.experiment.settings import parse
from fedmed.imaging.preprocessing import to_grey, to_input, to_pixels
from fedmed.report.card import model_card
from fedmed.report.claims import summary
from fedmed.task import DATASET, DATASET_ID, DISCLAIMER
from tests.support.reports import example_config, example_report

REPORT, CONFIG = example_report(), example_config()


def with_data(**fields: object) -> dict:
    return {**REPORT, "data": {**REPORT["data"], **fields}}


def test_front_matter_reads_back_with_every_result():
    data = ModelCard(model_card(REPORT, CONFIG, "someone/fedmed-heads")).data
    assert (data.license, data.get("library_name")) == ("mit", "torchvision")
    assert data.pipeline_tag == "image-classification"
    assert data.model_name == "fedmed-heads"
    assert {"federated-learning", "chest-x-ray"} <= set(data.tags)
    found = {(result.metric_type, result.metric_name): result for result in data.eval_results}
    assert len(found) == len(data.eval_results) == 10
    models = REPORT["protocols"]["test"]["models"]
    for model in ("central", "federated"):
        for kind, title, name in (
            ("accuracy", "Accuracy", "accuracy"),
            ("precision", "Precision", "precision"),
            ("recall", "Recall", "recall"),
            ("f1", "F1", "f1"),
            ("roc_auc", "AUC", "auc"),
        ):
            result = found[kind, f"{title} ({model})"]
            assert result.metric_value == pytest.approx(models[model][name]["value"], abs=1e-6)
            assert result.dataset_split == "test"
            assert result.dataset_name == REPORT["data"]["title"]


def test_front_matter_holds_what_the_hub_asks_for():
    front = ModelCard(model_card(REPORT, CONFIG)).data.to_dict()
    (index,) = front["model-index"]
    assert isinstance(index["name"], str)
    for result in index["results"]:
        assert result["task"]["type"] == "image-classification"
        assert result["dataset"]["type"] and result["dataset"]["name"]
        assert all({"type", "value"} <= set(metric) for metric in result["metrics"])
        assert all(isinstance(metric["value"], float) for metric in result["metrics"])


def test_only_a_data_set_of_the_hub_is_linked():
    from_hub = with_data(hub_id=DATASET_ID, source=DATASET_ID, simulated=False, **DATASET)
    assert ModelCard(model_card(from_hub, CONFIG)).data.datasets == [DATASET_ID]
    from_folder = with_data(hub_id=None, source="data/chest", simulated=False)
    data = ModelCard(model_card(from_folder, CONFIG)).data
    assert data.datasets is None
    assert data.eval_results[0].dataset_type == "imagefolder"


def test_awkward_titles_survive_the_front_matter():
    title = 'scans: "north" #2\n--- é'
    data = ModelCard(model_card(with_data(title=title), CONFIG)).data
    assert data.eval_results[0].dataset_name == title


def test_numbers_come_from_the_report_alone():
    other = copy.deepcopy(REPORT)
    other["protocols"]["test"]["models"]["federated"]["accuracy"]["value"] = 0.12345
    other["communication"]["formats"]["fp32"]["run_bytes"] = 987_654
    other["partition"]["hospitals"][0]["images"]["NORMAL"] = 7_531
    card = model_card(other, CONFIG)
    for trace in ("12.3 (", "value: 0.12345", "987,654", "| 7531 |"):
        assert trace in card
        assert trace not in model_card(REPORT, CONFIG)


def test_making_data_and_limits_are_told():
    card = model_card(REPORT, CONFIG)
    for text in (
        DISCLAIMER,
        REPORT["recipe"]["description"],
        REPORT["data"]["citation"],
        f"licence {REPORT['data']['licence']}",
        CONFIG["backbone"]["source"],
        CONFIG["backbone"]["sha256"],
        "simulated X-rays",
    ):
        assert text in card


def test_a_backbone_of_others_is_told_with_its_licence_and_what_it_lacks():
    card = model_card(REPORT, CONFIG | {"backbone": CONFIG["backbone"] | ORIGIN})
    assert f"Left out: {ORIGIN['left_out']}." in card
    assert f"Licence: {ORIGIN['licence']}." in card
    assert "Left out" not in model_card(REPORT, CONFIG)


def command_on(card: str) -> list[str]:
    (command,) = re.findall(r"```sh\n(.*?)```", card, re.S)
    return shlex.split(command.replace("\\\n", ""))


def test_the_command_on_the_card_asks_for_the_same_run():
    assert command_on(model_card(REPORT, CONFIG))[:2] == ["python", "train.py"]
    for options in ([], ["--partition", "dirichlet", "--alpha", "0.3", "--quantize", "int8"]):
        settings = parse(["--data", "simulated", "--backbone", "bundled", *options])
        alpha = settings.alpha if settings.partition == "dirichlet" else None
        report = {
            **REPORT,
            "recipe": {**settings.of_the_run(), "name": "mission", "description": "flips"},
            "partition": {**REPORT["partition"], "alpha": alpha},
        }
        again = parse(command_on(model_card(report, CONFIG))[2:])
        assert again.of_the_run() == settings.of_the_run()


def test_the_card_keeps_the_place_of_a_folder_to_itself():
    report = with_data(source="folder", simulated=False)
    report["recipe"] = {
        **REPORT["recipe"],
        "data": "/home/somebody/xrays",
        "backbone": "/home/somebody/b.safetensors",
    }
    card = model_card(report, CONFIG)
    assert "--data DIR" in card
    assert "--backbone b.safetensors" in card
    assert "somebody" not in card


def test_what_weakens_the_figures_is_said_only_where_it_applies():
    plain = model_card(REPORT, CONFIG)
    weak = model_card(with_data(patients_known=False, patient_overlap=3, simulated=False), CONFIG)
    for warning in ("File names told no patients", "3 patients are in both train and test"):
        assert warning in weak
        assert warning not in plain
    assert "simulated X-rays" not in weak
    cohort = {"images": {"NORMAL": 321, "PNEUMONIA": 432}, "patients": 543}
    assert "| 321 | 432 | 543 |" in model_card(with_data(public_cohort=cohort), CONFIG)


def test_the_code_on_the_card_gives_the_models_answer(tmp_path, monkeypatch, capsys):
    torch.manual_seed(0)
    network = resnet18(num_classes=2).eval()
    backbone = Backbone(network.state_dict(), {"id": "random", "source": "a test"})
    write_state(backbone.state, backbone.origin, tmp_path)
    head = {"fc.weight": torch.randn(2, 512) / 20, "fc.bias": torch.randn(2)}
    save_file(head, tmp_path / "federated_model.safetensors")
    xray = Image.fromarray(np.random.default_rng(0).integers(0, 255, (300, 400), dtype=np.uint8))
    xray.save(tmp_path / "xray.jpeg")

    (code,) = re.findall(r"```python\n(.*?)```", model_card(REPORT, CONFIG, "me/heads"), re.S)
    asked = []
    monkeypatch.setattr(
        "huggingface_hub.snapshot_download", lambda repo: asked.append(repo) or str(tmp_path)
    )
    monkeypatch.chdir(tmp_path)
    exec(compile(code, "README.md", "exec"), {})

    pixels = to_pixels(Image.open(tmp_path / "xray.jpeg"))
    features = backbone.features(to_input(to_grey(pixels[None])))
    expected = (features @ head["fc.weight"].T + head["fc.bias"]).softmax(1)[0].tolist()
    printed = eval(capsys.readouterr().out)
    assert asked == ["me/heads"]
    wanted = dict(zip(("NORMAL", "PNEUMONIA"), expected, strict=True))
    assert printed == pytest.approx(wanted, abs=1e-5)
    assert min(wanted.values()) > 1e-3


def test_the_card_opens_with_what_the_figures_bear_out():
    opening = model_card(REPORT, CONFIG).split("\n## ")[0]
    for claim in summary(REPORT):
        assert f"\n- {claim.text}\n" in f"{opening}\n"
