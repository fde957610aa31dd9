"""Who takes part: drawn by seed and round, counted in the ledger, gone on with alike."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest
import torch

from fedmed.errors import UserError
from fedmed.federated.algorithms import ALGORITHMS
from fedmed.federated.algorithms.fedavg import FedAvg
from fedmed.federated.algorithms.newton import Newton
from fedmed.federated.algorithms.ridge import Ridge
from fedmed.federated.algorithms.scaffold import Scaffold
from fedmed.federated.attendance import EVERYONE, Attendance
from fedmed.federated.state import State
from fedmed.training.tensors import group
from tests.support.federations import apart, run
from tests.support.sites import accuracy, skewed

SOME = Attendance(participation=0.5, drop_out=0.4)
PARTIAL = [name for name, kind in ALGORITHMS.items() if not kind.needs_everyone]


def test_a_share_is_asked_and_some_of_them_do_not_answer() -> None:
    asked, answered = torch.zeros(100), torch.zeros(100)
    for number in range(1, 201):
        invited, present = SOME.draw(100, number, seed=1)
        assert len(invited) == 50 and set(present.tolist()) <= set(invited.tolist())
        assert present.tolist() == sorted(present.tolist())
        asked[invited] += 1
        answered[present] += 1
    assert asked.min() > 60 and asked.max() < 140, "each about as often as another"
    assert abs(float(answered.sum() / asked.sum()) - 0.6) < 0.02


@pytest.mark.parametrize(
    ("share", "count", "asked"), [(0.14, 50, 7), (0.5, 5, 3), (0.01, 5, 1), (1e-12, 5, 1)]
)
def test_a_share_of_whole_hospitals_is_rounded_up(share: float, count: int, asked: int) -> None:
    invited, _ = Attendance(share, drop_out=0.1).draw(count, 1, seed=1)
    assert len(invited) == asked


def test_the_draw_is_the_seeds_and_the_rounds() -> None:
    def draws(seed: int) -> list[list[int]]:
        return [SOME.draw(20, number, seed)[1].tolist() for number in range(1, 6)]

    assert draws(1) == draws(1) != draws(2)
    assert len({tuple(draw) for draw in draws(1)}) == 5


def test_somebody_always_answers() -> None:
    silent = Attendance(drop_out=0.999)
    assert all(len(silent.draw(3, number, seed=0)[1]) >= 1 for number in range(50))


def test_everyone_is_everyone() -> None:
    assert EVERYONE.is_everyone and not SOME.is_everyone
    assert EVERYONE.draw(4, 1, 0)[1].tolist() == [0, 1, 2, 3]


@pytest.mark.slow
@pytest.mark.parametrize("name", PARTIAL)
@pytest.mark.parametrize("format", ["fp32", "int8"])
def test_resumed_after_any_round_it_ends_with_the_same_bits(
    name: str, format: str, tmp_path: Path
) -> None:
    path, algorithm = tmp_path / "state.safetensors", ALGORITHMS[name]()
    some = Attendance(participation=0.7, drop_out=0.2)
    whole = run(skewed(64), algorithm, format, rounds=4, attendance=some)
    for stop in (1, 3):
        run(skewed(64), algorithm, format, rounds=stop, attendance=some).save(path)
        kept = State.load(path)
        resumed = run(skewed(64), algorithm, format, rounds=4, attendance=some, state=kept)
        for part in ("server", "own", "held", "models"):
            assert apart(getattr(whole, part), getattr(resumed, part)) == 0
        assert resumed.ledger == whole.ledger


def test_who_is_away_sends_nothing_and_keeps_what_it_has() -> None:
    states: list[State] = []
    run(skewed(), FedAvg(), rounds=3, attendance=SOME, on_round=states.append)
    for before, after in pairwise(states):
        up, down = after.ledger.up[-1], after.ledger.down[-1]
        assert len(down) == 3 and set(up) <= set(down)
        for h in range(5):
            same = torch.equal(before.own["model/weight"][h], after.own["model/weight"][h])
            assert same == (f"hospital_{h + 1}" not in up)


def test_what_is_sent_to_whom_was_away_is_whole() -> None:
    """No broadcast relies on one before it: the same head arrives as if all had listened."""
    states: list[State] = []
    run(skewed(), FedAvg(), rounds=3, attendance=SOME, on_round=states.append)
    assert apart(states[2].held, states[1].model) == 0


def test_it_still_learns() -> None:
    assert accuracy(run(skewed(), FedAvg(), rounds=8, attendance=SOME).model) > 0.75


def test_scaffolds_control_variates_still_add_up() -> None:
    sites = skewed()
    state = run(sites, Scaffold(), rounds=6, attendance=SOME)
    counts = torch.tensor([float(len(site.labels)) for site in sites])
    for name, everybody in group(state.server, "control").items():
        mine = group(state.own, "control")[name]
        mean = torch.einsum("h,h...->...", counts / counts.sum(), mine)
        assert torch.allclose(mean, everybody, atol=1e-5)


@pytest.mark.parametrize("algorithm", [Ridge(), Newton()], ids=["ridge", "newton"])
def test_who_needs_everyone_refuses_in_words(algorithm) -> None:
    with pytest.raises(UserError, match=f"{algorithm.name} needs every hospital"):
        run(skewed(), algorithm, attendance=SOME)
