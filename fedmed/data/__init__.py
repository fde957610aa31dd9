"""X-rays in: from a folder, from the Hugging Face Hub, or simulated."""

from __future__ import annotations

import os
import re
from pathlib import Path

from fedmed.data.cohort import Cohort, Xray

__all__ = ["Cohort", "Xray", "is_hub_id", "load"]


def load(data: str) -> Cohort:
    """Load `simulated`, a folder, or a data set id on the Hub.

    Raises:
        UserError: it is none of these, or not laid out as expected.
    """
    if data == "simulated":
        from fedmed.data.simulated import simulated_cohort

        return simulated_cohort()
    if is_hub_id(data):
        from fedmed.data.hub import read_hub

        return read_hub(data)
    from fedmed.data.folder import read_folder

    return read_folder(Path(data))


def is_hub_id(data: str) -> bool:
    """Whether this is OWNER/NAME and not a folder that is there."""
    return bool(re.fullmatch(r"\w[\w.-]*/[\w.-]+", data)) and not os.path.exists(data)
