"""The model card of a federation between machines."""

from __future__ import annotations

from fedmed.evaluation.intervals import cell
from fedmed.evaluation.metrics import METRICS
from fedmed.report.card import usage
from fedmed.report.card_tables import table
from fedmed.report.machines_facts import machines_section
from fedmed.report.machines_report import ALONE, MachinesReport, scored_at, told
from fedmed.report.phrases import number_of_hospitals, number_of_rounds
from fedmed.report.schema import Config
from fedmed.task import CLASSES, DISCLAIMER, model_title


def machines_card(report: MachinesReport, config: Config) -> str:
    """Return README.md of the snapshot that holds `report` and `config`."""
    sections = (
        _opening(report),
        _results(report),
        _hospitals(report),
        machines_section(report),
        _making(config, report),
        usage(config, "USER/REPO"),
        f"## Limits\n\n- {DISCLAIMER}\n- {ALONE}\n- The figures hold for the patients of these "
        f"hospitals. {_intervals(report)}",
    )
    return f"---\n{_front_matter()}\n---\n\n" + "\n\n".join(filter(None, sections)) + "\n"


def _intervals(report: MachinesReport) -> str:
    if "noise" in report["protocols"].get("validation", {}):
        return "Intervals are over patients, and wider for the noise in their counts."
    return "Intervals are over X-rays, and too narrow where patients have several."


def _front_matter() -> str:
    from huggingface_hub import ModelCardData

    return ModelCardData(
        library_name="torchvision",
        pipeline_tag="image-classification",
        tags=["federated-learning", "chest-x-ray", "medical-imaging", "resnet18", "safetensors"],
    ).to_yaml()


def _opening(report: MachinesReport) -> str:
    communication = report["communication"]
    simulated = (
        "**Trained and scored on simulated X-rays: the figures say nothing about patients.**\n\n"
        if report["data"]["simulated"]
        else ""
    )
    return (
        "# FedMed: pneumonia on chest X-rays, learned between hospitals\n\n"
        f"**{DISCLAIMER}**\n\n{simulated}"
        f"One classifier ({' and '.join(CLASSES)}): {report['algorithm']['words']}, of "
        f"{number_of_hospitals(communication['hospitals'])} in "
        f"{number_of_rounds(communication['rounds'])}. Each trained on a machine of its own, which "
        f"no X-ray left.\n\n{told(report)}"
    )


def _results(report: MachinesReport) -> str:
    protocol = report["protocols"].get("validation")
    if protocol is None:
        return ""
    names = [name for name in METRICS if name != "auc"]
    rows = [
        [title, str(scores["n"]), *(cell(scores[n]) if n in scores else "" for n in names)]
        for title, scores in scored_at(protocol).items()
    ]
    header = ["scored at", "n", *(METRICS[name].title for name in names)]
    noise = f"\n\nNoise: {protocol['noise']['words']}." if "noise" in protocol else ""
    told = f"## Results\n\nIn percent, of {protocol['description']}.{noise}\n\n"
    return told + table(header, rows)


def _hospitals(report: MachinesReport) -> str:
    rows = [
        [
            model_title(member["name"]),
            str(member["patients"]),
            *(str(member["images"][label]) for label in CLASSES if "images" in member),
        ]
        for member in report["partition"]["hospitals"]
    ]
    told = "images" in report["data"]
    header = ["hospital", "patients", *(f"{label} images" for label in CLASSES if told)]
    return "## The hospitals\n\nAs each told of itself.\n\n" + table(header, rows)


def _making(config: Config, report: MachinesReport) -> str:
    recipe, backbone = report["recipe"], config["backbone"]
    return (
        "## How it was made\n\nBy `python -m fedmed.coordinator` and, at every hospital, `python "
        f"-m fedmed.hospital`. Recipe `{recipe['name']}`: {recipe['description']}. "
        f"{'Network' if 'networks' in config else 'Backbone'} `{backbone['id']}`: "
        f"{backbone['source']} (sha256 of its weights `{backbone['sha256']}`)."
    )
