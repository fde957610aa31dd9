"""X-rays from a data set on the Hugging Face Hub, read with the `datasets` library."""

from __future__ import annotations

import hashlib
from pathlib import Path, PurePosixPath
from typing import Any

from PIL import Image

from fedmed.data.cohort import Cohort, Xray
from fedmed.data.patients import patient_of
from fedmed.errors import UserError
from fedmed.facts import CLASSES, DATASET, DATASET_ID


def read_hub(repo: str) -> Cohort:
    """Load the `train` and `test` splits of a data set with `image` and `label` columns.

    Raises:
        UserError: the data set cannot be had, or has other columns or classes.
    """
    import datasets

    datasets.disable_progress_bars()
    try:
        loaded = datasets.load_dataset(repo)
    except Exception as error:  # the library lets through errors of many libraries
        raise UserError(
            f"--data {repo}: this data set could not be loaded from the Hugging Face Hub "
            f"({type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}).\n"
            "Check the name and the network; or give a folder, or 'simulated' which needs neither."
        ) from error
    for split in ("train", "test"):
        if split not in loaded:
            raise UserError(f"--data {repo}: no '{split}' split, only {', '.join(loaded)}.")
        _check_columns(repo, loaded[split])
    train, test = (_read_split(split, loaded[split]) for split in ("train", "test"))
    known = any(patient_of(xray.name) for xray in [*train, *test])
    about = DATASET if repo == DATASET_ID else {"title": repo, "licence": "unknown", "citation": ""}
    return Cohort(repo, about, train, test, patients_known=known, hub_id=repo)


def _check_columns(repo: str, split: Any) -> None:
    names = getattr(split.features.get("label"), "names", None)
    if "image" not in split.features or sorted(names or []) != sorted(CLASSES):
        raise UserError(
            f"--data {repo}: expected the columns 'image' and 'label' (classes "
            f"{', '.join(CLASSES)}), found {', '.join(split.features)}"
            + (f" with the classes {', '.join(names)}." if names else ".")
        )


def _read_split(split: str, table: Any) -> list[Xray]:
    import datasets

    names = table.features["label"].names
    raw = table.cast_column("image", datasets.Image(decode=False))
    xrays = []
    for index, row in enumerate(raw):
        label = CLASSES.index(names[row["label"]])
        path = PurePosixPath(row["image"]["path"] or f"{index:06d}").name
        xrays.append(_xray(f"{split}/{CLASSES[label]}/{path}", label, raw, index, row))
    return xrays


def _xray(name: str, label: int, table: Any, index: int, row: dict[str, Any]) -> Xray:
    def load() -> Image.Image:
        from fedmed.imaging import decode

        return decode(_encoded(table[index]))

    digest = hashlib.sha256(_encoded(row)).hexdigest()
    return Xray(name, label, patient_of(name) or name, digest, load)


def _encoded(row: dict[str, Any]) -> bytes:
    image = row["image"]
    if image["bytes"] is not None:
        return image["bytes"]
    return Path(image["path"]).read_bytes()
