"""Hospitals that do not keep their models: of whole networks, files have them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor

from fedmed.federated.algorithm import Algorithm, Round
from fedmed.training.local_training import Site
from fedmed.training.tensors import Tensors


class Forgetful:
    """An algorithm whose hospitals keep all that they would, but the models they trained."""

    def __init__(self, algorithm: Algorithm) -> None:
        self._algorithm = algorithm

    def __getattr__(self, name: str) -> Any:
        return getattr(self._algorithm, name)

    def init(self, model: Tensors, samples: Tensor) -> tuple[Tensors, Tensors]:
        server, own = self._algorithm.init(model, samples)
        return server, _without_models(own)

    def local(
        self, received: Tensors, own: Tensors, sites: Sequence[Site], now: Round
    ) -> tuple[Tensors, Tensors]:
        sent, own = self._algorithm.local(received, own, sites, now)
        return sent, _without_models(own)


def _without_models(own: Tensors) -> Tensors:
    return {name: tensor for name, tensor in own.items() if not name.startswith("model/")}
