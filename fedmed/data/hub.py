"""X-rays from a data set on the Hugging Face Hub, read with the `datasets` library."""

from __future__ import annotations

import hashlib
import sys
from collections import Counter
from pathlib import Path, PurePosixPath
from typing import Any

from PIL import Image

from fedmed.data.assemble import assemble
from fedmed.data.classes import LEFT_OUT, ClassNames, unknown
from fedmed.data.cohort import Cohort
from fedmed.data.listed import Listed
from fedmed.data.patient_option import PatientOption
from fedmed.errors import UserError
from fedmed.hub.client import open_api
from fedmed.hub.failures import HubError, is_away, may_pass, reason
from fedmed.task import CLASSES, DATASET_ID

SPLITS = ("train", "test")
PROBE_SECONDS = 10.0


def read_hub(repo: str, *, patients: str | None = None, classes: str | None = None) -> Cohort:
    """Load the `train` and `test` splits of a data set with `image` and `label` columns.

    `patients` and `classes` are what the options of these names were given. Without a split
    `test` one is drawn.

    Raises:
        UserError: there is no such data set, or it has other splits, columns or classes.
        HubError: the Hub cannot be reached, and the data set was not fetched before.
    """
    option, names = PatientOption(patients), ClassNames(classes)
    loaded = _load(repo)
    if "train" not in loaded:
        raise UserError(f"--data {repo}: no 'train' split, only {', '.join(loaded)}.")
    here = [split for split in SPLITS if split in loaded]
    for split in here:
        _check(repo, split, loaded[split], names)
    listed = [image for split in here for image in _list(repo, split, loaded[split], names)]
    others = [f"{split} ({len(loaded[split]):,} images)" for split in loaded if split not in SPLITS]
    return assemble(
        repo,
        repo,
        option.applied(listed),
        where=f"--data {repo}",
        public=repo == DATASET_ID,
        hub_id=repo,
        notes=[f"Left out: the split {', '.join(others)}."] if others else [],
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


def _check(repo: str, split: str, table: Any, classes: ClassNames) -> None:
    """Refuse other columns, other classes, and rows without an image or a label."""
    import datasets

    names: list[str] = getattr(table.features.get("label"), "names", [])
    image = table.features.get("image")
    strange = [name for name in names if classes.label(name) is None]
    if not isinstance(image, datasets.Image) or not names or strange:
        raise UserError(
            f"--data {repo}: expected the columns 'image' (images) and 'label' (the classes "
            f"{', '.join(CLASSES)}), found {', '.join(table.features)}"
            + (f" with the classes {', '.join(names)}." if names else ".")
            + (f" {strange[0]} {unknown(strange[0])}." if strange else "")
        )
    rows = Counter(_label(names, label, classes) for label in table["label"])
    if rows[None]:
        raise UserError(f"--data {repo}: {rows[None]} images of '{split}' have no label.")
    for label, name in enumerate(CLASSES):
        if not rows[label]:
            raise UserError(f"--data {repo}: '{split}' holds no {name} image.")


def _label(names: list[str], label: int | None, classes: ClassNames) -> int | None:
    # A ClassLabel of -1 stands for a label that is not given.
    return None if label is None or label < 0 else classes.label(names[label])


def _list(repo: str, split: str, table: Any, classes: ClassNames) -> list[Listed]:
    import datasets

    names = table.features["label"].names
    raw = table.cast_column("image", datasets.Image(decode=False))
    listed: list[Listed] = []
    taken: set[str] = set()
    for index, row in enumerate(raw):
        label = classes.label(names[row["label"]])
        if label is None or label == LEFT_OUT:
            continue
        folder = f"{split}/{CLASSES[label]}"
        file = PurePosixPath((row["image"] or {}).get("path") or f"{index:06d}").name
        # Names need not be unique; they must be where they stand for patients.
        name = f"{folder}/{file}" if f"{folder}/{file}" not in taken else f"{folder}/{index}/{file}"
        taken.add(name)
        where = f"--data {repo}: row {index} of '{split}'"
        digest = hashlib.sha256(_encoded(row, where)).hexdigest()
        load = _loader(raw, index, f"--data {repo}: {name}")
        listed.append(Listed(name, label, digest, load, split))
    return listed


def _loader(table: Any, index: int, where: str) -> Any:
    def load() -> Image.Image:
        from fedmed.uploads import sandbox

        return sandbox.read(_encoded(table[index], where)).image

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
