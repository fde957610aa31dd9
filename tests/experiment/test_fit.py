"""What becomes of a run where an update format cannot hold what is learned."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch

from fedmed.errors import UserError
from fedmed.experiment.fit import fit
from fedmed.experiment.settings import Settings
from fedmed.experiment.timing import Stopwatch
from fedmed.training.recipe import RECIPES
from tests.support.sites import pooled, skewed
from tests.support.xrays import xrays

# So large a step that FP16 cannot hold the weights it leads to, and FP32 can.
WILD = Settings(rounds=3, local_epochs=2, epochs=1, learning_rate=1e5)


@pytest.fixture
def prepared() -> Any:
    """Hospitals of made-up features, and nothing kept from before."""
    sites = skewed()
    images = [*xrays(["a.jpeg"], 0), *xrays(["b.jpeg"], 1)]
    return SimpleNamespace(
        training=images,
        recipe=RECIPES["mission"],
        validation=SimpleNamespace(features=torch.zeros(1, 512)),
        everything=pooled(sites),
        hospitals=sites,
        state=SimpleNamespace(federation=lambda _: None, keeper=lambda _: None),
    )


def test_a_format_that_is_only_compared_ends_no_run(
    prepared: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = Settings(**{**vars(WILD), "hospitals": len(prepared.hospitals)})
    fitted = fit(settings, prepared, Stopwatch())
    assert list(fitted.unfinished) == ["fp16"]
    assert list(fitted.federations) == ["fp32", "int8"]
    assert "lower --learning-rate" in fitted.unfinished["fp16"]
    assert "goes on without FP16" in capsys.readouterr().out


def test_the_format_that_is_sent_ends_it(prepared: Any) -> None:
    settings = Settings(**{**vars(WILD), "hospitals": len(prepared.hospitals), "quantize": "fp16"})
    with pytest.raises(UserError, match="lower --learning-rate"):
        fit(settings, prepared, Stopwatch())
