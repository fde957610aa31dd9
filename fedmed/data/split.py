"""A test split of patients, where a data set comes without one."""

from __future__ import annotations

from collections.abc import Sequence

from fedmed.errors import UserError
from fedmed.task import CLASSES

TEST_SHARE = 0.2


def draw_test(
    patients: Sequence[str], labels: Sequence[int], digests: Sequence[str], *, where: str
) -> set[str]:
    """The patients of the test split: a fifth of each class's, at least one.

    Drawn by what their pictures hold, the smallest digests: no seed, name or order of files
    changes who is drawn, and with more patients most of those drawn stay.

    Raises:
        UserError: a class has fewer than three patients, one each to train, validate and test.
    """
    first: dict[str, tuple[str, int]] = {}
    for patient, label, digest in zip(patients, labels, digests, strict=True):
        first[patient] = min(first.get(patient, (digest, label)), (digest, label))
    drawn: set[str] = set()
    for label, title in enumerate(CLASSES):
        order = sorted(p for p, (_, its) in first.items() if its == label)
        order.sort(key=lambda patient: first[patient][0])
        if len(order) < 3:
            raise UserError(
                f"{where}: {len(order)} patients with {title} images are too few to draw a test "
                "split; at least 3 are needed, or a split that is given."
            )
        drawn.update(order[: max(1, round(TEST_SHARE * len(order)))])
    return drawn
