"""Held-out X-rays put into a snapshot, for visitors to click."""

from __future__ import annotations

import json
from collections.abc import Sequence
from math import ceil
from pathlib import Path

import numpy as np
from PIL import Image

from fedmed.data.cohort import Cohort
from fedmed.errors import UserError
from fedmed.imaging.levels import MIN_SIDE
from fedmed.task import CLASSES

LONGEST_SIDE = 1024
SAME_OF_ALL = 0.95  # of the images: a hospital that calls so many the same tells nothing of them


CHOSEN = (
    "Of the test split, as many of each class: half divide the hospitals, half do not, spread "
    "evenly over those there are; where there is one that the federated model gets wrong, one is "
    "among them."
)


def choose(
    hospital_verdicts: np.ndarray,
    labels: Sequence[int],
    count: int,
    federated: np.ndarray | None = None,
) -> list[int]:
    """Pick `count` images, both classes in turn: half divide the hospitals, half do not.

    `hospital_verdicts` [H, n] are 0 or 1, and so are those of the federated model, `federated` [n].
    Of each class both halves are spread evenly over the images they may come from. An image that
    the federated model gets wrong takes the last one's place where none is among them; how the
    models do plays no other part.
    """
    alike = (hospital_verdicts == hospital_verdicts[:1]).all(axis=0)
    picked: list[list[int]] = []
    for label in range(len(CLASSES)):
        quota = (count + 1 - label) // 2
        members = np.asarray(labels) == label
        divided, agreed = np.flatnonzero(members & ~alike), np.flatnonzero(members & alike)
        chosen = [*_spread(divided, quota // 2)]
        chosen += _spread(agreed, quota - len(chosen))
        chosen += _spread(np.setdiff1d(divided, chosen), quota - len(chosen))
        picked.append(chosen)
    if federated is not None:
        _admit(picked, np.flatnonzero(federated != np.asarray(labels)), labels)
    return [index for pair in _alternate(*picked) for index in pair]


def telling(hospital_verdicts: np.ndarray) -> np.ndarray:
    """Return the verdicts [H, n] of hospitals whose answer depends on the image.

    With one that says the same of nearly all, all would agree on images of one class only where
    the others are wrong. Where fewer than two are left, all are returned.
    """
    share = np.asarray(hospital_verdicts, dtype=float).mean(axis=1)
    kept = np.maximum(share, 1 - share) < SAME_OF_ALL
    return hospital_verdicts[kept] if kept.sum() > 1 else hospital_verdicts


def _admit(picked: list[list[int]], wrong: np.ndarray, labels: Sequence[int]) -> None:
    """Put the middle one of `wrong` among the picked of its class, if none is picked."""
    if not len(wrong) or set(wrong.tolist()) & {*picked[0], *picked[1]}:
        return
    for image in (int(wrong[len(wrong) // 2]), *wrong.tolist()):
        if picked[labels[image]]:
            picked[labels[image]][-1] = image
            return


def _spread(members: np.ndarray, count: int) -> list[int]:
    """`count` of them, evenly spaced, or all there are."""
    places = np.linspace(0, len(members) - 1, min(count, len(members)))
    return members[places.astype(int)].tolist()


def write(folder: Path, cohort: Cohort, indices: Sequence[int]) -> None:
    """Write the chosen test X-rays and examples.json; nothing where none are chosen.

    Raises:
        UserError: the file of one is gone or changed.
    """
    if not indices:
        return
    folder.mkdir(parents=True)
    entries = []
    for number, index in enumerate(indices, start=1):
        xray = cohort.test[index]
        label = CLASSES[xray.label]
        try:
            image = xray.load()
        except UserError as error:
            raise UserError(f"{xray.name}: {error}") from error
        # Smaller, the short side of a very long film would be below what `decode` takes.
        longest = max(LONGEST_SIDE, ceil(MIN_SIDE * max(image.size) / min(image.size)))
        image.thumbnail((longest, longest), Image.Resampling.LANCZOS)
        file = f"{number:02d}_{label.lower()}.png"
        image.save(folder / file, optimize=True)
        source = f"{cohort.about['title']}, {xray.name}"
        entries.append(
            {"file": file, "label": label, "source": source, "licence": cohort.about["licence"]}
        )
    text = json.dumps({"chosen": CHOSEN, "examples": entries}, indent=1, ensure_ascii=False)
    (folder / "examples.json").write_text(text + "\n", encoding="utf-8")


def _alternate(first: list[int], second: list[int]) -> list[list[int]]:
    longest = max(len(first), len(second))
    return [[*first[i : i + 1], *second[i : i + 1]] for i in range(longest)]
