"""What networks answer, kept as columns: read by heads, it is what they answer themselves."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from fedmed.backbones.backbone import Backbone
from fedmed.backbones.engine import Pass
from fedmed.evaluation.answers import Answers
from fedmed.features.extract import features_of
from fedmed.imaging.augmentation import CLEAN, View
from fedmed.imaging.preprocessing import to_grey, to_input
from fedmed.simulation import simulate
from fedmed.training.heads import Heads, probabilities
from tests.support.snapshots import random_backbone

DIGESTS = [f"{number:064x}" for number in range(5)]
SHIFTED = View("shifted", 0)


@pytest.fixture(scope="module")
def pixels() -> np.ndarray:
    return np.stack([simulate(number, number % 2).pixels for number in range(5)])


def network(seed: int) -> tuple[Backbone, Heads]:
    backbone = random_backbone(seed)
    backbone = Backbone(backbone.state, {"id": "x"}, rounded=False, size=64)
    generator = torch.Generator().manual_seed(seed)
    return backbone, Heads(torch.randn(1, 2, 512, generator=generator) / 9, torch.zeros(1, 2))


def test_heads_on_answers_are_the_networks(
    pixels: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = Answers(["first", "second"])
    networks = {name: network(seed) for seed, name in enumerate(answers.names)}
    passes: list[int] = []

    def counted(view: View, pixels: np.ndarray, *rest: Any) -> np.ndarray:
        passes.append(len(pixels))
        return features_of(view, pixels, *rest)

    monkeypatch.setattr("fedmed.evaluation.answers.features_of", counted)
    wanted = [(CLEAN, (pixels, DIGESTS)), (SHIFTED, (pixels[:2], DIGESTS[:2]))]
    for name, (backbone, head) in networks.items():
        answers.ask(name, backbone, head, wanted)
    assert sum(passes) == 14
    columns = torch.from_numpy(answers.load(CLEAN, DIGESTS))
    assert columns.shape == (5, answers.width) == (5, 2)
    found = probabilities(answers.heads(["second", "first"]), columns)
    inputs = to_input(to_grey(pixels))
    for row, name in enumerate(("second", "first")):
        backbone, head = networks[name]
        own = probabilities(head, backbone.features(inputs))[0]
        assert torch.allclose(found[row], own, atol=1e-5), name
        assert own.std() > 1e-3
    assert not np.allclose(answers.load(SHIFTED, DIGESTS[:2]), columns[:2])


def test_a_network_that_was_not_asked_takes_nothing_from_the_others(pixels: np.ndarray) -> None:
    answers = Answers(["asked", "silent"])
    answers.ask("asked", *network(0), [(CLEAN, (pixels[:2], DIGESTS[:2]))])
    columns = torch.from_numpy(answers.load(CLEAN, DIGESTS[:2]))
    found = probabilities(answers.heads(["asked", "silent"]), columns)
    assert torch.equal(found[1], torch.full((2,), 0.5))
    assert torch.allclose(found[0], torch.sigmoid(columns[:, 0]), atol=1e-6)
    with pytest.raises(KeyError):
        answers.load(CLEAN, DIGESTS)


def test_a_network_is_prepared_once_for_all_views(pixels: np.ndarray) -> None:
    backbone, head = network(0)
    prepared: list[int] = []

    def prepare(layers: torch.nn.Module, size: int, passes: int) -> Pass:
        prepared.append(passes)
        return plain(layers, size, passes)

    plain, threads = backbone.engine.prepare, torch.get_num_threads()
    counted = backbone.on(replace(backbone.engine, prepare=prepare))
    for at_once in (1, 2):
        torch.set_num_threads(at_once)
        try:
            wanted = [(view, (pixels, DIGESTS)) for view in (CLEAN, SHIFTED)]
            Answers(["one"]).ask("one", counted, head, wanted)
        finally:
            torch.set_num_threads(threads)
    assert prepared == [1, 2]
