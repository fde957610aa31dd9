"""Hospitals that train networks in other processes: the same bits however many, kept, gone on."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from fedmed.errors import UserError
from fedmed.federated.algorithms.fedavg import FedAvg
from fedmed.federated.rounds import federate
from fedmed.federated.state import State
from fedmed.training.network import ImageSite, norm_names, train_network
from fedmed.training.network_trainer import NetworkTrainer, Said, read_network, write_network
from fedmed.training.tensors import Tensors, pick, repeat
from fedmed.training.workers import Workers
from tests.support.image_sites import (
    OPTIMISATION,
    REGIME,
    equal,
    image_sites,
    random_network,
)
from tests.support.sites import CloudSite


@pytest.fixture(scope="module")
def start() -> Tensors:
    return random_network()


@pytest.fixture(scope="module")
def sites(tmp_path_factory: pytest.TempPathFactory) -> list[ImageSite]:
    return image_sites(tmp_path_factory.mktemp("pixels"), [8, 11])


@pytest.fixture(scope="module")
def two() -> Workers:
    with Workers(2) as workers:
        yield workers


def trainer(workers: Workers, folder: Path, start: Tensors, **more: object) -> NetworkTrainer:
    folder.mkdir(exist_ok=True)
    base = folder / "start.safetensors"
    write_network(base, start)
    return NetworkTrainer(workers, folder, "federated", replace(REGIME, **more), base)  # type: ignore[arg-type]


def run(sites: list[ImageSite], with_: NetworkTrainer, model: Tensors, rounds: int = 2) -> State:
    return federate(
        sites,
        algorithm=FedAvg(),
        model=model,
        rounds=rounds,
        local_epochs=1,
        optimisation=OPTIMISATION,
        trainer=with_,
        seed=3,
        every_round=False,
    )


def test_it_is_what_each_would_train_here_whatever_the_number_of_processes(
    two, sites, start, tmp_path: Path
) -> None:
    said: list[Said] = []
    with Workers(1, said.append) as one:
        alone = trainer(one, tmp_path / "one", start)(
            repeat(start, 2), sites, range(1), OPTIMISATION, seed=3
        )
    together = trainer(two, tmp_path / "two", start)(
        repeat(start, 2), sites, range(1), OPTIMISATION, seed=3
    )
    assert equal(alone, together)
    for h, site in enumerate(sites):
        here = train_network(start, site, range(1), OPTIMISATION, REGIME, seed=3)
        assert equal(here, pick(together, h))
    assert sum(word.images for word in said) == 19
    assert {word.site for word in said if word.done} == {"hospital_1", "hospital_2"}
    assert all(word.peak.own > 2**27 for word in said)


def test_what_is_kept_is_not_trained_again_and_gives_the_same_bits(
    two, sites, start, tmp_path: Path
) -> None:
    whole = run(sites, trainer(two, tmp_path / "whole", start), start)
    cut = trainer(two, tmp_path / "cut", start)
    first = run(sites, cut, start, rounds=1)
    first.save(tmp_path / "state.safetensors")
    run(sites[1:], cut, first.model, rounds=1)  # nothing new: it is kept
    # Killed in round 2, after hospital_2 was done.
    done = cut.kept("hospital_2", 2)
    done.write_bytes((tmp_path / "whole" / done.name).read_bytes())
    stamp = done.stat().st_mtime_ns
    resumed = federate(
        sites,
        algorithm=FedAvg(),
        model=start,
        rounds=2,
        local_epochs=1,
        optimisation=OPTIMISATION,
        trainer=cut,
        seed=3,
        every_round=False,
        state=State.load(tmp_path / "state.safetensors"),
    )
    assert equal(resumed.model, whole.model) and equal(resumed.own, whole.own)
    assert resumed.ledger == whole.ledger
    assert done.stat().st_mtime_ns == stamp


def test_batch_norms_statistics_are_averaged_with_all_else(
    two, sites, start, tmp_path: Path
) -> None:
    state = run(sites, trainer(two, tmp_path, start), start, rounds=1)
    own = pick(state.own, 0), pick(state.own, 1)
    for name in ("bn1.running_var", "layer4.1.bn2.running_mean", "fc.weight"):
        mean = sum(
            len(site.labels) / 19 * one[f"model/{name}"]
            for site, one in zip(sites, own, strict=True)
        )
        assert torch.allclose(state.model[name], mean, atol=1e-5), name


def test_one_hospital_is_central_training_cut_in_rounds(two, sites, start, tmp_path: Path) -> None:
    federated = run(sites[:1], trainer(two, tmp_path, start), start)
    central = start
    for epoch in range(2):  # AdamW starts afresh in every round
        central = train_network(
            central, sites[0], range(epoch, epoch + 1), OPTIMISATION, REGIME, seed=3
        )
    # The update is rounded once on its way, and AdamW turns on signs: so nearly.
    near = [
        torch.isclose(federated.model[n], tensor, atol=1e-3).float().mean()
        for n, tensor in central.items()
    ]
    assert min(near) > 0.9


def test_local_normalisation_never_travels_and_goes_on_from_the_hospitals_own(
    two, sites, start, tmp_path: Path
) -> None:
    local = trainer(two, tmp_path, start, batch_norm="local")
    model = {name: tensor for name, tensor in start.items() if name not in norm_names()}
    state = run(sites, local, model)
    assert not set(state.model) & norm_names()
    first, second = (read_network(local.kept("hospital_1", epoch)) for epoch in (1, 2))
    assert first.keys() == second.keys() == start.keys()
    # By hand: the federated weights of round 1, with what hospital_1 kept of normalisation.
    one = run(sites, local, model, rounds=1)
    here = train_network(
        first | one.model,
        sites[0],
        range(1, 2),
        OPTIMISATION,
        replace(REGIME, batch_norm="local"),
        seed=3,
    )
    assert equal(here, second)


def test_only_the_latest_of_a_site_is_kept_where_asked(two, start, tmp_path: Path) -> None:
    it = trainer(two, tmp_path, start)
    for epochs in (2, 4, 10):
        write_network(it.kept("hospital_1", epochs), {"a": torch.zeros(1)})
    write_network(it.kept("hospital_10", 1), {"a": torch.zeros(1)})
    assert (it.epochs_done("hospital_1"), it.epochs_done("hospital_1", 9)) == (10, 4)
    assert it.latest("hospital_1") == it.kept("hospital_1", 10)
    assert it.latest("hospital_2") is None
    it.drop_but_latest("hospital_1")
    assert it.epochs_done("hospital_1", 9) == 0 and it.epochs_done("hospital_10") == 1


def test_a_damaged_file_is_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "federated-hospital_1-3.safetensors"
    write_network(path, {"a": torch.arange(3.0)})
    assert equal(read_network(path), {"a": torch.arange(3.0)})
    save_file(load_file(path), path)
    with pytest.raises(UserError, match=r"hospital_1-3\.safetensors.*--resume"):
        read_network(path)


def test_a_site_without_x_rays_is_refused_in_words(two, start, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no X-rays"):
        trainer(two, tmp_path, start)(
            repeat(start, 1), [CloudSite("clouds", 2, 2)], range(1), OPTIMISATION, seed=3
        )
