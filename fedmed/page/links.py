"""Where to read on: the code, the papers, the data, the models' repository."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

CODE = "https://github.com/fedmed/fedmed"
PAPERS = f"{CODE}/blob/main/docs/papers.md"
HUB = "https://huggingface.co"
NAME = r"\w[\w.-]*/\w[\w.-]*"
REPOSITORY = re.compile(NAME, re.ASCII)
PUBLISHED = re.compile(rf"({NAME})@([0-9a-f]{{7,40}})", re.ASCII)
DOI = re.compile(r"doi:(10\.\d{4,9}/[\w.()/-]+\w)", re.ASCII)


class Link(NamedTuple):
    """A page elsewhere."""

    title: str
    href: str


def links(label: str, report: Mapping[str, Any] | None) -> list[Link]:
    """The links of a snapshot of some label: what is not known to be there is left out."""
    found = [Link("Code", CODE), Link("Methods and papers", PAPERS)]
    data = report["data"] if report else {}
    hub_id, doi = data.get("hub_id"), DOI.search(data.get("citation", ""))
    if isinstance(hub_id, str) and REPOSITORY.fullmatch(hub_id):
        found.append(Link("Data", f"{HUB}/datasets/{hub_id}"))
    elif doi:
        found.append(Link("Data", f"https://doi.org/{doi[1]}"))
    if published := PUBLISHED.fullmatch(label):
        found.append(Link("Models", f"{HUB}/{published[1]}/tree/{published[2]}"))
    return found
