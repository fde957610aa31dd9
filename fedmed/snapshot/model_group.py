"""Models whose heads read one backbone."""

from __future__ import annotations

from typing import NamedTuple

from fedmed.backbones.backbone import Backbone
from fedmed.training.heads import Heads


class Group(NamedTuple):
    """Models whose heads read the same backbone."""

    models: list[str]
    backbone: Backbone
    heads: Heads
