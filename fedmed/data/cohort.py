"""X-rays and cohorts: what every source of data is turned into."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from PIL import Image

from fedmed.task import CLASSES


@dataclass(frozen=True)
class Xray:
    """One labelled image, not yet decoded.

    `digest` is the sha256 of what the pixels are made from; `load` decodes them (grey, any size)
    and raises ImageError where that fails, or another UserError where the file is gone or changed.
    """

    name: str
    label: int
    patient: str
    digest: str
    load: Callable[[], Image.Image] = field(repr=False, compare=False)


@dataclass(frozen=True)
class Cohort:
    """The official splits of one data set, and what is known about where it comes from."""

    source: str  # "folder", "simulated", or the data set's id on the Hub
    about: dict[str, str]  # title, licence, citation
    train: list[Xray]
    test: list[Xray]
    patients_known: bool
    simulated: bool = False
    hub_id: str | None = None
    public: bool = False  # the public data set, as fedmed.data.public_dataset knows it
    test_split: str = "the data set's own test split"
    patients_told_by: dict[str, int] = field(default_factory=dict)  # images, see patients.TELLERS
    notes: tuple[str, ...] = ()  # what whoever runs this should be told of it

    @property
    def images(self) -> list[Xray]:
        return [*self.train, *self.test]


def labels(xrays: Sequence[Xray]) -> list[int]:
    return [xray.label for xray in xrays]


def patients(xrays: Sequence[Xray]) -> list[str]:
    return [xray.patient for xray in xrays]


def count(xrays: Sequence[Xray]) -> dict[str, Any]:
    """Images per class and patients, as the report states them."""
    classes = Counter(labels(xrays))
    return {
        "images": {name: classes[index] for index, name in enumerate(CLASSES)},
        "patients": len(set(patients(xrays))),
    }
