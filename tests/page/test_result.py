"""A prediction in plain JSON, as the contract promises it."""

from __future__ import annotations

import json

import numpy as np

from fedmed.page.result import as_json
from fedmed.task import CLASSES
from tests.support.predictions import prediction
from tests.support.reports import MODELS


def test_it_is_the_contract_in_plain_json():
    answer = json.loads(json.dumps(as_json(prediction(()), "bundled"), allow_nan=False))
    assert set(answer) == {"models", "agreement", "warnings", "notes", "snapshot"}
    assert list(answer["models"]) == list(MODELS)
    for model in answer["models"].values():
        assert set(model) == {"label", "probabilities", "threshold"}
        assert set(model["probabilities"]) == set(CLASSES)
    assert answer["snapshot"] == "bundled"


def test_heat_maps_come_on_request():
    found = prediction(("central",))
    answer = json.loads(json.dumps(as_json(found, "bundled", heat_maps=True), allow_nan=False))
    for model, evidence in found.evidence.items():
        np.testing.assert_allclose(answer["models"][model]["heat_map"], evidence, atol=6e-5)
