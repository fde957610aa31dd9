"""What the two sides do not agree on is named."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from fedmed.flower.terms import Disagreement, Terms

TERMS = Terms(
    run="0123456789abcdef",
    backbone="b" * 64,
    algorithm="fedavg",
    format="fp32",
    rounds=3,
    local_epochs=2,
    batch_size=32,
    learning_rate=0.001,
    recipe="robust",
    views=1,
    seed=42,
)


def test_terms_are_read_as_they_were_written():
    assert Terms.read(TERMS.text()) == TERMS


@pytest.mark.parametrize(
    ("field", "value", "named"),
    [
        ("protocol", 1, "protocol version differs: 1 at the coordinator, 3 at the hospital"),
        ("classes", ["NORMAL", "TUBERCULOSIS"], "class list differs: .*TUBERCULOSIS"),
        ("algorithm", "fedsecret", "algorithm 'fedsecret': choose from fedavg"),
        ("format", "pickle", "format 'pickle': choose from"),
        ("recipe", "none", "recipe 'none': choose from"),
        ("views", 0, "views is 0"),
        ("rounds", "3", "no rounds"),
        ("seed", True, "no seed"),
        ("run", "../../../../etc/x", "no name or seed"),
        ("learning_rate", -1.0, "learning_rate"),
        ("train", "everything", "train 'everything': choose from head, network"),
        ("size", 16, "size is 16: choose from 32 to 224"),
        ("batch_norm", "none", "batch_norm 'none': choose from average, local, frozen"),
        ("deterministic", 1, "no deterministic"),
        ("epsilon", -1.0, "epsilon must be"),
        ("epsilon", float("nan"), "epsilon must be"),
        ("epsilon", "3", "no epsilon"),
        ("delta", 1.0, "delta must be"),
        ("secure_aggregation", 1, "no secure_aggregation"),
    ],
)
def test_what_differs_is_named(field, value, named):
    text = json.dumps(json.loads(TERMS.text()) | {field: value})
    with pytest.raises(Disagreement, match=named):
        Terms.read(text)


@pytest.mark.parametrize("algorithm", ["scaffold", "ridge", "newton"])
def test_what_needs_features_trains_no_networks(algorithm):
    text = replace(TERMS, train="network", algorithm=algorithm).text()
    with pytest.raises(Disagreement, match=f"{algorithm} needs the features of a frozen backbone"):
        Terms.read(text)


@pytest.mark.parametrize("text", [None, b"{}", "", "[]", "nonsense"])
def test_what_is_no_terms_is_refused(text):
    with pytest.raises(Disagreement):
        Terms.read(text)


def test_another_backbone_is_named_by_both_digests():
    with pytest.raises(Disagreement, match=r"backbone digest differs: 'bbbb.*'cccc"):
        TERMS.check_backbone("c" * 64)


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({"epsilon": 3.0, "algorithm": "ridge"}, "--epsilon works with .* not with ridge"),
        ({"epsilon": 3.0, "algorithm": "fedprox"}, "--epsilon works with .* not with fedprox"),
        ({"secure_aggregation": True, "algorithm": "krum"}, "needs every hospital's update"),
        ({"secure_aggregation": True, "format": "int8"}, "leave out --format int8"),
    ],
)
def test_a_hospital_refuses_what_cannot_be_protected(given, why):
    """Also where the coordinator is not FedMed's own."""
    with pytest.raises(Disagreement, match=why):
        Terms.read(replace(TERMS, **given).text())
