"""The conversion keeps the features, whatever the weights; the shipped ones are its result.

Where FEDMED_ONNX_SOURCE names the folder of the source files (`fedmed.backbones.convert_onnx`
says which) and onnxruntime is installed, the source itself is the judge.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor
from torchvision.models.resnet import BasicBlock, ResNet

from fedmed.backbones import convert_onnx
from fedmed.backbones.backbone import Backbone, load
from fedmed.backbones.convert_onnx import NETWORK, ORIGIN, PREPROCESSING, SHA256, convert
from fedmed.errors import UserError
from fedmed.simulation import simulate
from fedmed.task import IMAGENET_MEAN, IMAGENET_STD

SOURCE = Path(os.environ.get("FEDMED_ONNX_SOURCE", "nowhere"))
FLAT = torch.tensor([103.06, 115.90, 123.15]).view(1, 3, 1, 1)  # B, G, R


def pictures(count: int = 6) -> Tensor:
    """Simulated radiographs tinted, so that channels differ: R, G, B in 0..1 [count, 3, 224, 224].

    X-rays are grey, and could not tell a network whose channels are reversed.
    """
    made = (simulate(90_500 + number, number % 2).pixels for number in range(count))
    grey = np.stack([np.asarray(Image.fromarray(pixels).resize((224, 224))) for pixels in made])
    exponents = torch.tensor([0.6, 1.0, 1.6]).view(3, 1, 1)
    return torch.from_numpy(grey).float()[:, None].div(255) ** exponents


def our_input(rgb: Tensor) -> Tensor:
    return (rgb - torch.tensor(IMAGENET_MEAN).view(3, 1, 1)) / torch.tensor(IMAGENET_STD).view(
        3, 1, 1
    )


def sources_input(rgb: Tensor, mean: Tensor) -> Tensor:
    """What the source takes: B, G, R from 0 to 255 less a mean."""
    return 255 * rgb.flip(1) - mean


def random_source() -> ResNet:
    """A network of the source's shape with random weights, its statistics fitted to its input."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = ResNet(BasicBlock, [2, 2, 2, 3])
        for module in network.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                module.momentum = None
                torch.nn.init.uniform_(module.weight, 0.5, 1.5)
                torch.nn.init.normal_(module.bias)
        with torch.no_grad():
            network(sources_input(pictures(), FLAT))
    network.fc = torch.nn.Identity()  # type: ignore[assignment]
    return network.eval()


def as_graph(network: ResNet) -> tuple[list[SimpleNamespace], dict[str, Tensor]]:
    """The network as ONNX has it: a block's projection before its other convolutions."""
    arrays = dict(network.state_dict())
    nodes = []

    def layer(conv: str, norm: str) -> Iterator[SimpleNamespace]:
        parts = ("weight", "bias", "running_mean", "running_var")
        normalised = [f"{conv}!", *(f"{norm}.{part}" for part in parts)]
        yield SimpleNamespace(op_type="Conv", input=["x", f"{conv}.weight"], output=[normalised[0]])
        yield SimpleNamespace(op_type="Relu", input=["y"], output=["z"])
        yield SimpleNamespace(op_type="BatchNormalization", input=normalised, output=["w"])

    nodes += layer("conv1", "bn1")
    for name, module in network.named_modules():
        if isinstance(module, BasicBlock):
            if module.downsample is not None:
                nodes += layer(f"{name}.downsample.0", f"{name}.downsample.1")
            nodes += layer(f"{name}.conv1", f"{name}.bn1")
            nodes += layer(f"{name}.conv2", f"{name}.bn2")
    return nodes, arrays


def test_features_stay_what_they_were_on_the_sources_input() -> None:
    """All but the border: the source pads with its mean image's grey, torchvision with another."""
    network = random_source()
    state = convert(*as_graph(network), FLAT.expand(1, 3, 224, 224))
    network.layer4 = network.layer4[:2]  # type: ignore[assignment]
    rgb = pictures()
    with torch.inference_mode():
        expected = network(sources_input(rgb, FLAT))
    found = Backbone(state, ORIGIN, rounded=False).features(our_input(rgb))
    assert (expected.std(0) > 0.02 * expected.max()).sum() > 100, "the comparison would say nothing"
    assert (found - expected).abs().max() < 5e-3 * expected.abs().max()


def test_a_graph_of_another_shape_is_refused() -> None:
    nodes, arrays = as_graph(random_source())
    shorter = [n for n in nodes if not n.input[-1].startswith("layer4.2")]
    shorter = [n for n in shorter if not n.input[0].startswith("layer4.2")]
    with pytest.raises(UserError, match=r"no ResNet with \(2, 2, 2, 3\) blocks"):
        convert(shorter, arrays, FLAT)


def test_another_file_than_the_source_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    output = tmp_path / "backbone"
    monkeypatch.setattr("sys.argv", ["convert", f"--source={tmp_path}", f"--output={output}"])
    with pytest.raises(UserError, match=rf"{NETWORK} cannot be read .*tools/DnnImageModels"):
        convert_onnx.main()
    (tmp_path / NETWORK).write_bytes(b"another")
    with pytest.raises(UserError, match=rf"{NETWORK} is not the file of Microsoft"):
        convert_onnx.main()
    assert not output.exists()


needs_source = pytest.mark.skipif(
    not all((SOURCE / name).is_file() for name in SHA256), reason="FEDMED_ONNX_SOURCE is not set"
)


@pytest.fixture(scope="module")
def converted() -> Backbone:
    """The source, unrounded, as the conversion makes it."""
    pytest.importorskip("onnx")
    nodes, arrays = convert_onnx._read(SOURCE / NETWORK)
    _, preprocessing = convert_onnx._read(SOURCE / PREPROCESSING)
    return Backbone(convert(nodes, arrays, preprocessing["MeanImage"]), ORIGIN, rounded=False)


@needs_source
class TestAgainstTheSource:
    def test_features_are_the_sources(self, converted: Backbone) -> None:
        """ONNX Runtime's, before the block that is left out, against a flat mean image."""
        runtime, onnx = pytest.importorskip("onnxruntime"), pytest.importorskip("onnx")
        model = onnx.load(SOURCE / NETWORK)
        added = [node for node in model.graph.node if node.op_type == "Add"]
        (last,) = (n.output[0] for n in model.graph.node if n.input[0] == added[-2].output[0])
        model.graph.output.append(onnx.helper.make_empty_tensor_value_info(last))
        session = runtime.InferenceSession(model.SerializeToString())
        _, preprocessing = convert_onnx._read(SOURCE / PREPROCESSING)
        flat = preprocessing["MeanImage"].mean((2, 3), keepdim=True)
        inputs = sources_input(pictures(), flat).split(1)
        maps = [session.run([last], {"Input247": one.numpy()})[0] for one in inputs]
        expected = torch.from_numpy(np.concatenate(maps)).mean((2, 3))
        features = converted.features(our_input(pictures()))
        assert (features - expected).abs().max() < 1e-3 * expected.max()

    def test_the_shipped_weights_are_its_result(self, converted: Backbone) -> None:
        assert load("imagenet").sha256 == Backbone(converted.state, ORIGIN).sha256

    def test_rounding_to_fp16_hardly_moves_features(self, converted: Backbone) -> None:
        inputs = our_input(pictures())
        rounded, exact = load("imagenet").features(inputs), converted.features(inputs)
        assert torch.cosine_similarity(rounded, exact).min() > 0.99999
