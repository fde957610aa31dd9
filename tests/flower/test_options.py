"""A coordinator's options: one definition for the command, Flower's bundle and the run."""

from __future__ import annotations

import tomllib
from dataclasses import asdict
from pathlib import Path

import pytest

from fedmed.errors import UserError
from fedmed.experiment.settings import parse as settings_of
from fedmed.flower.options import Options

APP = Path(__file__).parents[2] / "flower" / "pyproject.toml"


def test_the_bundle_has_every_option_with_its_default():
    """Flower lets a run set none that is not there."""
    settings = tomllib.loads(APP.read_text(encoding="utf-8"))["tool"]["flwr"]["app"]["config"]
    assert settings == {name.replace("_", "-"): value for name, value in asdict(Options()).items()}
    assert Options.of(settings) == Options()


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({"hospital": 3}, "no such option"),
        ({"rounds": "3"}, "not of the kind"),
        ({"rounds": True}, "not of the kind"),
        ({"train": "network", "algorithm": "ridge"}, "--algorithm ridge needs the features"),
        ({"train": "network", "epsilon": 3.0}, "--epsilon works with heads"),
        ({"train": "network", "secure-aggregation": True}, "--secure-aggregation works with heads"),
        ({"hospitals": 2, "min-hospitals": 3}, "min-hospitals: choose from 1"),
        ({"epsilon": 3.0, "algorithm": "lda"}, "--epsilon works with .* not with lda"),
        ({"secure-aggregation": True, "hospitals": 2}, "needs from 3 to 200 hospitals"),
        ({"secure-aggregation": True, "min-hospitals": 2}, "3 hospitals in every round"),
        ({"secure-aggregation": True, "algorithm": "median"}, "needs every hospital's update"),
        ({"secure-aggregation": True, "format": "fp16"}, "leave out --format fp16"),
    ],
)
def test_others_are_refused(given, why):
    with pytest.raises(UserError, match=why):
        Options.of(given)


def test_networks_are_trained_as_train_py_does_unless_it_is_told_otherwise():
    networks = Options.of({"train": "network"})
    settings = settings_of(["--train", "network"])
    for name in ("batch_size", "learning_rate", "rounds", "local_epochs", "size", "batch_norm"):
        assert getattr(networks, name) == getattr(settings, name), name
    assert Options.of({"train": "network", "batch-size": 8}).batch_size == 8


def test_a_whole_number_of_seconds_will_do():
    assert Options.of({"wait-seconds": 5}).wait_seconds == 5.0
