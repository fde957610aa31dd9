"""What a predictor needs of whatever holds models: a snapshot, or a folder of old .pth files."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from fedmed.backbones.backbone import Backbone
from fedmed.training.heads import Heads


class ModelGroup(NamedTuple):
    """Models whose heads read the same backbone, in one pass."""

    models: list[str]
    backbone: Backbone
    heads: Heads


class Models(Protocol):
    """Models to predict with."""

    @property
    def folder(self) -> Path:
        """Where they lie."""

    @property
    def config(self) -> dict[str, Any]:
        """config.json, or what is known of it."""

    @property
    def models(self) -> list[str]:
        """`central`, `federated`, `hospital_1` ..., in the order they are displayed."""

    @property
    def groups(self) -> Iterable[ModelGroup]:
        """All of them, by backbone, to be gone through once."""
