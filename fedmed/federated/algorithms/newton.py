"""Logistic regression by Newton's method, federated: to its exact optimum in a few rounds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from fedmed.federated.algorithm import Round
from fedmed.federated.algorithms.moments import symmetric, upper
from fedmed.federated.messages import Layout
from fedmed.training.local_training import Site, one_thread
from fedmed.training.logistic import (
    L2,
    Curvature,
    curvature,
    falls_enough,
    newton_step,
    penalised,
)
from fedmed.training.rows import direction_of, head_of, rows
from fedmed.training.tensors import Tensors, join, repeat, under


@dataclass(frozen=True)
class Newton:
    """Hospitals send loss, gradient and Hessian of logistic regression, and the server steps.

    The plain method that Safaryan, Islamov, Qian, Richtárik: FedNL: Making Newton-Type Methods
    Applicable to Federated Learning, ICML 2022, arXiv:2106.02969 start from. All sums are additive,
    so every step is the one that all X-rays in one place would give. A step that does not lower the
    loss enough (Armijo 1e-4) is halved, and tried anew in the next round. `l2` penalises weights.

    What a hospital keeps is its own step from where all of them stood.
    """

    name: ClassVar[str] = "newton"
    words: ClassVar[str] = "logistic regression over all hospitals, by Newton's steps"
    sends: ClassVar[str] = "Gradient and Hessian"
    additive: ClassVar[bool] = True
    weighs_images: ClassVar[bool] = False  # the sums do
    most_rounds: ClassVar[int | None] = None
    needs_features: ClassVar[bool] = True
    needs_everyone: ClassVar[bool] = True
    l2: float = L2
    tolerance: float = 1e-8  # a gradient no longer than this is none

    def init(self, model: Tensors, samples: Tensor) -> tuple[Tensors, Tensors]:
        theta = direction_of(model["weight"], model["bias"])
        nought = torch.zeros((), dtype=torch.float64)
        server = {
            "at": theta,  # the last point that was good enough
            "try": theta,  # the next, which the hospitals are asked about
            "step": torch.zeros_like(theta),
            "loss": nought + torch.finfo(torch.float64).max,
            "slope": nought,
            "size": nought + 1,
            "gradient": nought + 1 / self.tolerance,  # its length
        }
        return server, under("model", repeat(head_of(theta), len(samples)))

    def broadcast(self, server: Tensors) -> Tensors:
        return {"theta": server["try"]}

    @one_thread()
    def local(
        self, received: Tensors, own: Tensors, sites: Sequence[Site], now: Round
    ) -> tuple[Tensors, Tensors]:
        theta = received["theta"]
        sent, heads = [], []
        for site in sites:
            at = curvature(theta, list(rows(site, now.optimisation)))
            step = newton_step(penalised(theta, at, self.l2))
            told = {"loss": at.loss, "gradient": at.gradient, "hessian": upper(at.hessian)}
            sent.append(repeat(told, 1))
            heads.append(repeat(head_of(theta + step), 1))
        return join(sent), under("model", join(heads))

    def expected(self, server: Tensors) -> Layout:
        size = len(server["try"])
        return {
            "loss": ("F64", []),
            "gradient": ("F64", [size]),
            "hessian": ("F64", [size * (size + 1) // 2]),
        }

    @one_thread()
    def aggregate(self, server: Tensors, sent: Tensors, samples: Tensor, now: Round) -> Tensors:
        share = samples.double() / samples.sum()
        mean = {name: torch.einsum("h,h...->...", share, tensor) for name, tensor in sent.items()}
        theta = server["try"]
        hessian = symmetric(mean["hessian"], len(theta))
        at = penalised(theta, Curvature(mean["loss"], mean["gradient"], hessian), self.l2)
        if not falls_enough(at.loss, server["loss"], server["size"] * server["slope"]):
            size = server["size"] / 2
            return {**server, "size": size, "try": server["at"] + size * server["step"]}
        step = newton_step(at)
        return {
            "at": theta,
            "try": theta + step,
            "step": step,
            "loss": at.loss,
            "slope": at.gradient @ step,
            "size": torch.ones((), dtype=torch.float64),
            "gradient": at.gradient.norm(),
        }

    def finished(self, server: Tensors) -> bool:
        return float(server["gradient"]) <= self.tolerance

    def model(self, kept: Tensors) -> Tensors:
        if "try" in kept:
            return head_of(kept["try"])
        return {"weight": kept["model/weight"], "bias": kept["model/bias"]}
