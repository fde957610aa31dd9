"""Which models are shown one by one, and what stands for the others.

Five hospitals are read side by side. Of a thousand, some are shown as examples, and all of them by
their median and spread.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from fedmed.report.schema import Partition
from fedmed.task import CLASSES, is_hospital

MANY = 20  # hospitals up to which each is shown
EXAMPLES = 10  # of more than that
SPREAD = (0.025, 0.5, 0.975)


def displayed_models(models: Iterable[str]) -> list[str]:
    """All models; of more than MANY hospitals only EXAMPLES, evenly spaced from first to last.

    Hospitals are numbered by their mix or size where the partition skews it, so that evenly spaced
    ones span it.
    """
    models = list(models)
    hospitals = [model for model in models if is_hospital(model)]
    if len(hospitals) <= MANY:
        return models
    indices = np.linspace(0, len(hospitals) - 1, EXAMPLES).round().astype(int)
    kept = {hospitals[index] for index in indices}
    return [model for model in models if model in kept or not is_hospital(model)]


def displayed_formats(report: Mapping[str, Any]) -> dict[str, Any]:
    """The update formats to tell of: of several that send the very same, the one that was sent.

    Sums in FP64 are rounded by none of them.
    """
    communication = report["communication"]
    formats, sent = communication["formats"], communication["sent"]
    kept = formats[sent]["title"]
    return {n: f for n, f in formats.items() if n == sent or f["title"] != kept}


def spread(scores: Mapping[str, Any], metrics: Iterable[str]) -> dict[str, Any]:
    """The median over hospitals of each metric, and between what 95 % of them lie, as INTERVALs.

    `scores` are METRICS by model.
    """
    hospitals = [scores[model] for model in scores if is_hospital(model)]
    intervals = {}
    for name in metrics:
        values = [hospital[name]["value"] for hospital in hospitals]
        low, middle, high = np.quantile(values, SPREAD).tolist()
        intervals[name] = {"value": middle, "low": low, "high": high}
    return intervals


def note(models: Iterable[str]) -> str:
    """What a reader should know where not every hospital is shown; empty where all are."""
    models = list(models)
    hospitals = sum(map(is_hospital, models))
    if len(displayed_models(models)) == len(models):
        return ""
    return f"Of {hospitals:,} hospitals, {EXAMPLES} are shown, evenly spaced by number."


def one_class_words(partition: Partition) -> str:
    """What a reader should know of a `describe`d split where hospitals lack a class; else empty."""
    images = [hospital["images"] for hospital in partition["hospitals"]]
    lacking = {title: sum(not counts[title] for counts in images) for title in CLASSES}
    return " ".join(
        f"{count:,} of {len(images):,} hospitals hold no {title} X-ray: there are more hospitals "
        "than such patients."
        for title, count in lacking.items()
        if count
    )
