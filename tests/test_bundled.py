"""The snapshot that ships: whole, of public patients and their hospitals, and fit to be shown."""

from __future__ import annotations

import pytest

from fedmed.backbones.backbone import BUNDLED, load
from fedmed.data.public_cohort import public_patients
from fedmed.inference.predictor import Predictor
from fedmed.page import examples
from fedmed.snapshot.reader import Snapshot

MODELS = ["central", "federated", *(f"hospital_{number}" for number in range(1, 6))]


@pytest.fixture(scope="module")
def bundled() -> Snapshot:
    return Snapshot.open(BUNDLED)


def test_it_holds_seven_models_a_report_and_no_x_ray(bundled):
    assert bundled.models == MODELS
    assert list(bundled.report["protocols"]["test"]["models"]) == MODELS
    assert bundled.examples == []
    kinds = {path.suffix for path in BUNDLED.rglob("*") if path.is_file()}
    assert kinds <= {".safetensors", ".json", ".md"}


def test_its_backbone_is_the_bundled_one_and_names_its_public_cohort(bundled):
    backbone = load("bundled")
    assert backbone.sha256 == bundled.config["backbone"]["sha256"]
    assert backbone.public_cohort
    assert bundled.report["data"]["public_cohort"]["patients"] == len(public_patients())


def test_no_file_is_over_nine_megabytes():
    assert max(path.stat().st_size for path in BUNDLED.rglob("*") if path.is_file()) <= 9_000_000


def test_the_central_model_agrees_with_most_examples(bundled):
    predictor, found = Predictor(bundled), examples.load(examples.REPOSITORY)
    assert len(found) >= 12
    right = [predictor.predict_image(one.image).labels["central"] == one.label for one in found]
    assert sum(right) >= 0.75 * len(right)


def test_examples_are_of_both_classes_and_simulated():
    found = examples.load(examples.REPOSITORY)
    assert {example.label for example in found} == {"NORMAL", "PNEUMONIA"}
    assert all("simulated" in example.source for example in found)
