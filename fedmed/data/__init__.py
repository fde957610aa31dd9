"""X-rays in: from a folder, from the Hugging Face Hub, or simulated."""

from __future__ import annotations

import os
import re
from pathlib import Path

from fedmed.data.cohort import Cohort, Xray

__all__ = ["Cohort", "Xray", "is_hub_id", "load"]


def load(
    data: str,
    *,
    patients: str | None = None,
    classes: str | None = None,
    allow_overlap: bool = False,
) -> Cohort:
    """Load `simulated`, a folder (or the CSV in it), or a data set id on the Hub.

    `patients`, `classes` and `allow_overlap` are train.py's options of these names.

    Raises:
        UserError: it is none of these, or not laid out as expected; or a picture is under both
            labels, or in train and test, and that is not allowed.
    """
    if data == "simulated":
        from fedmed.data.simulated import simulated_cohort

        return simulated_cohort()
    if is_hub_id(data):
        from fedmed.data.hub import read_hub

        cohort = read_hub(data, patients=patients, classes=classes)
    else:
        from fedmed.data.folder import read_folder

        cohort = read_folder(Path(data), patients=patients, classes=classes)
    if not allow_overlap:
        from fedmed.data.overlap import refuse

        refuse(cohort, f"--data {data}")
    return cohort


def is_hub_id(data: str) -> bool:
    """Whether this is OWNER/NAME and not a folder that is there."""
    return bool(re.fullmatch(r"\w[\w.-]*/[\w.-]+", data)) and not os.path.exists(data)
