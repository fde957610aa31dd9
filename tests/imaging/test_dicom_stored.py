"""Bits that are no pixels, and every compression that hospitals send."""

from __future__ import annotations

import base64
import io
import struct
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("pydicom")
gdcm = pytest.importorskip("gdcm")

import pydicom  # noqa: E402
from pydicom.encaps import encapsulate, get_frame  # noqa: E402
from pydicom.uid import (  # noqa: E402
    HTJ2K,
    JPEG2000,
    HTJ2KLossless,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLosslessSV1,
    RLELossless,
)

from fedmed.errors import ImageError  # noqa: E402
from fedmed.uploads import sandbox  # noqa: E402
from tests.support.dicom_files import (  # noqa: E402
    RAMP,
    SHOWN,
    around,
    compressed,
    pixels,
    radiograph,
    saved,
)
from tests.support.image_bytes import segment  # noqa: E402

SIGNED = RAMP.astype(np.int16) - 2048
CHEQUERS = np.indices(RAMP.shape).sum(0).astype(np.uint16) % 16 << 12  # in the four unused bits
EIGHT = (RAMP // 16).astype(np.uint8)
LOSSLESS = {
    "JPEG Lossless (.57)": gdcm.TransferSyntax.JPEGLosslessProcess14,
    "JPEG Lossless, first order (.70)": gdcm.TransferSyntax.JPEGLosslessProcess14_1,
    "JPEG-LS (.80)": gdcm.TransferSyntax.JPEGLSLossless,
    "JPEG 2000 (.90)": gdcm.TransferSyntax.JPEG2000Lossless,
}
# `RAMP` as OpenJPH encodes it, reversibly: no package here encodes high-throughput JPEG 2000.
RAMP_HTJ2K = base64.b85decode(
    "|4;u>04YEK0000$0000$00000000000000$0000$0000000000009pH0sl|{2mk^A000XAQUDA90ssL31q1{@0smY8"
    "6Cj9?kdTm&kdTm&kdTmwh=~7W02crOPjF>!N>E53R%LP^FfKASE;BCwkN^q*00000qW}T_lfVEg0RMmgf7{yI+5&;J"
    "0KfnffJi~g0|ImazyK9MqKG1jD5`RTbpXHs7Kl)wK!E}U3KS^k%6fWo0(bzx02b&XA|fIpA|fIpA|fIpA|fLB{|b6~"
    "dU|?#ae{pSzyL1D00000000000000000000000000000000000{=fVRdU|?#dU|?#dU|?#dU|mJb^-s{"
)


def jpeg(levels: np.ndarray, **options: object) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(levels).save(buffer, "JPEG", quality=95, **options)
    return buffer.getvalue()


def jpeg_2000(levels: np.ndarray, **options: object) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(levels).save(buffer, "JPEG2000", no_jp2=True, **options)
    return buffer.getvalue()


@pytest.mark.parametrize("high", [11, 12, 13, 15])
def test_the_high_bit_may_lie_anywhere(high: int) -> None:
    for levels in (RAMP, SIGNED):
        moved = levels << (high - 11)
        assert np.array_equal(pixels(radiograph(moved, HighBit=high)), SHOWN)


@pytest.mark.parametrize("high", [0, 7, 16, 200])
def test_a_high_bit_that_cannot_be_is_ignored(high: int) -> None:
    assert np.array_equal(pixels(radiograph(HighBit=high)), SHOWN)


def test_more_bits_stored_than_there_are_is_all_of_them() -> None:
    assert np.array_equal(pixels(radiograph(EIGHT, 12)), np.rint(EIGHT / 255 * 255))


def test_bits_above_those_stored_are_no_pixels() -> None:
    overlaid = RAMP | CHEQUERS
    plain = radiograph(overlaid)
    run_lengths = radiograph(overlaid)
    run_lengths.compress(RLELossless)
    wavelets = around(radiograph(), jpeg_2000(overlaid, irreversible=False), JPEG2000Lossless)
    for dataset in (plain, run_lengths, wavelets):
        assert np.array_equal(pixels(dataset), SHOWN)
    signed = (SIGNED.view(np.uint16) & 0xFFF | CHEQUERS).view(np.int16)
    assert np.array_equal(pixels(radiograph(signed)), SHOWN)


@pytest.mark.parametrize("kind", LOSSLESS.values(), ids=LOSSLESS)
@pytest.mark.parametrize(
    ("levels", "bits"), [(RAMP, 12), (SIGNED, 12), (RAMP * 16, 16), (RAMP // 4, 10)]
)
def test_lossless_compression_is_undone_bit_for_bit(kind, levels, bits, tmp_path: Path) -> None:
    data = compressed(radiograph(levels, bits), kind, tmp_path)
    assert np.array_equal(pixels(data), pixels(radiograph(levels, bits)))


def test_twelve_bit_jpeg_is_decoded(tmp_path: Path) -> None:
    data = compressed(radiograph(), gdcm.TransferSyntax.JPEGExtendedProcess2_4, tmp_path)
    assert pydicom.dcmread(io.BytesIO(data)).file_meta.TransferSyntaxUID == JPEGExtended12Bit
    shown = pixels(data)
    assert np.abs(shown - SHOWN).max() <= 2
    assert np.unique(shown).size > 50


@pytest.mark.parametrize("syntax", [HTJ2KLossless, HTJ2K])
def test_high_throughput_jpeg_2000_is_decoded(syntax: str) -> None:
    assert np.array_equal(pixels(around(radiograph(), RAMP_HTJ2K, syntax)), SHOWN)


def test_a_jpeg_2000_tile_that_goes_to_the_end_may_be_padded() -> None:
    code = jpeg_2000(RAMP, irreversible=False)
    tile = code.index(b"\xff\x90")  # its length is 0 if it goes to the end
    code = code[: tile + 6] + bytes(4) + code[tile + 10 :]
    if len(code) % 2 == 0:  # a comment makes it odd, so that a zero byte has to follow
        code = code[:tile] + b"\xff\x64\x00\x05\x00\x01x" + code[tile:]
    assert np.array_equal(pixels(around(radiograph(), code, JPEG2000Lossless)), SHOWN)


def test_what_rounding_puts_above_the_stored_bits_is_not_wrapped_to_black() -> None:
    levels = np.where(CHEQUERS >> 12 < 8, 4095, 200).astype(np.uint16)
    code = jpeg_2000(levels, irreversible=True, quality_mode="rates", quality_layers=[6])
    window = {"WindowCenter": 2048, "WindowWidth": 4096}
    shown = pixels(around(radiograph(levels, **window), code, JPEG2000))
    assert np.abs(shown - levels / 4095 * 255).mean() < 25
    assert np.percentile(shown[levels == 4095], 2) > 150


@pytest.mark.parametrize("bits", [8, 12, 16])
@pytest.mark.parametrize("syntax", [JPEGBaseline8Bit, JPEGExtended12Bit, JPEGLosslessSV1])
def test_a_jpeg_is_what_it_says_of_itself(bits: int, syntax: str) -> None:
    for options in ({}, {"progressive": True}):
        dataset = around(radiograph(RAMP, bits), jpeg(EIGHT, **options), syntax)
        assert np.abs(pixels(dataset) - SHOWN).max() <= 6


def test_a_lossless_jpeg_under_the_name_of_another_is_decoded(tmp_path: Path) -> None:
    data = compressed(radiograph(), gdcm.TransferSyntax.JPEGLosslessProcess14_1, tmp_path)
    renamed = data.replace(JPEGLosslessSV1.encode(), JPEGBaseline8Bit.encode())
    assert renamed != data
    assert np.array_equal(pixels(renamed), SHOWN)


def test_eight_bits_under_a_window_for_twelve_are_shown_as_that_window_meant() -> None:
    stale = radiograph(WindowCenter=1024, WindowWidth=2048)
    shown = pixels(around(stale, jpeg(EIGHT), JPEGBaseline8Bit))
    assert np.abs(shown - np.minimum(RAMP / 2047, 1) * 255).max() <= 10
    adapted = radiograph(WindowCenter=64, WindowWidth=128)
    shown = pixels(around(adapted, jpeg(EIGHT), JPEGBaseline8Bit))
    assert np.abs(shown - np.minimum(EIGHT / 127, 1) * 255).max() <= 10


def test_a_jpeg_reduced_from_signed_levels_has_no_sign() -> None:
    shown = pixels(around(radiograph(SIGNED), jpeg(EIGHT), JPEGBaseline8Bit))
    assert np.abs(shown - SHOWN).max() <= 6


def test_a_jpeg_in_several_fragments_is_put_together() -> None:
    dataset = around(radiograph(EIGHT, 8), jpeg(EIGHT), JPEGBaseline8Bit)
    dataset.PixelData = encapsulate([jpeg(EIGHT)], fragments_per_frame=3)
    assert np.abs(pixels(dataset) - SHOWN).max() <= 6


def test_a_jpeg_of_another_size_than_its_header_s_is_damaged() -> None:
    with pytest.raises(ImageError, match="header and its pixels differ in size"):
        pixels(around(radiograph(), jpeg(EIGHT[:40]), JPEGBaseline8Bit))


@pytest.mark.parametrize(
    "code", [b"\0\0", b"\xff\xd8\xff\xd9", b"\xff\xd8" + b"\xff" * 99, bytes(99)]
)
def test_what_holds_no_jpeg_is_damaged(code: bytes) -> None:
    with pytest.raises(ImageError, match="damaged"):
        pixels(around(radiograph(), code, JPEGLosslessSV1))


@pytest.mark.parametrize("kind", LOSSLESS.values(), ids=LOSSLESS)
@pytest.mark.parametrize("kept", [0.3, 0.9])
def test_half_a_film_is_damaged_and_never_shown(kind, kept: float, tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 4096, RAMP.shape).astype(np.uint16)
    dataset = pydicom.dcmread(io.BytesIO(compressed(radiograph(noise), kind, tmp_path)))
    code = get_frame(dataset.PixelData, 0, number_of_frames=1)
    dataset.PixelData = encapsulate([code[: int(len(code) * kept)]])
    with pytest.raises(ImageError, match="damaged"):
        pixels(saved(dataset))


@pytest.mark.parametrize(("rows", "says"), [(65_535, "differ in size"), (64, "damaged")])
def test_a_lossless_jpeg_that_ends_before_it_begins_is_refused(rows: int, says: str) -> None:
    frame = segment(0xC3, struct.pack(">BHHBBBB", 12, rows, 64, 1, 1, 0x11, 0))
    code = b"\xff\xd8" + frame + segment(0xDA, bytes([1, 1, 0, 1, 0, 0])) + b"\xff\xd9"
    with pytest.raises(ImageError, match=says):
        sandbox.read(saved(around(radiograph(), code, JPEGLosslessSV1)))


@pytest.mark.slow
def test_the_largest_films_are_decoded_in_the_sandbox_s_limits(tmp_path: Path) -> None:
    film = np.tile(RAMP, (66, 66))  # 18 megapixels, as mammographs have
    for kind in LOSSLESS.values():
        upload = sandbox.read(compressed(radiograph(film), kind, tmp_path))
        assert np.array_equal(np.asarray(upload.image)[:64, :64], SHOWN)
