"""DICOM radiographs, built in memory, as they are meant to be seen."""

from __future__ import annotations

import io
import random
import subprocess
import sys

import numpy as np
import pytest

pydicom = pytest.importorskip("pydicom")

# What names and numbers are out of order here, pydicom warns of.
pytestmark = pytest.mark.filterwarnings("ignore:Invalid value for VR")

from pydicom.uid import (  # noqa: E402
    MPEG2MPML,
    DeflatedExplicitVRLittleEndian,
    JPEGBaseline8Bit,
    RLELossless,
)

from fedmed.errors import ImageError  # noqa: E402
from fedmed.imaging.decode import decode  # noqa: E402
from tests.support.dicom_files import RAMP, SHOWN, around, pixels, radiograph, saved  # noqa: E402


def test_without_a_window_the_image_s_own_range_is_shown() -> None:
    assert np.array_equal(pixels(radiograph()), SHOWN)
    assert np.array_equal(pixels(radiograph(RAMP // 4)), np.rint(RAMP // 4 / 1023 * 255))


def test_monochrome1_is_inverted() -> None:
    shown = pixels(radiograph(PhotometricInterpretation="MONOCHROME1"))
    assert np.array_equal(shown, 255 - SHOWN)


def test_the_window_is_applied_after_slope_and_intercept() -> None:
    # Rescaled -1000..7190; the window from 1000 to 3000 holds a quarter of the ramp.
    shown = pixels(
        radiograph(RescaleSlope=2, RescaleIntercept=-1000, WindowCenter=2000.5, WindowWidth=2001)
    )
    rescaled = RAMP.astype(float) * 2 - 1000
    assert np.abs(shown - np.clip((rescaled - 1000) / 2000 * 255, 0, 255)).max() <= 1
    assert shown[0, 0] == 0 and shown[0, -1] == 255


def test_the_first_of_several_windows_is_used() -> None:
    several = pixels(radiograph(WindowCenter=[1000, 3000], WindowWidth=[800, 100]))
    assert np.array_equal(several, pixels(radiograph(WindowCenter=1000, WindowWidth=800)))


@pytest.mark.parametrize("function", ["LINEAR", "LINEAR_EXACT", "SIGMOID"])
def test_our_window_agrees_with_pydicom_s(function: str) -> None:
    from pydicom.pixels import apply_windowing

    dataset = radiograph(WindowCenter=1800, WindowWidth=1500, VOILUTFunction=function)
    theirs = apply_windowing(RAMP, dataset) / 4095 * 255
    assert np.abs(pixels(dataset) - theirs).max() <= 1


def test_signed_values_are_read() -> None:
    assert np.array_equal(pixels(radiograph(RAMP.astype(np.int16) - 2048)), SHOWN)


def test_rgb_becomes_grey() -> None:
    colour = np.repeat((RAMP // 17).astype(np.uint8)[..., None], 3, axis=2)
    dataset = radiograph(
        colour, 8, SamplesPerPixel=3, PhotometricInterpretation="RGB", PlanarConfiguration=0
    )
    assert np.array_equal(pixels(dataset), RAMP // 17)


def test_a_file_without_preamble_and_meta_header_is_recognised() -> None:
    dataset = radiograph()
    del dataset.file_meta
    bare = saved(dataset, enforce_file_format=False, implicit_vr=True, little_endian=True)
    assert bare[:2] == b"\x08\0"
    assert np.array_equal(np.asarray(decode(bare)), SHOWN)


def test_rle_is_decoded() -> None:
    dataset = radiograph()
    dataset.compress(RLELossless)
    assert np.array_equal(pixels(dataset), SHOWN)


def test_rle_that_holds_more_than_its_pixels_is_not_expanded() -> None:
    dataset = radiograph()
    dataset.compress(RLELossless)
    dataset.PixelData += bytes(16 * RAMP.nbytes)
    with pytest.raises(ImageError, match="more compressed data than pixels"):
        decode(saved(dataset))


def test_jpeg_inside_dicom_is_decoded() -> None:
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray((RAMP // 17).astype(np.uint8)).save(buffer, "JPEG", quality=95)
    dataset = radiograph((RAMP // 17).astype(np.uint8), 8)
    dataset = around(dataset, buffer.getvalue(), JPEGBaseline8Bit)
    assert np.abs(pixels(dataset) - SHOWN).max() <= 6


def test_a_missing_decoder_is_named() -> None:
    dataset = around(radiograph(), b"\0\0\1\xb3", MPEG2MPML)
    with pytest.raises(
        ImageError, match=r"compressed \(MPEG2.*export it.*JPEG, PNG, DICOM, TIFF, BMP or WebP"
    ):
        decode(saved(dataset))


def test_several_frames_are_refused() -> None:
    with pytest.raises(ImageError, match="several frames"):
        decode(saved(radiograph(np.concatenate([RAMP, RAMP]), Rows=len(RAMP), NumberOfFrames=2)))


def test_no_image_inside_is_said() -> None:
    dataset = radiograph()
    del dataset.PixelData
    with pytest.raises(ImageError, match="holds no image"):
        decode(saved(dataset))


def test_palette_colour_is_refused() -> None:
    with pytest.raises(ImageError, match="neither greyscale nor RGB"):
        decode(saved(radiograph(PhotometricInterpretation="PALETTE COLOR")))


def test_dimensions_are_judged_before_pixels() -> None:
    with pytest.raises(ImageError, match="20000 x 20000 pixels; the limit"):
        decode(saved(radiograph(Rows=20_000, Columns=20_000)))
    with pytest.raises(ImageError, match="each side needs at least 32"):
        decode(saved(radiograph(Rows=8, Columns=8)))


def test_a_deflated_file_is_never_inflated(monkeypatch: pytest.MonkeyPatch) -> None:
    dataset = radiograph()
    dataset.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    data = saved(dataset)
    monkeypatch.setattr(pydicom, "dcmread", None)
    with pytest.raises(ImageError, match=r"deflated.*export it"):
        decode(data)


@pytest.mark.parametrize("where", ["ImageComments", "StudyDescription", "SeriesInstanceUID"])
def test_a_file_that_only_names_the_deflated_syntax_is_read(where: str) -> None:
    assert np.array_equal(pixels(radiograph(**{where: DeflatedExplicitVRLittleEndian})), SHOWN)


@pytest.mark.parametrize("name", ["monochrome2", "Monochrome 2", " MONOCHROME_2"])
def test_photometric_names_are_known_however_they_are_spelt(name: str) -> None:
    assert np.array_equal(pixels(radiograph(PhotometricInterpretation=name)), SHOWN)
    turned = pixels(radiograph(PhotometricInterpretation=name.replace("2", "1")))
    assert np.array_equal(turned, 255 - SHOWN)


@pytest.mark.parametrize("name", ["", None])
def test_without_a_photometric_interpretation_that_is_said(name: str | None) -> None:
    """It could be a negative."""
    with pytest.raises(ImageError, match="whether dense is bright or dark"):
        decode(saved(radiograph(PhotometricInterpretation=name)))


def test_a_greyscale_file_of_three_samples_contradicts_itself() -> None:
    with pytest.raises(ImageError, match="contradicts itself"):
        decode(saved(radiograph(SamplesPerPixel=3)))


@pytest.mark.parametrize(
    "attribute", ["SamplesPerPixel", "BitsStored", "HighBit", "PixelRepresentation"]
)
def test_what_is_left_out_of_the_header_is_taken_for_granted(attribute: str) -> None:
    assert np.array_equal(pixels(radiograph(**{attribute: None})), SHOWN)


@pytest.mark.parametrize("frames", [b"1.0 ", b"0   ", b"abcd", b"    "])
def test_a_number_of_frames_that_is_no_number_is_one(frames: bytes) -> None:
    data = saved(radiograph(NumberOfFrames="7777")).replace(b"7777", frames)
    assert np.array_equal(pixels(data), SHOWN)


def test_bits_that_nobody_writes_are_named_and_not_called_damage() -> None:
    with pytest.raises(ImageError, match="has 12 bits a pixel"):
        decode(saved(radiograph(BitsAllocated=12)))


@pytest.mark.filterwarnings("ignore")
def test_truncated_and_damaged_files_raise_nothing_but_image_error() -> None:
    sound = saved(radiograph(WindowCenter=2000, WindowWidth=3000))
    for kept in (133, 200, 400, len(sound) // 2, len(sound) - 1):
        with pytest.raises(ImageError):
            decode(sound[:kept])
    rng = random.Random(0)
    for _ in range(200):
        data = bytearray(sound)
        for _ in range(4):
            data[rng.randrange(600)] = rng.randrange(256)
        try:
            assert decode(bytes(data)).mode == "L"
        except ImageError as error:
            assert "JPEG, PNG, DICOM, TIFF, BMP or WebP" in str(error)


def test_without_pydicom_the_message_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    data = saved(radiograph())
    monkeypatch.setitem(sys.modules, "pydicom", None)
    with pytest.raises(
        ImageError, match=r"needs pydicom.*as a PNG.*JPEG, PNG, DICOM, TIFF, BMP or WebP"
    ):
        decode(data)


def test_pydicom_is_not_imported_for_other_images() -> None:
    code = """
import io, sys
from PIL import Image
from fedmed.imaging.decode import decode
buffer = io.BytesIO()
Image.new("L", (64, 64)).save(buffer, "PNG")
decode(buffer.getvalue())
assert "pydicom" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], check=True)
