"""DICOM radiographs, built in memory, as they are meant to be seen."""

from __future__ import annotations

import io
import random
import subprocess
import sys

import numpy as np
import pytest

pydicom = pytest.importorskip("pydicom")

from pydicom.dataset import Dataset, FileMetaDataset  # noqa: E402
from pydicom.encaps import encapsulate  # noqa: E402
from pydicom.uid import (  # noqa: E402
    DeflatedExplicitVRLittleEndian,
    DigitalXRayImageStorageForPresentation,
    ExplicitVRLittleEndian,
    JPEGBaseline8Bit,
    JPEGLosslessSV1,
    RLELossless,
    generate_uid,
)

from fedmed.imaging.decode import decode  # noqa: E402
from fedmed.imaging.levels import ImageError  # noqa: E402

SIDE = 64
RAMP = np.tile(np.arange(SIDE, dtype=np.uint16) * 65, (SIDE, 1))  # 12 bits: 0..4095
SHOWN = np.rint(RAMP / 4095 * 255).astype(int)


def radiograph(levels: np.ndarray = RAMP, bits: int = 12, **attributes: object) -> Dataset:
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.file_meta.MediaStorageSOPClassUID = DigitalXRayImageStorageForPresentation
    dataset.file_meta.MediaStorageSOPInstanceUID = generate_uid()
    dataset.SOPClassUID = DigitalXRayImageStorageForPresentation
    dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID
    dataset.Rows, dataset.Columns = levels.shape[:2]
    dataset.SamplesPerPixel = 1
    dataset.PhotometricInterpretation = "MONOCHROME2"
    dataset.BitsAllocated = 8 * levels.itemsize
    dataset.BitsStored = bits
    dataset.HighBit = bits - 1
    dataset.PixelRepresentation = int(levels.dtype.kind == "i")
    dataset.PixelData = levels.tobytes()
    for name, value in attributes.items():
        setattr(dataset, name, value)
    return dataset


def saved(dataset: Dataset, **options: bool) -> bytes:
    buffer = io.BytesIO()
    dataset.save_as(buffer, **({"enforce_file_format": True} | options))
    return buffer.getvalue()


def pixels(dataset: Dataset) -> np.ndarray:
    image = decode(saved(dataset))
    assert image.mode == "L"
    return np.asarray(image).astype(int)


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


@pytest.mark.parametrize("width", [0, -5])
def test_an_impossible_window_is_ignored(width: int) -> None:
    assert np.array_equal(pixels(radiograph(WindowCenter=100, WindowWidth=width)), SHOWN)


def test_a_window_of_one_level_is_a_threshold() -> None:
    shown = pixels(radiograph(WindowCenter=2000, WindowWidth=1))
    assert np.array_equal(shown, np.where(RAMP < 2000, 0, 255))


def test_a_voi_lookup_table_is_applied() -> None:
    table = Dataset()
    table.LUTDescriptor = [4096, 0, 16]
    table.LUTData = (65535 - np.arange(4096) * 16).astype(np.uint16).tobytes()
    dataset = radiograph(VOILUTSequence=[table])
    assert np.abs(pixels(dataset) - (255 - SHOWN)).max() <= 1


def test_signed_values_are_read() -> None:
    assert np.array_equal(pixels(radiograph(RAMP.astype(np.int16) - 2048)), SHOWN)


def test_padding_is_black_and_does_not_stretch_the_range() -> None:
    levels = RAMP // 2
    levels[:8] = 4095
    shown = pixels(radiograph(levels, PixelPaddingValue=4095))
    assert np.all(shown[:8] == 0)
    assert shown[8:].max() == 255


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
    dataset.file_meta.TransferSyntaxUID = JPEGBaseline8Bit
    dataset.PixelData = encapsulate([buffer.getvalue()])
    dataset["PixelData"].is_undefined_length = True
    assert np.abs(pixels(dataset) - SHOWN).max() <= 6


def test_a_missing_decoder_is_named() -> None:
    dataset = radiograph()
    dataset.file_meta.TransferSyntaxUID = JPEGLosslessSV1
    dataset.PixelData = encapsulate([b"\xff\xd8\xff\xd9"])
    dataset["PixelData"].is_undefined_length = True
    with pytest.raises(ImageError, match=r"compressed \(JPEG Lossless.*JPEG, PNG or DICOM"):
        decode(saved(dataset))


def test_several_frames_are_refused() -> None:
    with pytest.raises(ImageError, match="several frames"):
        decode(saved(radiograph(np.stack([RAMP, RAMP]).reshape(2 * SIDE, SIDE), NumberOfFrames=2)))


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


def test_a_deflated_file_is_never_inflated() -> None:
    dataset = radiograph()
    dataset.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    with pytest.raises(ImageError, match="deflated"):
        decode(saved(dataset))


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
            assert "JPEG, PNG or DICOM" in str(error)


def test_without_pydicom_the_message_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    data = saved(radiograph())
    monkeypatch.setitem(sys.modules, "pydicom", None)
    with pytest.raises(ImageError, match=r"needs pydicom.*JPEG, PNG or DICOM"):
        decode(data)


def test_pydicom_is_not_imported_for_other_images() -> None:
    code = """
import io, sys
from PIL import Image
from fedmed.imaging import decode
buffer = io.BytesIO()
Image.new("L", (64, 64)).save(buffer, "PNG")
decode(buffer.getvalue())
assert "pydicom" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], check=True)
