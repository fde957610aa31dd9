"""Kept sums: a hospital taken out of them leaves the model of a run that it was never in."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from fedmed.errors import UserError
from fedmed.experiment import sums
from fedmed.federated.algorithms import ALGORITHMS
from fedmed.federated.algorithms.closed_form import ClosedForm
from fedmed.snapshot.manifest import SUMS
from fedmed.training.optimizer import Optimisation
from tests.support.federations import run
from tests.support.sites import skewed

NAMES = [name for name, kind in ALGORITHMS.items() if issubclass(kind, ClosedForm)]
WEIGHTS = (1.7, 0.4)


def algorithm(name: str) -> ClosedForm:
    made = ALGORITHMS[name]()
    assert isinstance(made, ClosedForm)
    return made


@pytest.mark.parametrize("name", NAMES)
def test_what_is_left_is_the_run_without_it(name: str, tmp_path: Path) -> None:
    sites = skewed(16)
    sums.write(sums.gather(algorithm(name), sites), tmp_path)
    kept = sums.read(tmp_path)
    for left, some in ((kept, sites), (kept.without("hospital_3"), [*sites[:2], *sites[3:]])):
        never = run(some, algorithm(name), optimisation=Optimisation(class_weights=WEIGHTS))
        head = left.head(WEIGHTS)
        assert torch.allclose(head.weight[0], never.model["weight"], rtol=1e-5, atol=1e-6)
        assert torch.allclose(head.bias[0], never.model["bias"], rtol=1e-5, atol=1e-6)
    gone = kept.without("hospital_3").head(WEIGHTS)
    assert not torch.allclose(gone.weight, kept.head(WEIGHTS).weight, rtol=1e-3)


def test_a_snapshot_that_keeps_none_is_told_how_to_keep_them(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="--keep-sums"):
        sums.read(tmp_path)


@pytest.mark.parametrize("fault", ["samples", "products", "nan"])
def test_what_is_no_sums_is_refused(fault: str, tmp_path: Path) -> None:
    sums.write(sums.gather(algorithm("ridge"), skewed(8)), tmp_path)
    stored = load_file(tmp_path / SUMS)
    if fault == "nan":
        stored["targets"][0, 0, 0] = torch.nan
    else:
        del stored[fault]
    about = '{"algorithm": "ridge", "hospitals": ["a", "b", "c", "d", "e"]}'
    save_file(stored, tmp_path / SUMS, {"about": about})
    with pytest.raises(UserError, match="no sums that can be read"):
        sums.read(tmp_path)
