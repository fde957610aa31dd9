"""What networks are asked: the X-rays they are scored on, and what their answers are made into."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from fedmed.backbones.backbone import Backbone
from fedmed.data.cohort import Xray
from fedmed.data.holdout import description
from fedmed.evaluation import shifted
from fedmed.evaluation.answers import Answers, Images
from fedmed.evaluation.evaluation_set import EvaluationSet
from fedmed.experiment.prepare_network import PreparedNetwork
from fedmed.imaging.augmentation import CLEAN, View
from fedmed.task import CLASSES
from fedmed.training.heads import Heads
from fedmed.training.tensors import Tensors


def backbone_of(network: Tensors, prepared: PreparedNetwork) -> Backbone:
    """Return all of a network but its head."""
    trunk = {name: t for name, t in network.items() if not name.startswith("fc.")}
    origin = {"id": "network", "source": "trained in this run"}
    backbone = Backbone(trunk, origin, rounded=False, size=prepared.regime.size)
    return backbone.to(prepared.regime.device)


def head_of(network: Tensors) -> Heads:
    """Return the head of a network."""
    return Heads(network["fc.weight"][None], network["fc.bias"][None])


def images_to_ask(prepared: PreparedNetwork, *, audit: bool = False) -> list[tuple[View, Images]]:
    """The views that networks are scored on, and of which X-rays: the validation's clean first.

    An attack asks about those that were trained on, too.
    """
    rows = {xray.digest: row for row, xray in enumerate(prepared.read)}
    wanted = [
        (prepared.held_out, [CLEAN]),
        *shifted.wanted(prepared.held_out),
        (prepared.cohort.test, [CLEAN]),
        *([(prepared.training, [CLEAN])] if audit else []),
    ]
    swapped = range(1, 1 + len(CLASSES))
    found: list[tuple[View, Images]] = []
    for place, (xrays, views) in enumerate(wanted):
        digests = [xray.digest for xray in xrays]
        pixels = prepared.pixels[[rows[digest] for digest in digests]]
        # Classes' own views hold the clean one again.
        found += [
            (view, (pixels, digests)) for view in views if place not in swapped or view != CLEAN
        ]
    return found


def official(prepared: PreparedNetwork, answers: Answers) -> dict[str, EvaluationSet]:
    """Return `validation` and `test`, whose features are the networks' answers."""

    def clean(xrays: Sequence[Xray]) -> Tensor:
        return torch.from_numpy(answers.load(CLEAN, [xray.digest for xray in xrays]))

    held_out, test = prepared.held_out, prepared.cohort.test
    known = description(prepared.cohort.patients_known)
    once = f"{prepared.cohort.test_split}, scored once by this run"
    return {
        "validation": EvaluationSet(known, held_out, clean(held_out)),
        "test": EvaluationSet(once, test, clean(test)),
    }
