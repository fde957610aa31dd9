"""X-rays from a data set on the Hugging Face Hub, read with the `datasets` library."""

from __future__ import annotations

import hashlib
import sys
from collections import Counter
from pathlib import Path, PurePosixPath
from typing import Any

from PIL import Image

from fedmed.data.cohort import Cohort, Xray
from fedmed.data.patients import key_patients, patient_of
from fedmed.errors import UserError
from fedmed.hub.client import open_api
from fedmed.hub.failures import HubError, is_away, may_pass, reason
from fedmed.task import CLASSES, DATASET, DATASET_ID

SPLITS = ("train", "test")
PROBE_SECONDS = 10.0


def read_hub(repo: str) -> Cohort:
    """Load the `train` and `test` splits of a data set with `image` and `label` columns.

    Raises:
        UserError: there is no such data set, or it has other splits, columns or classes.
        HubError: the Hub cannot be reached, and the data set was not fetched before.
    """
    loaded = _load(repo)
    lacking = [split for split in SPLITS if split not in loaded]
    if lacking:
        raise UserError(f"--data {repo}: no '{lacking[0]}' split, only {', '.join(loaded)}.")
    for split in SPLITS:
        _check(repo, split, loaded[split])
    train, test = (_read_split(repo, split, loaded[split]) for split in SPLITS)
    about = DATASET if repo == DATASET_ID else {"title": repo, "licence": "unknown", "citation": ""}
    return Cohort(
        repo,
        about,
        train,
        test,
        patients_known=all(patient_of(xray.name) for xray in [*train, *test]),
        hub_id=repo,
    )


def _load(repo: str) -> Any:
    """The data set's splits. Where the Hub fails, a copy fetched earlier serves."""
    import datasets

    if not sys.stderr.isatty():
        datasets.disable_progress_bars()
    way_out = "Or give a folder, or 'simulated' which needs no network."
    away = _probe(repo)
    if away is None:
        try:
            return _read(repo, offline=datasets.config.HF_HUB_OFFLINE)
        except Exception as error:  # the library lets through errors of many libraries
            # It may say "no such file" of one that may not be read: the Hub's answer counts.
            if not is_away(error):
                words = f"{type(error).__name__}: {str(error).partition(chr(10))[0]}"
                raise UserError(
                    f"--data {repo} could not be loaded from the Hugging Face Hub: "
                    f"{reason(error, reading=True)}. {way_out}\n({words})"
                ) from error
            away = error
    try:
        return _read(repo, offline=True)
    except Exception as error:
        problem = f"--data {repo}: {reason(away)}, and no copy is here. {way_out}"
        raise HubError(problem) from error


def _read(repo: str, *, offline: bool) -> Any:
    # Unless told, `datasets` would try for minutes to reach a Hub that is away.
    import datasets

    before = datasets.config.HF_HUB_OFFLINE
    datasets.config.HF_HUB_OFFLINE = offline
    try:
        return datasets.load_dataset(repo)
    finally:
        datasets.config.HF_HUB_OFFLINE = before


def _probe(repo: str) -> Exception | None:
    """Why the Hub cannot be asked for the data set; None where it can.

    Raises:
        UserError: the Hub was asked, and does not give it.
    """
    try:
        open_api(None).dataset_info(repo, timeout=PROBE_SECONDS)
    except Exception as error:  # of the client, of httpx2 and of the operating system
        if may_pass(error):
            return error
        raise UserError(f"--data {repo}: {reason(error, reading=True)}.") from error
    return None


def _check(repo: str, split: str, table: Any) -> None:
    """Refuse other columns, other classes, and rows without an image or a label."""
    import datasets

    names: list[str] = getattr(table.features.get("label"), "names", [])
    image = table.features.get("image")
    if not isinstance(image, datasets.Image) or sorted(names) != sorted(CLASSES):
        raise UserError(
            f"--data {repo}: expected the columns 'image' (images) and 'label' (the classes "
            f"{', '.join(CLASSES)}), found {', '.join(table.features)}"
            + (f" with the classes {', '.join(names)}." if names else ".")
        )
    rows = Counter(_class(names, label) for label in table["label"])
    if rows[None]:
        raise UserError(f"--data {repo}: {rows[None]} images of '{split}' have no label.")
    for name in CLASSES:
        if not rows[name]:
            raise UserError(f"--data {repo}: '{split}' holds no {name} image.")


def _class(names: list[str], label: int | None) -> str | None:
    # A ClassLabel of -1 stands for a label that is not given.
    return None if label is None or label < 0 else names[label]


def _read_split(repo: str, split: str, table: Any) -> list[Xray]:
    import datasets

    classes = table.features["label"].names
    raw = table.cast_column("image", datasets.Image(decode=False))
    names: list[str] = []
    digests: list[str] = []
    labels: list[int] = []
    taken: set[str] = set()
    for index, row in enumerate(raw):
        folder = f"{split}/{classes[row['label']]}"
        file = PurePosixPath((row["image"] or {}).get("path") or f"{index:06d}").name
        # Names need not be unique; they must be where they stand for patients.
        name = f"{folder}/{file}" if f"{folder}/{file}" not in taken else f"{folder}/{index}/{file}"
        taken.add(name)
        names.append(name)
        labels.append(CLASSES.index(classes[row["label"]]))
        where = f"--data {repo}: row {index} of '{split}'"
        digests.append(hashlib.sha256(_encoded(row, where)).hexdigest())
    patients = key_patients(names, digests)
    rows = zip(names, labels, patients, digests, strict=True)
    return [
        Xray(name, label, patient, digest, _loader(raw, index, f"--data {repo}: {name}"))
        for index, (name, label, patient, digest) in enumerate(rows)
    ]


def _loader(table: Any, index: int, where: str) -> Any:
    def load() -> Image.Image:
        from fedmed.imaging.decode import decode

        return decode(_encoded(table[index], where))

    return load


def _encoded(row: dict[str, Any], where: str) -> bytes:
    """The image file's bytes; none where there is no image, which no decoder takes.

    Raises:
        UserError: the row names a file that did not come from the Hub.
    """
    image = row["image"] or {"bytes": None, "path": None}
    if image["bytes"] is not None or image["path"] is None:
        return image["bytes"] or b""
    # Whoever wrote the row may name any file here, which would be trained on and published.
    file = _downloaded(image["path"])
    if file is None:
        raise UserError(f"{where} holds no image, but the name of a file that is not from the Hub.")
    return file.read_bytes()


def _downloaded(path: str) -> Path | None:
    """The file, links followed, if it lies where downloads from the Hub are kept."""
    from datasets import config
    from huggingface_hub import constants

    places = (
        constants.HF_HUB_CACHE,
        config.HF_DATASETS_CACHE,
        config.DOWNLOADED_DATASETS_PATH,
        config.EXTRACTED_DATASETS_PATH,
    )
    try:
        file = Path(path).resolve()
        inside = any(file.is_relative_to(Path(p).expanduser().resolve()) for p in places)
        return file if inside and file.is_file() else None
    except (OSError, RuntimeError, ValueError):  # too long, links in a circle, a zero byte
        return None
