"""A small valid report and configuration, for the tests of whatever reads them."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import numpy as np

from fedmed.evaluation import calibration
from fedmed.evaluation.comparison import compare
from fedmed.evaluation.curves import curves
from fedmed.evaluation.metrics import evaluate
from fedmed.experiment.settings import Settings
from fedmed.federated.ledger import TITLES
from fedmed.imaging.preprocessing import PREPROCESSING
from fedmed.report import document
from fedmed.report.highlights import displayed_models
from fedmed.report.schema import CURVES
from fedmed.snapshot.manifest import model_file
from fedmed.task import CLASSES, SIMULATED
from fedmed.training.recipe import RECIPES

HOSPITALS = tuple(f"hospital_{number}" for number in range(1, 6))
MODELS = ("central", "federated", *HOSPITALS)
IMAGES = {"validation": 120, "test": 90}
PAIRS = {"aspect": ["rows cut", "columns cut"], "framing": ["framed closer", None]}
RESAMPLES = 50
ROUNDS = 2
HEAD_PARAMETERS = 2 * 512 + 2
MODEL_PARAMETERS = 11_177_538


def example_report() -> dict[str, Any]:
    """Return a report as train.py makes it, scored by the real evaluator on drawn scores."""
    protocols: dict[str, Any] = {}
    comparison: dict[str, Any] = {}
    local_only: dict[str, Any] = {}
    round_scores: list[dict[str, Any]] = []
    scaling: dict[str, Any] = {}
    sent_scores: dict[str, Any] = {}
    for protocol, images in IMAGES.items():
        generator = np.random.default_rng(images)
        labels = (np.arange(images) % 3 > 0).astype(int)
        patients = [f"patient {number // 2}" for number in range(images)]
        probabilities = {
            name: _probabilities(generator, labels, skill)
            for name, skill in zip(MODELS, (4.0, 3.8, 2.5, 3.0, 3.2, 2.0, 2.8), strict=True)
        }

        def score(
            values: np.ndarray,
            drawn: bool = False,
            labels: np.ndarray = labels,
            patients: list[str] = patients,
        ) -> dict[str, Any]:
            (found,) = evaluate(values[None], labels, patients, resamples=RESAMPLES)
            return found | (curves(values, labels) if drawn else {})

        found = np.stack(list(probabilities.values()))
        if protocol == "validation":
            temperatures = calibration.fit_temperatures(found, labels)
            scaling = {
                name: {"temperature": t}
                for name, t in zip(MODELS, temperatures.tolist(), strict=True)
            }
        after = calibration.calibrated(found, temperatures)
        for name, before, scaled in zip(MODELS, found, after, strict=True):
            scaling[name][protocol] = {
                "before": calibration.reliability(before, labels),
                "after": calibration.reliability(scaled, labels),
            }
        protocols[protocol] = {
            "n": images,
            "patients": len(set(patients)),
            "description": f"drawn scores standing in for the {protocol} images",
            "models": {
                name: score(values, True)
                | {"calibrated": calibration.calibration_curve(scaled, labels)}
                for (name, values), scaled in zip(probabilities.items(), after, strict=True)
            },
        }
        comparison[protocol] = compare(
            probabilities["federated"],
            probabilities["central"],
            labels,
            patients,
            resamples=RESAMPLES,
        )
        local_only[protocol] = {
            name: score(_probabilities(generator, labels, 2.0)) for name in HOSPITALS
        }
        sent_scores[protocol] = score(probabilities["federated"])
        if protocol == "validation":
            round_scores = [
                score(_probabilities(generator, labels, 1.0 + number)) for number in range(ROUNDS)
            ]
    near = {"loss": 0.21, "auc": 0.95, "balanced_accuracy": 0.9, "distance": 1.5}
    protocols["shifted"], local_only["shifted"] = _shifted(protocols, local_only)
    return document.build(
        protocols=protocols,
        comparison=comparison,
        rounds=[
            {
                "round": number,
                "validation": scores,
                "bytes_up": dict.fromkeys(HOSPITALS, _update_bytes("fp32")),
                "bytes_down": dict.fromkeys(HOSPITALS, _update_bytes("fp32")),
            }
            for number, scores in enumerate(round_scores, start=1)
        ],
        communication=_communication(sent_scores),
        partition={
            "scheme": "label-skew",
            "alpha": None,
            "seed": 42,
            "hospitals": [
                {
                    "name": name,
                    "patients": dict(zip(CLASSES, (60 - 10 * place, 20 + 15 * place), strict=True)),
                    "images": dict(zip(CLASSES, (80 - 10 * place, 40 + 30 * place), strict=True)),
                }
                for place, name in enumerate(HOSPITALS)
            ],
        },
        local_only=local_only,
        algorithm={
            "name": "fedavg",
            "words": "the average of the hospitals' updates",
            "settings": {},
            "rounds": ROUNDS,
            "one_round": False,
        },
        federation={"participation": 1.0, "drop_out": 0.0, "poison": None},
        yardstick={
            "method": "logistic regression",
            "l2": 0.01,
            "optimum": near | {"distance": 0.0},
            "central": near,
            "rounds": [near] * ROUNDS,
            "alone": dict.fromkeys(HOSPITALS, near),
            "within": {"loss": {"rounds": 1, "bytes": 4000}, "auc": None},
            "contribution": {
                "method": "ridge",
                "metric": "auc",
                "exact": True,
                "federations": 31,
                "nobody": 0.5,
                "everybody": 0.95,
                "hospitals": {name: 0.07 + 0.01 * h for h, name in enumerate(HOSPITALS)},
            },
        },
        gains={
            name: {
                "own_mix": {"alone": 0.8, "federated": 0.82 + 0.01 * h},
                "everybody": {"alone": 0.75, "federated": 0.85},
            }
            for h, name in enumerate(HOSPITALS)
        },
        calibration={"method": "temperature", "fitted_on": "validation", "models": scaling},
        data=_data(),
        recipe=Settings(data="simulated", backbone="bundled", rounds=ROUNDS).of_the_run()
        | {"name": "mission", "description": RECIPES["mission"].description},
        timing={"features": 12.5, "central": 0.8, "federated": 1.2, "evaluation": 2.1},
        environment={"python": "3.11.9", "torch": "2.14.1", "fedmed": "0.1.0"},
    )


def _shifted(protocols: dict[str, Any], local_only: dict[str, Any]) -> tuple[dict[str, Any], Any]:
    """Swapped validation, its scores those of validation again."""
    models = deepcopy(protocols["validation"]["models"])
    for scores in models.values():
        for curve in (*CURVES, "calibrated"):
            del scores[curve]
        scores["pairs"] = {pair: {"balanced_accuracy": 0.8, "auc": 0.9} for pair in PAIRS}
    return protocols["validation"] | {"pairs": PAIRS, "models": models}, local_only["validation"]


def with_hospitals(stored: dict[str, Any], count: int) -> dict[str, Any]:
    """A report, or a configuration, of `count` hospitals that repeat those of an example."""
    made = deepcopy(stored)
    names = [f"hospital_{number}" for number in range(1, count + 1)]
    like = dict(zip(names, HOSPITALS * count, strict=False))

    def repeat(models: dict[str, Any]) -> dict[str, Any]:
        kept = {name: found for name, found in models.items() if name not in HOSPITALS}
        return kept | {name: deepcopy(models[other]) for name, other in like.items()}

    if "protocols" not in made:
        made["models"] = repeat(made["models"])
        for name in names:
            made["models"][name] |= {
                "file": model_file(name),
                "title": name.replace("_", " ").capitalize(),
            }
        return made
    for protocol in made["protocols"]:
        models = made["protocols"][protocol]["models"] = repeat(
            made["protocols"][protocol]["models"]
        )
        for name in set(models) - set(displayed_models(models)):
            for drawn in (*CURVES, "calibrated", "pairs"):
                models[name].pop(drawn, None)
        made["local_only"][protocol] = repeat(made["local_only"][protocol])
    made["calibration"]["models"] = repeat(made["calibration"]["models"])
    for entry in made["rounds"]:
        entry["bytes_up"], entry["bytes_down"] = map(
            repeat, (entry["bytes_up"], entry["bytes_down"])
        )
    made["gains"] = repeat(made["gains"])
    made["yardstick"]["alone"] = repeat(made["yardstick"]["alone"])
    shares = made["yardstick"]["contribution"]
    shares["hospitals"] = repeat(shares["hospitals"])
    parts = {hospital["name"]: hospital for hospital in made["partition"]["hospitals"]}
    made["partition"]["hospitals"] = [part | {"name": name} for name, part in repeat(parts).items()]
    made["communication"]["hospitals"] = count
    return made


def example_config() -> dict[str, Any]:
    """Return the config.json that goes with `example_report`; its sha256 are of nothing."""
    files = {model: model_file(model) for model in MODELS}
    return {
        "schema_version": 1,
        "classes": list(CLASSES),
        "preprocessing": PREPROCESSING,
        "backbone": {
            "id": "fedmed-bundled",
            "sha256": "0" * 64,
            "source": "a test",
            "files": ["backbone.safetensors"],
        },
        "models": {
            name: {
                "file": file,
                "title": name.replace("_", " ").capitalize(),
                "threshold": {"value": 0.5, "rule": "fixed at 0.5"},
                "training": {"NORMAL": 300, "PNEUMONIA": 500},
            }
            for name, file in files.items()
        },
        "files": dict.fromkeys([*files.values(), "backbone.safetensors"], "0" * 64),
        "versions": {"fedmed": "0.1.0", "torch": "2.14.1"},
        "seed": 42,
        "created": "2026-01-31T12:00:00+00:00",
    }


def _probabilities(generator: np.random.Generator, labels: np.ndarray, skill: float) -> np.ndarray:
    return 1 / (1 + np.exp(-generator.normal(skill * (labels - 0.5), 1.0)))


def _update_bytes(sent: str) -> int:
    parameters = MODEL_PARAMETERS if sent == "full_fp32" else HEAD_PARAMETERS
    width = {"fp16": 2, "int8": 1}.get(sent, 4)
    return width * parameters + 150


def _communication(scores: dict[str, Any]) -> dict[str, Any]:
    formats: dict[str, Any] = {}
    for sent, title in TITLES.items():
        update = _update_bytes(sent)
        formats[sent] = {
            "title": title,
            "measured": sent != "full_fp32",
            "update_bytes": update,
            "round_bytes": 2 * len(HOSPITALS) * update,
            "run_bytes": 2 * len(HOSPITALS) * update * ROUNDS,
        }
        if formats[sent]["measured"]:
            formats[sent]["metrics"] = deepcopy(scores)
    return {"sent": "fp32", "rounds": ROUNDS, "hospitals": len(HOSPITALS), "formats": formats}


def _data() -> dict[str, Any]:
    def counts(normal: int, pneumonia: int, patients: int) -> dict[str, Any]:
        return {"images": {"NORMAL": normal, "PNEUMONIA": pneumonia}, "patients": patients}

    return {
        "source": "simulated",
        "hub_id": None,
        **SIMULATED,
        "simulated": True,
        "patients_known": True,
        "splits": {"train": counts(340, 580, 700), "test": counts(30, 60, 45)},
        "repeats": {"train": 0, "test": 0, "across": 0},
        "patient_overlap": 0,
        "unreadable": [],
        "public_cohort": None,
        "held_out": counts(40, 80, 60),
        "training": counts(300, 500, 640),
    }


def changed(*path: str | int, to: Any = None, drop: bool = False) -> dict[str, Any]:
    """The example with the field at `path` replaced, or dropped."""
    made = example_report()
    parent: Any = made
    for step in path[:-1]:
        parent = parent[step]
    if drop:
        del parent[path[-1]]
    else:
        parent[path[-1]] = to
    return made
