"""The X-rays put into a snapshot to click."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fedmed.data.cohort import Cohort, Xray
from fedmed.errors import UserError
from fedmed.imaging.decode import decode
from fedmed.snapshot.examples import CHOSEN, choose, telling, write

LABELS = [0, 1] * 20


def verdicts(divided: dict[int, int]) -> np.ndarray:
    """Five hospitals that agree on PNEUMONIA but for `divided`: image -> how many say NORMAL."""
    out = np.ones((5, len(LABELS)), bool)
    for image, against in divided.items():
        out[:against, image] = False
    return out


@pytest.mark.parametrize("count", [1, 2, 5, 12, 40])
def test_both_classes_in_turn_each_image_once(count: int) -> None:
    chosen = choose(verdicts({}), LABELS, count)
    assert len(chosen) == len(set(chosen)) == count
    assert [LABELS[i] for i in chosen] == [n % 2 for n in range(count)]


def test_half_of_each_class_divides_the_hospitals_however_much() -> None:
    dividing = {6: 2, 10: 3, 14: 1, 18: 1, 7: 2}
    chosen = choose(verdicts(dividing), LABELS, 8)
    normal, ill = chosen[::2], chosen[1::2]
    assert [image in dividing for image in normal] == [True, True, False, False]
    assert normal[:2] == [6, 18]  # evenly spread, not the most divided
    assert [image in dividing for image in ill] == [True, False, False, False]


def test_the_others_are_spread_over_the_rest() -> None:
    normal = [i for i in choose(verdicts({}), LABELS, 20) if LABELS[i] == 0]
    assert min(normal) == 0
    assert max(normal) == 38


def test_one_that_the_federated_model_gets_wrong_is_among_them_where_there_is_one() -> None:
    right = np.array(LABELS)
    plain = choose(verdicts({}), LABELS, 8)
    assert choose(verdicts({}), LABELS, 8, right) == plain
    for missed in set(range(40)) - set(plain):
        wrong = right.copy()
        wrong[missed] = 1 - wrong[missed]
        chosen = choose(verdicts({}), LABELS, 8, wrong)
        assert missed in chosen and len(set(chosen)) == 8
        assert [LABELS[i] for i in chosen] == [LABELS[i] for i in plain]
        assert len(set(chosen) - set(plain)) == 1
    wrong = right.copy()
    wrong[plain[0]] = 1 - wrong[plain[0]]
    assert choose(verdicts({}), LABELS, 8, wrong) == plain
    assert choose(verdicts({}), LABELS, 0, 1 - right) == []


def test_a_hospital_that_says_the_same_of_all_has_no_say() -> None:
    constant, nearly = np.ones(40, bool), np.arange(40) != 7
    right = np.array(LABELS, bool)
    others = np.array([right, ~right])
    assert (telling(np.array([constant, *others, nearly, ~constant])) == others).all()
    few = np.array([constant, right])
    assert (telling(few) == few).all(), "one alone would divide nobody"


def test_none_or_more_than_there_are() -> None:
    assert choose(verdicts({}), LABELS, 0) == []
    assert sorted(choose(verdicts({}), LABELS, 100)) == list(range(40))


def test_one_class_runs_out() -> None:
    labels = [0, 1, 1, 1, 1, 1]
    assert [labels[i] for i in choose(np.ones((3, 6), bool), labels, 6)] == [0, 1, 1, 1]


@pytest.fixture
def cohort() -> Cohort:
    def xray(number: int) -> Xray:
        def load() -> Image.Image:
            image = Image.new("L", (2000, 1000), 40 * number)
            image.info["comment"] = "name of the patient"
            return image

        return Xray(f"test/NORMAL/IM-{number}.jpeg", number % 2, f"IM-{number}", "0" * 64, load)

    about = {"title": "Made up", "licence": "CC BY 4.0", "citation": ""}
    return Cohort("folder", about, [], [xray(n) for n in range(4)], patients_known=True)


def test_they_are_written_with_where_they_come_from(cohort: Cohort, tmp_path: Path) -> None:
    write(tmp_path / "examples", cohort, [2, 1])
    listing = json.loads((tmp_path / "examples" / "examples.json").read_text())
    assert listing["chosen"] == CHOSEN
    assert listing["examples"] == [
        {
            "file": "01_normal.png",
            "label": "NORMAL",
            "source": "Made up, test/NORMAL/IM-2.jpeg",
            "licence": "CC BY 4.0",
        },
        {
            "file": "02_pneumonia.png",
            "label": "PNEUMONIA",
            "source": "Made up, test/NORMAL/IM-1.jpeg",
            "licence": "CC BY 4.0",
        },
    ]
    with Image.open(tmp_path / "examples" / "01_normal.png") as image:
        assert (image.mode, image.size) == ("L", (1024, 512))
        assert image.getpixel((5, 5)) == 80
        assert "comment" not in image.info


@pytest.mark.parametrize("size", [(60, 3000), (3001, 61), (32, 5000), (2000, 1999)])
def test_each_can_be_read_again_however_long_it_is(
    size: tuple[int, int], cohort: Cohort, tmp_path: Path
) -> None:
    long = replace(cohort.test[0], load=lambda: Image.new("L", size))
    write(tmp_path / "examples", replace(cohort, test=[long]), [0])
    image = decode((tmp_path / "examples" / "01_normal.png").read_bytes())
    assert max(image.size) < max(size) or min(size) == min(image.size) == 32


def test_one_that_is_gone_is_named(cohort: Cohort, tmp_path: Path) -> None:
    def gone() -> Image.Image:
        raise UserError("The file cannot be read any more.")

    lost = replace(cohort.test[0], load=gone)
    with pytest.raises(UserError, match=r"test/NORMAL/IM-0\.jpeg: The file cannot be read"):
        write(tmp_path / "examples", replace(cohort, test=[lost]), [0])


def test_none_leave_nothing(cohort: Cohort, tmp_path: Path) -> None:
    write(tmp_path / "examples", cohort, [])
    assert not (tmp_path / "examples").exists()
