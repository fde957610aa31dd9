"""Which patient an image shows.

In this order, whatever tells it first: `--patients` or a table; the DICOM Patient ID; a file name
of a data set whose names carry the patient; a folder for each patient. What nothing tells of is a
patient of its own. Then pictures that are the same byte for byte show one patient, wherever they
lie and whatever told their patients.

The Kaggle copy of the public data set numbers four groups of patients separately:
`person7_bacteria_24.jpeg` and `person7_virus_12.jpeg` show two children, as do `IM-0007-0001.jpeg`
and `NORMAL2-IM-0007-0001.jpeg`. There a patient is keyed by (kind, number). Keyed by number alone,
170 patients would seem to be in both official splits; keyed properly, none is. `IM-` is read so in
that data set only: DICOM viewers call whatever they export IM-SERIES-IMAGE.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from pathlib import PurePosixPath

from fedmed.data.listed import Listed

TELLERS = {
    "told": "--patients or the table",
    "dicom": "DICOM Patient ID",
    "name": "file names",
    "folder": "folders",
}
LARGEST_FOLDER = 50  # images: one of more is no patient's, but a site's or a kind's
LARGEST_ID = 20  # images: an ID of more, and of half of all that have one, is a placeholder

_PERSON = re.compile(r"person(?P<number>\d+)_(?P<kind>bacteria|virus)(_\d+)+")
_PUBLIC = (_PERSON, re.compile(r"(?P<kind>NORMAL2-IM|IM)-(?P<number>\d+)(-\d+)*"))
_ANYWHERE = {
    "person-{kind}": _PERSON,  # nobody else's files are called so
    # Mendeley v3: disease, "randomized patient ID", number of the image.
    "mendeley": re.compile(r"(NORMAL|BACTERIA|VIRUS)-(?P<number>\d+)-\d{4}"),
    # NIH ChestX-ray14 (Wang et al., CVPR 2017): patient, follow-up.
    "nih": re.compile(r"(?P<number>\d{8})_\d{3}"),
    "sim": re.compile(r"sim-(?P<number>\d+)"),
}


def public_patient(name: str) -> str | None:
    """The key in the Kaggle copy of the public data set, such as `virus-12`, or None."""
    stem = PurePosixPath(name).stem
    for pattern in _PUBLIC:
        if match := pattern.fullmatch(stem):
            return f"{match['kind']}-{int(match['number'])}"
    return None


def named_patient(name: str) -> str | None:
    """The patient that a file's name tells, such as `nih-12`, in any data set; or None."""
    stem = PurePosixPath(name).stem
    for key, pattern in _ANYWHERE.items():
        if match := pattern.fullmatch(stem):
            return f"{key.format(**match.groupdict())}-{int(match['number'])}"
    return None


def key_patients(listed: Sequence[Listed], *, public: bool) -> tuple[list[str], Counter[str]]:
    """Each image's patient, and how many images each of TELLERS (or "nobody") told of.

    A key is told apart by who told it, and ends in `-NUMBER` where the patient has one. A DICOM
    patient's begins with its place in the order of `listed`, so that the pseudonym, which hangs on
    the owner's secret, decides no order.
    """
    folders = Counter((image.label, image.split, image.folder) for image in listed)
    ids = Counter(image.pseudonym for image in listed if image.pseudonym)
    most = max(LARGEST_ID, ids.total() / 2)
    places: dict[str, int] = {}
    keys: list[str] = []
    tellers: list[str] = []
    for image in listed:
        name = public_patient(image.name) if public else None
        name = name or named_patient(image.name)
        few = folders[image.label, image.split, image.folder] <= LARGEST_FOLDER
        if image.told is not None:
            teller, key = "told", f"patient-{image.told}"
        elif image.pseudonym and ids[image.pseudonym] <= most:
            place = places.setdefault(image.pseudonym, len(places))
            teller, key = "dicom", f"dicom:{place:07d}:{image.pseudonym}"
        elif name:
            teller, key = "name", name
        elif image.folder and few:
            teller, key = "folder", f"folder-{image.folder}"
        else:
            teller, key = "nobody", image.name
        keys.append(key)
        tellers.append(teller)
    return _united(keys, tellers, [image.digest for image in listed])


def patient_order(key: str) -> tuple[str, int, str]:
    """Sorting key: patients of one kind in the order of their numbers, others by name."""
    kind, _, number = key.rpartition("-")
    return (kind, int(number), "") if number.isdecimal() and "/" not in kind else ("", -1, key)


def _united(
    keys: Sequence[str], tellers: Sequence[str], digests: Sequence[str]
) -> tuple[list[str], Counter[str]]:
    """Make one patient of all patients that share a picture."""
    rank = {
        key: (teller == "nobody", i)
        for i, (key, teller) in enumerate(zip(keys, tellers, strict=True))
    }
    parent = {key: key for key in keys}

    def root(key: str) -> str:
        while parent[key] != key:
            parent[key] = key = parent[parent[key]]
        return key

    first: dict[str, str] = {}
    for key, digest in zip(keys, digests, strict=True):
        one, other = root(first.setdefault(digest, key)), root(key)
        better, worse = sorted((one, other), key=rank.__getitem__)
        parent[worse] = better
    united = [root(key) for key in keys]
    told = {key for key, teller in zip(keys, tellers, strict=True) if teller != "nobody"}
    who = (
        teller if teller != "nobody" or key not in told else "name"
        for key, teller in zip(united, tellers, strict=True)
    )
    return united, Counter(who)
