"""Where a head found its evidence."""

from __future__ import annotations

import torch
from torch import Tensor

from fedmed.training.heads import Heads


@torch.inference_mode()
def evidence_maps(heads: Heads, maps: Tensor) -> Tensor:
    """Feature maps [512, h, w] to class activation maps float64 [H, h, w], in logit units.

    The mean of a map is its head's logit of PNEUMONIA minus that of NORMAL, exactly.
    """
    weight = (heads.weight[:, 1] - heads.weight[:, 0]).double()
    bias = (heads.bias[:, 1] - heads.bias[:, 0]).double()
    return torch.einsum("hf,fyx->hyx", weight, maps.double()) + bias[:, None, None]
