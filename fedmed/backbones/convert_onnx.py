"""Make the backbone `imagenet` again: `python -m fedmed.backbones.convert_onnx --source DIR`.

The source is an ImageNet ResNet-18 trunk as ML.NET ships it: `ResNet18.onnx` and
`ResNetPreprocess.onnx`, from the folder tools/DnnImageModels of the NuGet package that PACKAGE
names. It wants B, G, R from 0 to 255 less a mean image; what is written takes torchvision's input
under torchvision's names. The difference goes into the first convolution and the mean of its
normalisation, so that the features stay the same. `pip install onnx` first.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from fedmed import cli
from fedmed.backbones.backbone import IMAGENET, Backbone
from fedmed.backbones.weights import State, check_state, write_state
from fedmed.errors import UserError
from fedmed.files import sha256_of
from fedmed.task import IMAGENET_MEAN, IMAGENET_STD

PACKAGE = "Microsoft.ML.DnnImageFeaturizer.ResNet18 0.23.1"
NETWORK, PREPROCESSING = "ResNet18.onnx", "ResNetPreprocess.onnx"
SHA256 = {
    NETWORK: "e2552f19db2dfdb01b3669537b6a0f1b44da38d18279535492ed5dfc2ef1ff8f",
    PREPROCESSING: "84bf8def78d0befaa3f6e73745d57d7016c6a192ead76f79686bd438c1047004",
}
BLOCKS = (2, 2, 2, 3)  # of each stage of the source; torchvision's resnet18 has two in each
LEFT_OUT = "layer4.2."
ORIGIN = {
    "id": "resnet18-imagenet1k-cntk",
    "source": (
        f"Microsoft's ResNet18 for ImageNet-1K, from the NuGet package {PACKAGE} (ML.NET), "
        "converted to torchvision's names and input and rounded to FP16"
    ),
    "licence": (
        "MIT, .NET Foundation and Contributors; trained on ImageNet (ILSVRC-2012), whose own "
        "terms allow non-commercial research and education"
    ),
    "left_out": (
        "the third block of the last stage, which torchvision's resnet18 does not have, and which "
        "validated no better"
    ),
    "sha256_of_source": SHA256,
}

Arrays = Mapping[str, Tensor]


def main() -> None:
    options = _parse()
    for name, expected in SHA256.items():
        _check_source(options.source / name, expected)
    nodes, arrays = _read(options.source / NETWORK)
    _, preprocessing = _read(options.source / PREPROCESSING)
    state = convert(nodes, arrays, preprocessing["MeanImage"])
    check_state(state, "What was converted")
    backbone = Backbone(state, ORIGIN)
    for path in write_state(backbone.state, backbone.origin, options.output):
        print(f"{path.stat().st_size:>10,} bytes  {path.name}")
    print(f"sha256 of the weights {backbone.sha256}")


def convert(nodes: Sequence[Any], arrays: Arrays, mean_image: Tensor) -> State:
    """The network's tensors under the names, and for the input, of torchvision's resnet18.

    `nodes` are ONNX nodes in the graph's order (`op_type`, `input`, `output`), `arrays` its
    initializers, `mean_image` [1, 3, h, w] what the source takes off B, G, R.

    Raises:
        UserError: the graph is no residual network of BLOCKS.
    """
    convolutions = [node for node in nodes if node.op_type == "Conv"]
    normalisations = {n.input[0]: n for n in nodes if n.op_type == "BatchNormalization"}
    names = _names([arrays[node.input[1]].shape[-1] for node in convolutions])
    state: State = {}
    for (conv, norm), node in zip(names, convolutions, strict=True):
        scale, bias, mean, variance = normalisations[node.output[0]].input[1:5]
        state[f"{conv}.weight"] = arrays[node.input[1]]
        state |= {
            f"{norm}.weight": arrays[scale],
            f"{norm}.bias": arrays[bias],
            f"{norm}.running_mean": arrays[mean],
            f"{norm}.running_var": arrays[variance],
        }
    _take_torchvisions_input(state, mean_image.flatten(2).mean(2)[0].flip(0))
    return {name: tensor for name, tensor in state.items() if not name.startswith(LEFT_OUT)}


def _names(kernels: Sequence[int]) -> list[tuple[str, str]]:
    """Names of every convolution and its normalisation, from the kernels' sizes in order.

    The first is conv1; those of 3 x 3 come two to a block; one of 1 x 1 is a stage's projection.
    """
    if (kernels[:1], sorted(kernels[1:])) != ([7], [1] * 3 + [3] * 2 * sum(BLOCKS)):
        raise UserError(f"{NETWORK} is no ResNet with {BLOCKS} blocks: its kernels are {kernels}.")
    stages = enumerate(BLOCKS, start=1)
    blocks = [f"layer{stage}.{block}" for stage, count in stages for block in range(count)]
    pairs = ((f"{block}.conv{i}", f"{block}.bn{i}") for block in blocks for i in (1, 2))
    projections = (f"layer{stage}.0.downsample" for stage in (2, 3, 4))
    ends = ((f"{projection}.0", f"{projection}.1") for projection in projections)
    following = [next(ends if kernel == 1 else pairs) for kernel in kernels[1:]]
    return [("conv1", "bn1"), *following]


def _take_torchvisions_input(state: State, taken_off: Tensor) -> None:
    """Move what the input lacks into the first layer, in place.

    torchvision's x is (v / 255 - mean) / std of R, G, B; the source's input is v - `taken_off` [3]
    (R, G, B), channels reversed. So v - t = 255 std x + (255 mean - t): the factor goes into the
    kernel, the constant into the mean that the normalisation takes off. At the border both pad with
    zeros, which are not the same grey: the only difference.
    """
    mean, std = 255 * torch.tensor(IMAGENET_MEAN), 255 * torch.tensor(IMAGENET_STD)
    kernel = state["conv1.weight"].flip(1)
    constant = torch.einsum("oihw,i->o", kernel, mean - taken_off)
    state["conv1.weight"] = kernel * std.view(1, 3, 1, 1)
    state["bn1.running_mean"] = state["bn1.running_mean"] - constant


def _check_source(path: Path, expected: str) -> None:
    try:
        digest = sha256_of(path)
    except OSError as error:
        raise UserError(
            f"--source: {path} cannot be read ({error.strerror}). Unpack the NuGet package "
            f"{PACKAGE} and name its folder tools/DnnImageModels."
        ) from error
    if digest != expected:
        raise UserError(f"--source: {path} is not the file of {PACKAGE}: its sha256 is {digest}.")


def _read(path: Path) -> tuple[list[Any], dict[str, Tensor]]:
    """The nodes of an ONNX file in order, and its initializers."""
    try:
        import onnx
        from onnx import numpy_helper
    except ImportError as error:
        raise UserError("ONNX files are read with the package onnx: pip install onnx") from error
    graph = onnx.load(path).graph
    arrays = {one.name: torch.tensor(numpy_helper.to_array(one)) for one in graph.initializer}
    return list(graph.node), arrays


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m fedmed.backbones.convert_onnx",
        description=f"Make the backbone 'imagenet' again from the NuGet package {PACKAGE}.",
        allow_abbrev=False,
    )
    parser.add_argument(
        "--source",
        type=Path,
        required=True,
        metavar="DIR",
        help=f"folder with {NETWORK} and {PREPROCESSING}",
    )
    parser.add_argument(
        "--output",
        type=Path,
        default=IMAGENET,
        metavar="DIR",
        help="folder for the backbone (default: where the package keeps it)",
    )
    return parser.parse_args()


if __name__ == "__main__":
    raise SystemExit(cli.run(main))
