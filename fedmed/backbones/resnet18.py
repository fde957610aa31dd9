"""ResNet18 without its classifier, its parts named as torchvision names them.

K. He, X. Zhang, S. Ren, J. Sun: Deep Residual Learning for Image Recognition. CVPR 2016.

torchvision has the same network, but importing it imports TorchDynamo too, which takes as long as
importing torch: half of what the app's start would be.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from torch import Tensor, nn

WIDTHS = (64, 128, 256, 512)
WIDTH = WIDTHS[-1]  # of its features


class ResNet18(nn.Sequential):
    """Images [n, 3, h, w] to the last feature maps [n, 512, h / 32, w / 32].

    `convolution` makes the blocks' convolutions.
    """

    def __init__(self, convolution: type[nn.Conv2d] = nn.Conv2d) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, WIDTHS[0], 7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(WIDTHS[0])
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1)
        before = WIDTHS[0]
        for number, width in enumerate(WIDTHS, start=1):
            self.add_module(
                f"layer{number}",
                nn.Sequential(Block(before, width, convolution), Block(width, width, convolution)),
            )
            before = width


class Block(nn.Module):
    """Two convolutions and what goes around them; the size is halved where the width changes."""

    def __init__(self, before: int, width: int, convolution: type[nn.Conv2d]) -> None:
        super().__init__()
        stride = 1 if before == width else 2
        self.conv1 = convolution(before, width, 3, stride=stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.relu = nn.ReLU(inplace=True)
        self.conv2 = convolution(width, width, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.downsample: nn.Module = nn.Identity()
        if stride > 1:
            across = convolution(before, width, 1, stride=stride, bias=False)
            self.downsample = nn.Sequential(across, nn.BatchNorm2d(width))

    def forward(self, inputs: Tensor) -> Tensor:
        found = self.relu(self.bn1(self.conv1(inputs)))
        found = self.bn2(self.conv2(found))
        found += self.downsample(inputs)
        return self.relu(found)


def _graph(network: nn.Module, size: int) -> Any:
    """ResNet18 with its normalisation folded, as a graph of OpenVINO's for images of that side."""
    from openvino import Model
    from openvino import opset13 as ops

    convolutions = iter(m for m in network.modules() if isinstance(m, nn.Conv2d))

    def convolution(inputs: Any) -> Any:
        layer = next(convolutions)
        assert layer.bias is not None and not isinstance(layer.padding, str)
        # Arrays that `convolution` makes constants of itself are copied number by number.
        weight = ops.constant(layer.weight.detach().contiguous().numpy())
        bias = ops.constant(layer.bias.detach().view(1, -1, 1, 1).numpy())
        stride, pad = list(layer.stride), list(layer.padding)
        return ops.add(ops.convolution(inputs, weight, stride, pad, pad, [1, 1]), bias)

    images = ops.parameter([-1, 3, size, size], np.float32)
    maps = ops.relu(convolution(images))
    maps = ops.max_pool(maps, [2, 2], [1, 1], [1, 1], [1, 1], [3, 3]).output(0)
    for stage in range(1, 5):
        for block in range(2):
            found = convolution(ops.relu(convolution(maps)))
            across = convolution(maps) if stage > 1 and block == 0 else maps
            maps = ops.relu(ops.add(found, across))
    return Model([maps], [images], "ResNet18")
