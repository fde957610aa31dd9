"""Whole networks between machines end with the bits of the run in one process."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from fedmed.backbones import backbone as backbones
from fedmed.backbones.network_files import read, trunk
from fedmed.backbones.quantized import decode, encode
from fedmed.federated import rounds
from fedmed.federated.state import State
from fedmed.flower import leaves, networks
from fedmed.flower.coordinator import Coordinator
from fedmed.flower.hospital import Hospital
from fedmed.flower.options import Options
from fedmed.flower.record import Record
from fedmed.flower.replay import replay_networks
from fedmed.training import network_trainer
from fedmed.training.network import ImageSite, norm_names
from tests.support.image_sites import image_sites
from tests.support.machines import LocalWire, killed, same
from tests.support.snapshots import random_backbone

pytestmark = pytest.mark.slow  # networks are 45 MB, whatever is trained

SIZE, COUNTS = 32, [8, 11]
BACKBONE = random_backbone()


@dataclass
class FilmPremises:
    """Stands for `Premises`: X-rays are drawn."""

    site: ImageSite
    home: Path
    backbone: Any = BACKBONE
    cohort: Any = field(default_factory=lambda: SimpleNamespace(simulated=True))
    scored: list[dict] = field(default_factory=list)

    def counts(self) -> dict[str, Any]:
        images = torch.bincount(self.site.labels, minlength=2).tolist()
        return {"images": images, "patients": 5, "held_out": [3, 4], "simulated": True}

    def images(self, size: int) -> ImageSite:
        assert size == SIZE
        return self.site

    def score_network(self, network: dict, size: int) -> list[int]:
        self.scored.append(network)
        return [2, 1, 0, 4]


@pytest.fixture(scope="module")
def sites(tmp_path_factory) -> list[ImageSite]:
    return image_sites(tmp_path_factory.mktemp("pixels"), COUNTS)


def premises(sites, home: Path) -> list[FilmPremises]:
    return [FilmPremises(site, home / site.name) for site in sites]


def wire(there: list[FilmPremises], *spoil: Any) -> LocalWire:
    return LocalWire([Hospital(one.site.name, lambda one=one: one) for one in there], *spoil)  # type: ignore[misc]


def run(wire: LocalWire, output: Path, **options: Any) -> State:
    given = {"train": "network", "size": SIZE, "hospitals": 2, "rounds": 2, "local-epochs": 1}
    given |= {"batch-size": 8, "learning-rate": 1e-3, "wait-seconds": 0.0, "output": str(output)}
    return Coordinator(Options.of(given | options), BACKBONE, wire).run()


def in_process(output: Path, sites, folder: Path) -> State:
    folder.mkdir()
    return replay_networks(Record.load(output), sites, BACKBONE, folder)


@pytest.mark.parametrize(
    ("format", "options"),
    [
        ("fp16", {"algorithm": "fedadam", "deterministic": True}),
        ("fp32", {"batch-norm": "frozen", "algorithm": "fedprox"}),
    ],
)
def test_it_ends_with_the_bits_of_the_run_in_one_process(format, options, sites, tmp_path):
    there = premises(sites, tmp_path)
    state = run(wire(there), tmp_path / "out", format=format, **options)
    again = in_process(tmp_path / "out", sites, tmp_path / "again")
    assert same(state.model, again.model)
    assert state.ledger == again.ledger
    stays = norm_names() if options.get("batch-norm", "average") != "average" else set()
    travelled(state, format, stays)
    home_is_in_order(there)


def travelled(state: State, format: str, stays: set[str]) -> None:
    """Updates were as long as that format's are, and all was trained but what `stays`."""
    size = {"fp32": 4, "fp16": 2, "int8": 1}[format]
    update = state.ledger.up[1]["hospital_2"]
    assert update == pytest.approx(11.2e6 * size, rel=0.01)
    start = networks.whole(BACKBONE, {}, {})
    assert set(state.model) == set(start) - stays
    assert not torch.equal(state.model["layer1.0.conv1.weight"], start["layer1.0.conv1.weight"])


def home_is_in_order(there: list[FilmPremises]) -> None:
    """At home lies what the last two rounds left, and the network."""
    for one in there:
        kept = sorted(path.name for path in one.home.glob("runs/*/round_*"))
        assert kept == ["round_1.safetensors", "round_2.safetensors"]
        home = trunk(one.home / "federated")
        assert home and one.scored and home[1]["size"] == SIZE


def test_the_network_that_a_run_ends_with_is_a_backbone_and_is_what_was_scored(sites, tmp_path):
    there = premises(sites, tmp_path)
    state = run(wire(there), tmp_path / "out", rounds=1)
    numbers = sum(tensor.numel() for tensor in state.model.values())
    assert f"{len(state.model)} with {numbers:,} numbers" in leaves.network()
    stored = decode(encode(state.model), None, "a test")
    network, about = read(sorted((tmp_path / "out").glob("federated_model*.safetensors")))
    assert (about.model, about.size, about.base) == ("federated", SIZE, None)
    assert same(network, stored)
    backbone = backbones.load(str(tmp_path / "out"))
    assert backbone.size == SIZE
    assert all(torch.equal(stored[name], tensor) for name, tensor in backbone.state.items())
    assert all(same(one.scored[-1], stored) for one in there)
    assert Record.load(tmp_path / "out").evaluation["hospital_1"] == [2, 1, 0, 4]


def test_normalisation_that_stays_at_home_is_each_hospitals_own(sites, tmp_path):
    there = premises(sites, tmp_path)
    state = run(wire(there), tmp_path / "out", **{"batch-norm": "local", "format": "int8"})
    assert not list((tmp_path / "out").glob("federated_model*"))
    one, other = (home.scored[-1] for home in there)
    assert set(one) == set(state.model) | norm_names()
    for name in ("bn1.weight", "layer4.1.bn2.running_mean"):
        assert not torch.equal(one[name], other[name])
    again = tmp_path / "again"
    replayed = in_process(tmp_path / "out", sites, again)
    assert same(state.model, replayed.model) and state.ledger == replayed.ledger
    travelled(state, "int8", norm_names())
    home_is_in_order(there)
    for site, home in zip(sites, there, strict=True):
        alone = network_trainer.read_network(again / f"federated-{site.name}-2.safetensors")
        assert all(torch.equal(home.scored[-1][name], alone[name]) for name in norm_names())


def test_a_hospital_that_misses_a_round_comes_back_to_the_same_bits(sites, tmp_path):
    def away(node, kind, message, answer):
        gone = kind == "train" and message["round"] == 2 and node == 102
        return {"hospital": "hospital_2", "refusal": "I am away"} if gone else answer

    options = {"rounds": 3, "min-hospitals": 1, "format": "int8", "batch-norm": "local"}
    state = run(wire(premises(sites, tmp_path), away), tmp_path / "out", **options)
    assert [entry["hospitals"] for entry in Record.load(tmp_path / "out").rounds][1] == [
        "hospital_1"
    ]
    assert same(state.model, in_process(tmp_path / "out", sites, tmp_path / "again").model)


def test_what_was_trained_is_not_trained_again_where_a_round_is_asked_for_anew(
    sites, tmp_path, monkeypatch
):
    trained: list[tuple[str, int]] = []
    train = network_trainer.train_network

    def counted(start, site, epochs, *arguments, **named):
        trained.append((site.name, epochs.start))
        return train(start, site, epochs, *arguments, **named)

    def lost(node, kind, message, answer):
        first = kind == "train" and node == 102 and message["round"] == 1
        if first and trained.count(("hospital_1", 0)) == len(lost_once) + 1 and not lost_once:
            lost_once.append(True)
            return {"hospital": "hospital_2", "refusal": "the line was cut"}
        return answer

    lost_once: list[bool] = []
    monkeypatch.setattr(network_trainer, "train_network", counted)
    options = {"wait-seconds": 60.0, "format": "int8"}
    state = run(wire(premises(sites, tmp_path), lost), tmp_path / "out", **options)
    assert lost_once
    assert trained == [(site.name, epoch) for epoch in range(2) for site in sites]
    trained.clear()
    assert same(state.model, in_process(tmp_path / "out", sites, tmp_path / "again").model)
    # From something else it is trained anew: a home that is gone, or one with other X-rays.
    shutil.rmtree(tmp_path / "hospital_1")
    trained.clear()
    run(wire(premises(sites, tmp_path)), tmp_path / "other", rounds=1)
    assert ("hospital_1", 0) in trained


def test_a_mean_of_some_at_a_time_has_the_bits_of_the_run_in_one_process(
    sites, tmp_path, monkeypatch
):
    """As of many networks, which the memory would not hold together."""
    monkeypatch.setattr(rounds, "TOGETHER_BYTES", 50 * 2**20)  # one
    state = run(wire(premises(sites, tmp_path)), tmp_path / "out", rounds=1)
    assert same(state.model, in_process(tmp_path / "out", sites, tmp_path / "again").model)


def test_a_coordinator_that_is_killed_goes_on_to_the_same_bits(sites, tmp_path):
    there = wire(premises(sites, tmp_path))
    with killed():
        run(there, tmp_path / "out", format="int8")
    kept = load_file(tmp_path / "out" / "state.safetensors")
    assert {name.split("/")[0] for name in kept} == {"server", "held", "models", "ledger"}
    assert len(kept["models/fc.bias"]) == 1
    state = run(there, tmp_path / "out", format="int8")
    assert same(state.model, in_process(tmp_path / "out", sites, tmp_path / "again").model)


def test_a_message_of_a_head_is_none(sites, tmp_path):
    def spoil(node, kind, message, answer):
        wrong = kind == "train" and node == 102
        return answer | {"update": answer["update"] + bytes(50_000_000)} if wrong else answer

    run(wire(premises(sites, tmp_path), spoil), tmp_path / "out", **{"min-hospitals": 1})
    assert "too long" in Record.load(tmp_path / "out").rounds[0]["missing"]["hospital_2"]
