"""The model card of a snapshot: README.md with front matter that the Hub reads as results."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fedmed.evaluation.metrics import METRICS
from fedmed.report import card_tables
from fedmed.report.claims import summary
from fedmed.report.machines_facts import machines_section
from fedmed.report.phrases import (
    federated_by,
    hospitals_model,
    number_of_rounds,
    trains_networks,
)
from fedmed.report.privacy_facts import privacy_section
from fedmed.report.schema import Config, Report
from fedmed.report.study_table import study_section
from fedmed.task import CLASSES, DISCLAIMER

LIBRARY = "torchvision"
SCORED_FOR_THE_HUB = ("central", "federated")  # in the front matter


def model_card(report: Report, config: Config, repo: str | None = None) -> str:
    """Return README.md of the snapshot that holds `report` and `config`.

    `repo` is the USER/REPO it is published as; without one the card says where to put it.
    """
    sections = (
        _opening(report, config),
        card_tables.results(report, config),
        card_tables.hospitals(report),
        card_tables.communication(report),
        *filter(None, [machines_section(report), privacy_section(report), study_section(report)]),
        _making(report, config),
        usage(config, repo or "USER/REPO"),
        _limits(report),
        card_tables.data(report),
    )
    return f"---\n{_front_matter(report, repo)}\n---\n\n" + "\n\n".join(sections) + "\n"


def _front_matter(report: Report, repo: str | None) -> str:
    from huggingface_hub import EvalResult, ModelCardData

    data = report["data"]
    hub_id = data.get("hub_id")
    models = report["protocols"]["test"]["models"]
    results = [
        EvalResult(
            task_type="image-classification",
            dataset_type=hub_id or ("simulated" if data["simulated"] else "imagefolder"),
            dataset_name=data["title"],
            dataset_split="test",
            metric_type=metric.hub,
            metric_name=f"{metric.heading} ({model})",
            metric_value=round(models[model][name]["value"], 6),
        )
        for model in SCORED_FOR_THE_HUB
        for name, metric in METRICS.items()
        if metric.hub
    ]
    card = ModelCardData(
        model_name=repo.split("/")[-1] if repo else "fedmed",
        license="mit",
        library_name=LIBRARY,
        pipeline_tag="image-classification",
        tags=["federated-learning", "chest-x-ray", "medical-imaging", "resnet18", "safetensors"],
        datasets=[hub_id] if hub_id else None,
        metrics=[metric.hub for metric in METRICS.values() if metric.hub],
        eval_results=results,
    )
    return card.to_yaml()


def _opening(report: Report, config: Config) -> str:
    data = report["data"]
    models = config["models"]
    simulated = (
        "**Trained and scored on simulated X-rays: the figures say nothing about patients.**\n\n"
        if data["simulated"]
        else ""
    )
    said = "\n".join(f"- {claim.text}" for claim in summary(report))
    return (
        "# FedMed: pneumonia on chest X-rays, learned without sharing images\n\n"
        f"**{DISCLAIMER}**\n\n{simulated}"
        f"{len(models)} classifiers ({' and '.join(CLASSES)}){_kind(report)}. `central` saw all "
        f"training images in one place. `federated` is {_federated_by(report)}, in which updates "
        f"travelled and images did not. Each `hospital` model is {hospitals_model(report)}.\n\n"
        f"What the figures bear out:\n\n{said}"
    )


def _federated_by(report: Report) -> str:
    """What the federated model is, of how many hospitals, in how many rounds."""
    communication = report["communication"]
    rounds = number_of_rounds(communication["rounds"])
    return (
        f"{federated_by(report)}, of {len(report['partition']['hospitals'])} hospitals in {rounds}"
    )


def _kind(report: Report) -> str:
    if trains_networks(report):
        return ", each a whole ResNet18 trained end to end"
    return " on one frozen ResNet18: only the last layer of each was trained"


def _making(report: Report, config: Config) -> str:
    recipe, backbone = report["recipe"], config["backbone"]
    versions = ", ".join(f"{name} {version}" for name, version in config["versions"].items())
    return (
        f"## How it was made\n\n```sh\n{command(report)}\n```\n\n"
        f"Recipe `{recipe['name']}`: {recipe['description']}. Made with {versions}.\n\n"
        f"{'Networks' if 'networks' in config else 'Backbone'} `{backbone['id']}`: "
        f"{backbone['source']} (sha256 of its weights "
        f"`{backbone['sha256']}`)." + _terms(backbone)
    )


def _terms(backbone: Mapping[str, Any]) -> str:
    """Whose the backbone is and what it lacks, where it was made by others."""
    terms = (("Left out", "left_out"), ("Licence", "licence"))
    return "".join(f" {title}: {backbone[name]}." for title, name in terms if name in backbone)


def command(report: Report) -> str:
    """The command line that trains this again, without the paths of somebody's disk."""
    recipe: Mapping[str, Any] = report["recipe"]
    if "engine" in report.get("federation", {}):
        return f'make hospitals ARGS="--algorithm {recipe["algorithm"]}"'
    options = {name: recipe[name] for name in recipe if name not in ("name", "description")}
    if report["data"]["source"] == "folder":
        options["data"] = "DIR"
    if "backbone" in options:
        options["backbone"] = Path(options["backbone"]).name
    if report["partition"]["alpha"] is None:
        options.pop("alpha", None)
    flags = [
        f"--{name.replace('_', '-')}" + ("" if value is True else f" {shlex.quote(str(value))}")
        for name, value in options.items()
    ]
    return " \\\n    ".join(["python train.py", *flags])


def usage(config: Config, repo: str) -> str:
    """The section on how plain torchvision loads the federated model published as `repo`."""
    preprocessing = config["preprocessing"]
    height, width = preprocessing["size"]
    federated = config["models"]["federated"]
    load = f"""load_torch_model(network, folder, filename_pattern="backbone{{suffix}}.safetensors")
network.load_state_dict(load_file(f"{{folder}}/{federated["file"]}"), strict=False)"""
    load_needs, resize, smaller = "load_torch_model, ", "", ""
    if "networks" in config:
        load = f"""for file in {federated["files"]}:
    network.load_state_dict(load_file(f"{{folder}}/{{file}}"), strict=False)"""
        load_needs, resize = "", ", resize"
        side = config["networks"]["size"]
        smaller = f"""
pixels = resize(pixels, [{side}, {side}], antialias=True)"""
    return f"""## Use it in plain torchvision

```python
import torch
from huggingface_hub import {load_needs}snapshot_download
from PIL import Image
from safetensors.torch import load_file
from torchvision.models import resnet18
from torchvision.transforms.functional import normalize, pil_to_tensor{resize}

folder = snapshot_download("{repo}")
network = resnet18(num_classes={len(CLASSES)})
{load}
network.eval()

xray = Image.open("xray.jpeg").convert("L").resize(({width}, {height}), Image.Resampling.BILINEAR)
pixels = pil_to_tensor(xray).float().div(255).expand(3, -1, -1){smaller}
pixels = normalize(pixels, {preprocessing["mean"]}, {preprocessing["std"]})
with torch.inference_mode():
    probabilities = network(pixels[None]).softmax(dim=1)[0]
print(dict(zip({list(CLASSES)}, probabilities.tolist())))
```

`python -m fedmed.export SNAPSHOT DIR` writes every model as one `.pth` state dict instead."""


def _limits(report: Report) -> str:
    data = report["data"]
    limits = [
        DISCLAIMER,
        "The figures hold for the X-rays named here. Other hospitals, scanners, ages and diseases "
        "were not tried.",
        "The hospitals are parts of one data set and one program, without a network between them. "
        "Keeping images at home is not a proof of privacy.",
        "The intervals tell what other patients of the same kind could have given, not what "
        "another seed or another hospital would. One that ends at 100 is too short: resampling "
        "cannot show an error that the sample lacks.",
    ]
    if not data["patients_known"]:
        limits.append(
            "File names told no patients: each image counts as its own, so the splits may share "
            "patients and the intervals are too narrow."
        )
    if data["patient_overlap"]:
        limits.append(f"{data['patient_overlap']} patients are in both train and test.")
    return "## Limits\n\n" + "\n".join(f"- {limit}" for limit in limits)
