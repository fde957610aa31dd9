"""Facts about the task and its public data set, kept as data."""

from __future__ import annotations

from typing import Literal

ClassName = Literal["NORMAL", "PNEUMONIA"]
CLASSES: tuple[ClassName, ClassName] = ("NORMAL", "PNEUMONIA")

IMAGE_SIZE = 224
IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)

DATASET_ID = "hf-vision/chest-xray-pneumonia"
DATASET = {
    "title": "Chest X-Ray Images (Pneumonia)",
    "description": "Paediatric frontal radiographs, Guangzhou Women and Children's Medical Center",
    "licence": "CC BY 4.0",
    "citation": (
        "D. Kermany, K. Zhang, M. Goldbaum: Large Dataset of Labeled Optical Coherence Tomography "
        "(OCT) and Chest X-Ray Images. Mendeley Data v3 (2018). doi:10.17632/rscbjbr9sj.3"
    ),
}

SIMULATED = {
    "title": "Simulated chest radiographs",
    "description": "Made by fedmed.simulation; no patient was imaged",
    "licence": "MIT",
    "citation": "FedMed's radiograph simulator",
}

DISCLAIMER = "A demonstration of federated learning. Not a medical device; not for diagnosis."


def is_hospital(model: str) -> bool:
    """Whether a model is one hospital's, and neither the central nor the federated one."""
    return model.startswith("hospital_")


def model_title(model: str) -> str:
    """`Hospital 1` for `hospital_1`."""
    return model.replace("_", " ").capitalize()
