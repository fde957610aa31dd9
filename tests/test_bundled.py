"""The snapshots that ship: whole, of public patients and their hospitals, and fit to be shown."""

from __future__ import annotations

from pathlib import Path

import pytest

from fedmed.backbones.backbone import IMAGENET, NETWORK, load
from fedmed.inference.predictor import Predictor
from fedmed.page import examples
from fedmed.snapshot.reader import Snapshot

MODELS = ["central", "federated", *(f"hospital_{number}" for number in range(1, 6))]
SHIPPED = [folder for folder in (IMAGENET, NETWORK) if folder.is_dir()]


@pytest.fixture(scope="module", params=SHIPPED, ids=lambda folder: folder.name)
def folder(request: pytest.FixtureRequest) -> Path:
    return request.param


@pytest.fixture(scope="module")
def bundled(folder: Path) -> Snapshot:
    return Snapshot.open(folder)


def test_it_holds_seven_models_a_report_and_no_x_ray(bundled, folder):
    assert bundled.models == MODELS
    assert list(bundled.report["protocols"]["test"]["models"]) == MODELS
    assert bundled.examples == []
    kinds = {path.suffix for path in folder.rglob("*") if path.is_file()}
    assert kinds <= {".safetensors", ".json", ".md"}


def test_its_backbone_is_the_one_of_that_name(bundled, folder):
    backbone = load("bundled" if folder == NETWORK else "imagenet")
    trunk = bundled.backbone.state
    for name, weights in backbone.state.items():
        assert weights.equal(trunk[name].half().float() if weights.ndim == 4 else trunk[name])


def test_it_was_made_by_this_data_sets_hospitals_alone(bundled):
    assert bundled.report["data"]["public_cohort"] is None


def test_no_file_is_over_nine_megabytes(folder):
    sizes = [path.stat().st_size for path in folder.rglob("*") if path.is_file()]
    assert max(sizes) <= 9_000_000 and sum(sizes) < 62_000_000


def test_the_central_model_agrees_with_half_of_the_examples_at_least(bundled):
    predictor, found = Predictor(bundled), examples.load(examples.REPOSITORY)
    assert len(found) >= 12
    right = [predictor.predict_image(one.image).labels["central"] == one.label for one in found]
    assert sum(right) >= len(right) / 2  # simulated patients, whom no model has seen the like of


def test_examples_are_of_both_classes_and_simulated():
    found = examples.load(examples.REPOSITORY)
    assert {example.label for example in found} == {"NORMAL", "PNEUMONIA"}
    assert all("simulated" in example.source for example in found)
