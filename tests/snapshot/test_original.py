from __future__ import annotations

import io
import os
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor
from torchvision.models import resnet18, resnet34

from fedmed.errors import UserError
from fedmed.imaging.augmentation import CLEAN, render
from fedmed.imaging.preprocessing import to_input
from fedmed.inference.predictor import Predictor
from fedmed.snapshot.original import Original, is_original, read_model

SIX = {"central": "central_model.pth"} | {
    f"hospital_{number}": f"client_{number}_model.pth" for number in range(1, 6)
}


def full_state(network: torch.nn.Module) -> dict[str, Tensor]:
    return {name: tensor.clone() for name, tensor in network.state_dict().items()}


@pytest.fixture(scope="module")
def states() -> dict[str, dict[str, Tensor]]:
    """Six models; hospital 1 has drifted statistics, the others share the central backbone."""
    with torch.random.fork_rng():
        torch.manual_seed(3)
        network = resnet18(num_classes=2)
        found = {}
        for model in SIX:
            torch.nn.init.normal_(network.fc.weight, std=0.01)
            found[model] = full_state(network)
        drift = found["hospital_1"]
        drift["layer4.1.bn2.running_mean"] += 0.5
    return found


@pytest.fixture(scope="module")
def folder(states, tmp_path_factory) -> Path:
    made = tmp_path_factory.mktemp("original")
    for model, name in SIX.items():
        torch.save({f"model.{key}": value for key, value in states[model].items()}, made / name)
    return made


def test_six_files_open_and_models_of_one_backbone_share_its_pass(folder):
    assert is_original(folder)
    original = Original(folder)
    assert original.models == list(SIX)
    assert [group.models for group in original.groups] == [
        ["central", "hospital_2", "hospital_3", "hospital_4", "hospital_5"],
        ["hospital_1"],
    ]
    assert original.report is None and not original.examples


def test_a_panel_answers_as_plain_torchvision_does(folder, states):
    noise = np.random.default_rng(0).integers(0, 256, (224, 224)).astype(np.uint8)
    prediction = Predictor(Original(folder)).predict_image(Image.fromarray(noise))
    assert list(prediction.probabilities) == list(SIX)
    inputs = to_input(render(CLEAN, noise[None], [""]))
    for model, state in states.items():
        network = resnet18(num_classes=2)
        network.load_state_dict(state)
        with torch.inference_mode():
            expected = network.eval()(inputs)[0].softmax(0).tolist()
        assert list(prediction.probabilities[model].values()) == pytest.approx(expected, abs=1e-4)
    answers = [found["PNEUMONIA"] for found in prediction.probabilities.values()]
    assert all(0.01 < answer < 0.99 for answer in answers) and np.std(answers) > 0.01


def test_a_federated_model_is_taken_where_present(states, tmp_path):
    torch.save(states["central"], tmp_path / "central_model.pth")
    torch.save({"state_dict": states["central"]}, tmp_path / "federated_model.pth")
    torch.save({"model_state_dict": states["central"], "epoch": 3}, tmp_path / "client_1_model.pth")
    assert Original(tmp_path).models == ["central", "federated", "hospital_1"]


def test_hospitals_are_in_the_order_of_their_numbers(states, tmp_path):
    torch.save(states["central"], tmp_path / "central_model.pth")
    for number in (1, 2, 10):
        (tmp_path / f"client_{number}_model.pth").symlink_to(tmp_path / "central_model.pth")
    assert Original(tmp_path).models == ["central", "hospital_1", "hospital_2", "hospital_10"]


def test_a_pipe_or_a_folder_of_a_model_s_name_is_none(folder, tmp_path):
    (tmp_path / "central_model.pth").symlink_to(folder / "central_model.pth")
    (tmp_path / "client_1_model.pth").symlink_to(folder / "client_1_model.pth")
    (tmp_path / "client_2_model.pth").mkdir()
    os.mkfifo(tmp_path / "client_3_model.pth")  # whoever opened it would wait for ever
    assert Original(tmp_path).models == ["central", "hospital_1"]


@pytest.mark.parametrize("part", range(0, 100, 9))
def test_a_damaged_file_is_refused_by_name_or_is_a_model_all_the_same(folder, tmp_path, part):
    """No digest comes with these files: what is promised is no crash."""
    content = bytearray((folder / "central_model.pth").read_bytes())
    path = tmp_path / "central_model.pth"
    for place in (part, len(content) * part // 100, len(content) - 1 - part):
        damaged = content[:place] + bytes([content[place] ^ 0x24]) + content[place + 1 :]
        for data in (damaged, content[:place]):
            path.write_bytes(data)
            try:
                assert read_model(path)["fc.bias"].shape == (2,)
            except UserError as error:
                assert "central_model.pth" in str(error)


def test_a_folder_without_the_central_model_is_refused(tmp_path):
    assert not is_original(tmp_path)
    with pytest.raises(UserError, match=r"must hold central_model\.pth"):
        Original(tmp_path)


def without(state: dict[str, Tensor], name: str) -> dict[str, Tensor]:
    return {key: value for key, value in state.items() if key != name}


def infinite(state: dict[str, Tensor], name: str) -> dict[str, Tensor]:
    return state | {name: torch.full_like(state[name], float("inf"))}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda state: [1, 2], "is not a state dict"),
        (lambda state: {"state_dict": 3}, "is not a state dict"),
        (lambda state: {1: torch.zeros(1)}, "is not a state dict"),
        (lambda state: {}, "the last layer has the shapes"),
        (lambda state: state | {"fc.weight": torch.zeros(1000, 512)}, "the last layer has the sha"),
        (lambda state: state | {"fc.1.bias": torch.zeros(2)}, r"the shapes .*fc\.1\.bias"),
        (lambda state: without(state, "layer3.0.conv1.weight"), r"layer3\.0\.conv1\.weight is mis"),
        (lambda state: infinite(state, "bn1.weight"), r"not finite, in bn1\.weight"),
        (lambda state: infinite(state, "fc.bias"), "not finite, in its last layer"),
        (
            lambda state: state | {"fc.bias": torch.full((2,), 1e300, dtype=torch.float64)},
            "not finite, in its last layer",
        ),
        (lambda state: full_state(resnet34(num_classes=2)), "which no ResNet18 has"),
    ],
)
def test_a_file_that_holds_something_else_is_refused_by_name(states, tmp_path, change, message):
    path = tmp_path / "client_4_model.pth"
    torch.save(change(states["central"]), path)
    with pytest.raises(UserError, match=message) as caught:
        read_model(path)
    assert "client_4_model.pth" in str(caught.value)


class Touch:
    """Unpickled without care, it makes a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


def test_nothing_in_a_file_is_executed(tmp_path):
    torch.save({"fc.weight": Touch(tmp_path / "ran")}, tmp_path / "central_model.pth")
    with pytest.raises(UserError, match="can't be read as a state dict"):
        read_model(tmp_path / "central_model.pth")
    assert not (tmp_path / "ran").exists()
    torch.load(tmp_path / "central_model.pth", weights_only=False)
    assert (tmp_path / "ran").exists()


@pytest.mark.parametrize("content", [b"", b"no model", b"PK\x05\x06" + bytes(18), b"\x80\x02."])
def test_bytes_that_are_no_pickle_are_refused(tmp_path, content):
    (tmp_path / "central_model.pth").write_bytes(content)
    with pytest.raises(UserError, match=r"central_model\.pth can't be read"):
        read_model(tmp_path / "central_model.pth")


def test_a_small_file_that_unpacks_to_a_large_one_is_refused_unread(tmp_path, monkeypatch):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data/0", bytes(140 * 2**20))
    path = tmp_path / "central_model.pth"
    path.write_bytes(buffer.getvalue())
    monkeypatch.setattr(torch, "load", lambda *_, **__: pytest.fail("it was read"))
    assert path.stat().st_size < 2**20
    with pytest.raises(UserError, match="140 MiB; the limit is 128 MiB"):
        read_model(path)
