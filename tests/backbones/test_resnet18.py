"""Against torchvision's own: the same names, shapes and numbers."""

from __future__ import annotations

import torch
from torchvision.models import resnet18

from fedmed.backbones.resnet18 import ResNet18


def test_it_is_torchvisions_without_the_classifier():
    torch.manual_seed(0)
    reference = resnet18()
    for module in reference.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(module.weight, 0.5, 1.5)
            torch.nn.init.uniform_(module.running_var, 0.5, 1.5)
            torch.nn.init.normal_(module.running_mean, std=0.1)
            torch.nn.init.normal_(module.bias, std=0.1)
    reference.fc, reference.avgpool = torch.nn.Identity(), torch.nn.Identity()
    ours = ResNet18()
    ours.load_state_dict(reference.state_dict())  # strict: the same names and shapes
    inputs = torch.rand(2, 3, 96, 64)
    with torch.inference_mode():
        maps, expected = ours.eval()(inputs), reference.eval()(inputs)
    assert maps.shape == (2, 512, 3, 2) and maps.std() > 0.1
    torch.testing.assert_close(maps.flatten(1), expected, rtol=0, atol=0)
