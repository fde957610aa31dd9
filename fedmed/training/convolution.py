"""Convolutions over maps of a few pixels, as products of matrices, for training on processors.

ResNet18's last maps are 4 x 4 where its input is 128 x 128, and its widest weights are there. The
gradient of those weights is what PyTorch's convolutions are slowest at: they spread their work over
pixels, and there are hardly any. Laid out as a matrix, one row a pixel with all that the kernel
sees there (Chellapilla, Puri, Simard: High Performance Convolutional Neural Networks for Document
Processing, IWFHR 2006), it is a product like any other. `benchmarks.network` has the ratio.
"""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

MOST_PIXELS = 5 * 5  # of a map that is made so: on larger ones the layout costs more than it gains
KERNEL = 3


class Convolution(nn.Conv2d):
    """`nn.Conv2d`; 3 x 3 over small maps on a processor, the same sums in another order."""

    def forward(self, inputs: Tensor) -> Tensor:
        pixels = _side(inputs.shape[2], self.stride[0]) * _side(inputs.shape[3], self.stride[0])
        here = inputs.device.type == "cpu"
        if not here or pixels > MOST_PIXELS or self.kernel_size != (KERNEL, KERNEL):
            return super().forward(inputs)
        return cast(Tensor, _Product.apply(inputs, self.weight, self.stride[0]))


class _Product(torch.autograd.Function):
    """[n, c, h, w] and [o, c, 3, 3] to [n, o, h / stride, w / stride], all channels last."""

    @staticmethod
    @torch.amp.custom_fwd(device_type="cpu", cast_inputs=torch.bfloat16)
    def forward(ctx: Any, inputs: Tensor, weight: Tensor, stride: int) -> Tensor:
        ctx.save_for_backward(inputs, weight)
        ctx.stride = stride
        found = _rows(inputs, stride) @ weight.permute(0, 2, 3, 1).flatten(1).T
        return _maps(found, inputs, stride)

    @staticmethod
    @torch.amp.custom_bwd(device_type="cpu")
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor, None]:
        inputs, weight = ctx.saved_tensors
        (grad,), stride = grads, ctx.stride
        of_weight = grad.permute(0, 2, 3, 1).flatten(0, 2).T @ _rows(inputs, stride)
        of_weight = of_weight.unflatten(1, (KERNEL, KERNEL, -1)).permute(0, 3, 1, 2)
        if stride == 1:
            turned = weight.flip(2, 3).permute(2, 3, 0, 1).flatten(0, 2)
            of_inputs = _maps(_rows(grad, 1) @ turned, inputs, 1)
        else:
            of_inputs, _, _ = torch.ops.aten.convolution_backward(
                grad,
                inputs,
                weight,
                None,
                [stride] * 2,
                [1, 1],
                [1, 1],
                False,
                [0, 0],
                1,
                [True, False, False],
            )
        return of_inputs, of_weight, None


def _rows(maps: Tensor, stride: int) -> Tensor:
    """[n, c, h, w] to [n * pixels, 9 * c]: what the kernel sees at every pixel it stops at."""
    framed = functional.pad(maps.permute(0, 2, 3, 1), (0, 0, 1, 1, 1, 1))
    seen = framed.unfold(1, KERNEL, stride).unfold(2, KERNEL, stride)  # [n, h, w, c, 3, 3]
    return seen.permute(0, 1, 2, 4, 5, 3).flatten(0, 2).flatten(1)


def _maps(rows: Tensor, like: Tensor, stride: int) -> Tensor:
    height, width = (_side(side, stride) for side in like.shape[2:])
    return rows.unflatten(0, (-1, height, width)).permute(0, 3, 1, 2)


def _side(side: int, stride: int) -> int:
    return (side - 1) // stride + 1
