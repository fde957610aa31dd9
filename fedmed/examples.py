"""Held-out X-rays put into a snapshot, for visitors to click."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from fedmed.data.cohort import Cohort
from fedmed.facts import CLASSES

LONGEST_SIDE = 1024


def choose(hospital_verdicts: np.ndarray, labels: Sequence[int], count: int) -> list[int]:
    """Pick `count` images, both classes in turn, those that divide the hospitals first.

    `hospital_verdicts` [H, n] are 0 or 1. Half of each class is where most hospitals differ; the
    other half is spread evenly over the rest, so that clear cases are seen as well. How the
    central or the federated model does plays no part.
    """
    votes = hospital_verdicts.sum(axis=0)
    division = np.minimum(votes, len(hospital_verdicts) - votes)
    picked: list[list[int]] = []
    for label in range(len(CLASSES)):
        quota = (count + 1 - label) // 2
        members = np.flatnonzero(np.asarray(labels) == label)
        ranked = members[np.argsort(-division[members], kind="stable")]
        divided, rest = ranked[: quota // 2], np.sort(ranked[quota // 2 :])
        spread = np.linspace(0, len(rest) - 1, min(quota - len(divided), len(rest))).astype(int)
        picked.append([*divided.tolist(), *rest[np.unique(spread)].tolist()])
    return [index for pair in _alternate(*picked) for index in pair]


def write(folder: Path, cohort: Cohort, indices: Sequence[int]) -> None:
    """Write the chosen test X-rays and examples.json; nothing where none are chosen."""
    if not indices:
        return
    folder.mkdir(parents=True)
    entries = []
    for number, index in enumerate(indices, start=1):
        xray = cohort.test[index]
        label = CLASSES[xray.label]
        image = xray.load()
        image.thumbnail((LONGEST_SIDE, LONGEST_SIDE), Image.Resampling.LANCZOS)
        file = f"{number:02d}_{label.lower()}.png"
        image.save(folder / file, optimize=True)
        source = f"{cohort.about['title']}, {xray.name}"
        entries.append(
            {"file": file, "label": label, "source": source, "licence": cohort.about["licence"]}
        )
    text = json.dumps({"examples": entries}, indent=1, ensure_ascii=False)
    (folder / "examples.json").write_text(text + "\n", encoding="utf-8")


def _alternate(first: list[int], second: list[int]) -> list[list[int]]:
    longest = max(len(first), len(second))
    return [[*first[i : i + 1], *second[i : i + 1]] for i in range(longest)]
