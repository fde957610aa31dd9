"""Networks side by side: the first failure ends all, and what stays at home is averaged at last."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from fedmed.errors import UserError
from fedmed.experiment import fit_network, network_federation
from fedmed.training.network import ImageSite, Regime, norm_names
from fedmed.training.network_trainer import NetworkTrainer, write_network


class Pool:
    """Stands for the worker processes: it is told to stop."""

    def __init__(self) -> None:
        self.stopped = threading.Event()

    def stop(self) -> None:
        self.stopped.set()


def site(name: str, count: int) -> ImageSite:
    rows = np.arange(count)
    return ImageSite(name, torch.zeros(count, dtype=torch.int64), ("",) * count, Path("x"), rows)


def test_all_results_come_in_order_and_the_threads_of_torch_are_as_before() -> None:
    before = torch.get_num_threads()

    def narrow() -> str:
        torch.set_num_threads(1)
        return "first"

    pool: Any = Pool()
    assert fit_network._side_by_side([narrow, lambda: "second"], pool) == ["first", "second"]
    assert torch.get_num_threads() == before
    assert pool.stopped.is_set()


def test_the_first_that_fails_ends_those_that_wait() -> None:
    pool: Any = Pool()

    def waiting() -> None:
        assert pool.stopped.wait(20)

    def failing() -> None:
        raise UserError("training diverged")

    with pytest.raises(UserError, match="diverged"):
        fit_network._side_by_side([waiting, failing], pool)
    assert pool.stopped.is_set()


def test_normalisation_that_stays_at_home_is_averaged_by_numbers_of_images(tmp_path: Path) -> None:
    workers: Any = None
    regime = Regime(size=64, total_epochs=4, batch_norm="local")
    trainer = NetworkTrainer(workers, tmp_path, "federated", regime, tmp_path / "base")
    for name, epochs, value in (
        ("hospital_1", 2, 9.0),
        ("hospital_1", 4, 1.0),
        ("hospital_2", 4, 5.0),
    ):
        network = {norm: torch.full((2,), value) for norm in norm_names()}
        write_network(trainer.kept(name, epochs), network | {"fc.weight": torch.zeros(2)})
    # The third has not taken part in any round.
    sites = [site("hospital_1", 30), site("hospital_2", 10), site("hospital_3", 50)]
    mean = network_federation._mean_norms(trainer, sites)
    assert set(mean) == norm_names()
    assert all(torch.allclose(tensor, torch.tensor(2.0)) for tensor in mean.values())
