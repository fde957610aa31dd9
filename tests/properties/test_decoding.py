"""Any bytes decode or raise ImageError; whole images come back as they were."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from fedmed.errors import ImageError
from fedmed.imaging.decode import decode, decode_with_colour
from fedmed.imaging.levels import to_8_bits
from tests.support.image_bytes import PICTURE, dicom, saved

SIDES = arrays.array_shapes(min_dims=2, max_dims=2, min_side=32, max_side=40)
GREY = arrays.arrays(np.uint8, SIDES)
WHOLE = {
    "JPEG": saved(PICTURE, "JPEG"),
    "PNG": saved(PICTURE, "PNG"),
    "TIFF": saved(PICTURE, "TIFF", compression="tiff_lzw"),
    "WEBP": saved(PICTURE, "WEBP"),
    "BMP": saved(PICTURE, "BMP"),
    "DICOM": dicom(),
}

pytestmark = pytest.mark.filterwarnings("ignore")


def decodes_or_refuses(data: bytes) -> None:
    try:
        image, colour = decode_with_colour(data)
    except ImageError as error:
        assert str(error).endswith("Accepted: JPEG, PNG, DICOM, TIFF, BMP or WebP.")
        assert not set(str(error)) & set("<>&\n")
    else:
        assert image.mode == "L" and min(image.size) >= 32
        assert 0 <= colour <= 255


@given(st.binary(max_size=400), st.sampled_from(["", *WHOLE]), st.integers(0, 300))
def test_random_bytes_behind_any_head(tail: bytes, kind: str, kept: int) -> None:
    decodes_or_refuses(WHOLE.get(kind, b"")[:kept] + tail)


@pytest.mark.parametrize("kind", WHOLE)
@given(st.data())
def test_a_file_with_bytes_changed_taken_out_and_put_in(kind: str, data: st.DataObject) -> None:
    changed = bytearray(WHOLE[kind])
    for _ in range(data.draw(st.integers(1, 6))):
        place = data.draw(st.integers(0, min(len(changed), 400)))
        removed = data.draw(st.integers(0, 8))
        changed[place : place + removed] = data.draw(st.binary(max_size=8))
    decodes_or_refuses(bytes(changed))


@given(GREY, st.sampled_from(["PNG", "TIFF", "BMP"]))
def test_eight_bits_of_grey_come_back_as_they_were(levels: np.ndarray, kind: str) -> None:
    assert np.array_equal(np.asarray(decode(saved(levels, kind))), levels)


@given(arrays.arrays(np.uint16, SIDES), st.sampled_from(["PNG", "TIFF"]))
def test_sixteen_bits_keep_their_order(levels: np.ndarray, kind: str) -> None:
    shown = np.asarray(decode(saved(levels, kind))).reshape(-1).astype(int)
    order = np.argsort(levels, axis=None, kind="stable")
    assert np.all(np.diff(shown[order]) >= 0)
    if levels.min() < levels.max():
        assert (shown.min(), shown.max()) == (0, 255)


@given(GREY)
def test_dicom_stretches_its_own_range(levels: np.ndarray) -> None:
    rows, columns = levels.shape
    shown = np.asarray(decode(dicom(pixels=levels.tobytes(), rows=rows, columns=columns)))
    assert np.array_equal(shown, to_8_bits(levels))


@settings(max_examples=200)
@given(
    arrays.arrays(st.sampled_from([np.float32, np.float64, np.int32, np.int16, np.uint16]), (4, 5))
)
def test_levels_map_to_8_bits_in_order_and_in_full(levels: np.ndarray) -> None:
    finite = np.isfinite(levels)
    if not finite.any():
        with pytest.raises(ImageError, match="no pixel values"):
            to_8_bits(levels)
        return
    with np.errstate(all="raise", under="ignore"):
        shown = to_8_bits(levels).astype(int)
    values = levels[finite].astype(np.float64)
    assert np.all(np.diff(shown[finite][np.argsort(values, kind="stable")]) >= 0)
    assert np.all(shown[np.isnan(levels)] == 0)
    # The distance between the smallest of floats can be none.
    if values.max() / 2 > values.min() / 2:
        assert (shown[finite].min(), shown[finite].max()) == (0, 255)
    else:
        assert not shown.any()


@given(st.floats(-1e4, 1e4), st.floats(1e-3, 1e4))
def test_a_window_clips_what_lies_outside(low: float, width: float) -> None:
    levels = np.array([[low - 1, low, low + width / 2, low + width, low + width + 1]])
    shown = to_8_bits(levels, low, low + width)[0]
    assert list(shown[[0, 1]]) == [0, 0] and list(shown[[3, 4]]) == [255, 255]
    assert abs(int(shown[2]) - 127.5) <= 1
