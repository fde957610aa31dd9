"""List the licences of what is installed: `make licences` writes docs/licences.md.

What counts is each package's own metadata, as installed on Linux by requirements.lock.
"""

from __future__ import annotations

import re
from importlib.metadata import PackageMetadata, PackageNotFoundError, metadata
from pathlib import Path

REPOSITORY = Path(__file__).parent.parent
LISTED = REPOSITORY / "docs" / "licences.md"
HEAD = """# Licences of what `make app` installs

From the metadata of the packages in [requirements.lock](../requirements.lock), as installed on
Linux: `make licences`. What is used elsewhere only, or to run the tests only, is not listed.

python-gdcm brings GDCM itself (BSD-3-Clause) and copies of what that is built on: CharLS, OpenJPEG,
expat, zlib, the Independent JPEG Group's library and OpenSSL 1.1, all permissive. It decodes what
pylibjpeg-libjpeg would, which is left out because it is under the GPL-3.0: whoever hands on an
environment or an image of the Space with it would have to meet that licence for the whole.

| package | version | licence |
| --- | --- | --- |
"""


def main() -> None:
    LISTED.write_text(table(), encoding="utf-8")


def table() -> str:
    """The page, a row for each package of the lock that is installed."""
    text = (REPOSITORY / "requirements.lock").read_text(encoding="utf-8")
    rows = []
    for name in sorted(set(re.findall(r"^([\w.-]+)==", text, re.MULTILINE))):
        try:
            found = metadata(name)
        except PackageNotFoundError:  # for another Python or another system
            continue
        rows.append(f"| {name} | {found['Version']} | {licence(found)} |\n")
    return HEAD + "".join(rows)


def licence(found: PackageMetadata) -> str:
    """An SPDX expression where there is one, else the classifiers, else the first line of text."""
    if expression := found.get("License-Expression"):
        return str(expression)
    classified = [
        one.rpartition(" :: ")[2]
        for one in found.get_all("Classifier") or []
        if one.startswith("License :: ") and one != "License :: OSI Approved"
    ]
    words = (found.get("License") or "not stated").strip().splitlines()[0]
    return ", ".join(classified) or words[:60]


if __name__ == "__main__":
    main()
