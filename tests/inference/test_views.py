"""Upside down, on its side, from the side: told apart on toy films and on simulated ones."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from fedmed import simulation
from fedmed.errors import UserError
from fedmed.inference import views
from fedmed.inference.views import ViewDetector
from fedmed.simulation.lateral import lateral


def fronts(count: int, first: int) -> np.ndarray:
    return np.stack([simulation.simulate(first + n, n % 2).pixels for n in range(count)])


def sides(count: int, first: int) -> np.ndarray:
    return np.stack([lateral(first + n) for n in range(count)])


@pytest.fixture(scope="module")
def made() -> dict[str, Tensor]:
    nobody = np.zeros((0, 224, 224), np.uint8)
    return views.fit(fronts(40, 0), fronts(20, 100), nobody, sides(60, 0))


@pytest.fixture(scope="module")
def detector(made: dict[str, Tensor], tmp_path_factory: pytest.TempPathFactory) -> ViewDetector:
    folder = tmp_path_factory.mktemp("views")
    views.save(made, folder)
    found = views.find(folder)
    assert found is not None
    return found


TURNS = {
    "upright": (lambda p: p, lambda p: p[:, ::-1]),
    "upside down": (lambda p: p[::-1], lambda p: p[::-1, ::-1]),
    "on its side": (lambda p: np.rot90(p), lambda p: np.rot90(p, 3)),
}


@pytest.mark.parametrize("view", TURNS)
def test_others_than_it_learned_from_are_told_apart(detector: ViewDetector, view: str) -> None:
    found = [
        detector.view(np.ascontiguousarray(turn(film)))
        for film in fronts(10, 500)
        for turn in TURNS[view]
    ]
    assert found.count(view) >= 18


def test_laterals_are_known_from_either_side(detector: ViewDetector) -> None:
    found = [detector.view(film) for film in sides(20, 500)]
    assert found.count("lateral") >= 17 and found.count("upright") <= 1


def test_the_probabilities_are_of_all_views(detector: ViewDetector) -> None:
    found = detector.probabilities(fronts(3, 700))
    assert found.shape == (3, len(views.VIEWS))
    assert torch.allclose(found.sum(1), torch.ones(3))


def test_held_out_films_set_the_limit(made: dict[str, Tensor]) -> None:
    assert 0 < float(made["limit"]) <= 0.5
    turned = np.ascontiguousarray(fronts(20, 100)[:, ::-1])
    nobody = np.zeros((0, 224, 224), np.uint8)
    lenient = views.fit(fronts(40, 0), turned, nobody, sides(10, 0))
    assert float(lenient["limit"]) < 0.1  # all held-out ones were upside down


def test_the_bits_do_not_hang_on_the_number_of_cores() -> None:
    def made_by(threads: int) -> list[bytes]:
        before = torch.get_num_threads()
        torch.set_num_threads(threads)
        try:
            some = views.fit(fronts(6, 0), fronts(3, 9), fronts(2, 20), sides(4, 0))
        finally:
            torch.set_num_threads(before)
        return [tensor.numpy().tobytes() for tensor in some.values()]

    assert made_by(1) == made_by(3)


def test_a_detector_is_small(made: dict[str, Tensor]) -> None:
    assert sum(tensor.nbytes for tensor in made.values()) < 4096


def test_a_snapshot_made_without_has_none(tmp_path: Path) -> None:
    assert views.find(tmp_path) is None


def test_a_file_that_holds_something_else_is_refused(
    made: dict[str, Tensor], tmp_path: Path
) -> None:
    path = tmp_path / views.FILE
    save_file(made, path)
    with pytest.raises(UserError, match="no detector of views"):
        ViewDetector.load(path)
    for wrong in (
        {"weight": made["weight"][:3].contiguous()},
        {"bias": torch.full((4,), torch.nan)},
        {"limit": made["limit"].double()},
    ):
        views.save(made | wrong, tmp_path)
        with pytest.raises(UserError, match="of another kind"):
            ViewDetector.load(path)
    path.write_bytes(b"nothing")
    with pytest.raises(UserError, match="not a readable"):
        ViewDetector.load(path)
