"""No test is a game of chance: noise of privacy and drawings without a seed are the same each time.

In a test's own process, that is; children draw as they would. `FEDMED_TEST_SEED=7` draws others: a
threshold that turns then is too near.
"""

from __future__ import annotations

import os
import random
import sys

import numpy as np
import pytest

from fedmed.privacy import noise

SEED = int(os.environ.get("FEDMED_TEST_SEED", "0"))


@pytest.fixture(autouse=True)
def no_chance(monkeypatch: pytest.MonkeyPatch) -> None:
    """Draw noise from a generator with a seed, and seed those that have none."""
    monkeypatch.setattr(noise, "gaussian", np.random.default_rng(SEED).standard_normal)
    random.seed(SEED)
    np.random.seed(SEED)
    if torch := sys.modules.get("torch"):  # whoever draws with it has imported it
        torch.manual_seed(SEED)
