"""Each X-ray of a run is read once."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from fedmed.data.cohort import Xray
from fedmed.data.decoding import UnreadableImages
from fedmed.data.pixels import Pixels
from fedmed.errors import ImageError


@pytest.fixture
def read() -> list[int]:
    return []


def xray(number: int, read: list[int]) -> Xray:
    def load() -> Image.Image:
        read.append(number)
        if number == 13:
            raise ImageError("The file is empty.")
        return Image.new("L", (300, 200), number)

    return Xray(f"train/NORMAL/{number}.png", 0, f"p{number}", f"{number:064x}", load)


def test_what_was_read_is_not_read_again(read: list[int]) -> None:
    pixels = Pixels()
    first = [xray(number, read) for number in range(6)]
    assert pixels(first).shape == (6, 224, 224)
    again = pixels([first[4], first[1], xray(9, read), first[4]])
    assert again[:, 0, 0].tolist() == [4, 1, 9, 4]
    assert sorted(read) == [0, 1, 2, 3, 4, 5, 9]
    assert again.dtype == np.uint8 and pixels([]).shape == (0, 224, 224)


def test_what_could_not_be_read_is_not_taken_for_read(read: list[int]) -> None:
    pixels = Pixels()
    for _ in range(2):
        with pytest.raises(UnreadableImages):
            pixels([xray(1, read), xray(13, read)])
