"""Listed images to a cohort: whose data, which patient, which split, and what should be said."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from fedmed.data.cohort import Cohort, Xray
from fedmed.data.listed import Listed
from fedmed.data.patients import TELLERS, key_patients, named_patient
from fedmed.data.public_dataset import SHARE, is_public
from fedmed.data.split import draw_test
from fedmed.task import DATASET, SIMULATED

OFFICIAL = "the official test split"
GIVEN = "the data set's own test split"
DRAWN = "a fifth of the patients of each class, drawn by what their images hold"


def assemble(
    source: str,
    title: str,
    listed: Sequence[Listed],
    *,
    where: str,
    public: bool = False,
    hub_id: str | None = None,
    notes: Sequence[str] = (),
) -> Cohort:
    """A cohort of images of which all have a split, or none has one of "test".

    `public` says that the source is known to be the public data set; otherwise what it holds
    tells. `title` is used where nothing better is known; `where` begins messages.

    Raises:
        UserError: a split has to be drawn and there are too few patients.
    """
    public = public or is_public(listed)
    simulated = not public and _simulated(listed)
    patients, tellers = key_patients(listed, public=public)
    said = [*notes]
    in_test = [image.split == "test" for image in listed]
    description = OFFICIAL if public else GIVEN
    if not any(in_test):
        labels, digests = [x.label for x in listed], [x.digest for x in listed]
        drawn = draw_test(patients, labels, digests, where=where)
        in_test = [patient in drawn for patient in patients]
        description = DRAWN
        said.append(
            f"No test split is given: {len(drawn):,} of {len(set(patients)):,} patients "
            f"({sum(in_test):,} images) are one, drawn by what their images hold; it is the same "
            "in every run."
        )
    said.append(_who(tellers, patients))
    xrays = [
        Xray(image.name, image.label, patient, image.digest, image.load)
        for image, patient in zip(listed, patients, strict=True)
    ]
    unknown = {"title": title, "licence": "unknown", "citation": ""}
    return Cohort(
        source,
        DATASET if public else SIMULATED if simulated else unknown,
        [xray for xray, test in zip(xrays, in_test, strict=True) if not test],
        [xray for xray, test in zip(xrays, in_test, strict=True) if test],
        patients_known=not tellers["nobody"],
        simulated=simulated,
        hub_id=hub_id,
        public=public,
        test_split=description,
        patients_told_by=dict(tellers),
        notes=tuple(said),
    )


def _simulated(listed: Sequence[Listed]) -> bool:
    alike = sum((named_patient(image.name) or "").startswith("sim-") for image in listed)
    return alike >= SHARE * len(listed)


def _who(tellers: Counter[str], patients: Sequence[str]) -> str:
    """One line: how patients are told, and whether any image tells none."""
    images, nobody = tellers.total(), tellers["nobody"]
    way_out = "--patients can say how patients are told."
    if nobody == images:
        return (
            f"Every image counts as its own patient ({images:,}): neither file names, folders nor "
            f"a DICOM Patient ID tell whom they show. {way_out}"
        )
    known = [words for teller, words in TELLERS.items() if tellers[teller]]
    line = f"{len(set(patients)):,} patients, told by {' and '.join(known)}."
    if nobody:
        line += f" {nobody:,} of {images:,} images tell none and count as their own. {way_out}"
    return line
