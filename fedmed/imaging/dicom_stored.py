"""The stored values of a DICOM image, whatever they are compressed with and padded with."""

from __future__ import annotations

import struct
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fedmed.errors import ImageError
from fedmed.imaging.dicom_values import number

RLE = "1.2.840.10008.1.2.5"
# In this order: OpenJPEG and libjpeg-turbo are newer in their own packages than inside GDCM.
PLUGINS = ("pylibjpeg", "pillow", "gdcm", "pydicom")
# SOF0 to SOF15, without the markers between them that start something else.
_FRAMES = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}
_LOSSLESS_FRAMES = {0xC3, 0xC7, 0xCB, 0xCF}


class _Codestream(NamedTuple):
    """What a JPEG says of itself."""

    lossless: bool
    precision: int  # bits a sample
    rows: int
    columns: int


def check_decoder(dataset: Any) -> None:
    """Raise ImageError unless the pixels can be decoded here."""
    from pydicom.pixels import get_decoder

    syntax = dataset.file_meta.TransferSyntaxUID
    try:
        available = get_decoder(syntax).is_available
    except NotImplementedError:
        available = False
    if not available:
        # A UID that is not in the dictionary is whatever text the file holds.
        method = syntax.name if syntax.name != syntax else "by an unknown method"
        raise ImageError(
            f"This DICOM image is compressed ({method}), which can't be read here; "
            "export it uncompressed, or as a PNG."
        )
    if syntax == RLE and len(dataset.PixelData) > 1.1 * _uncompressed_bytes(dataset) + 4096:
        raise ImageError("The DICOM file is damaged: more compressed data than pixels.")


def stored_values(dataset: Any) -> NDArray[Any]:
    """Stored values [rows, columns], without bits that are no pixels; or RGB [rows, columns, 3].

    The header must be complete (see `dicom`). Bits above BitsStored (overlays, and what a machine
    left there) are cut off, as PS3.5 8.1.1 has it, but not from what was compressed with loss:
    there they are rounding. Raises ImageError, or anything else where the file is damaged.
    """
    from pydicom.uid import HTJ2K, JPEG2000, JPEGLSNearLossless, JPEGTransferSyntaxes

    syntax = dataset.file_meta.TransferSyntaxUID
    if syntax in JPEGTransferSyntaxes:
        levels, lossy = _jpeg_values(dataset)
    else:
        levels, lossy = _decoded(dataset), syntax in (JPEG2000, HTJ2K, JPEGLSNearLossless)
    held, stored = 8 * levels.dtype.itemsize, int(dataset.BitsStored)
    if levels.ndim == 3:
        dataset.BitsStored = min(stored, held)
    elif not lossy:
        return without_unused_bits(levels, dataset)
    elif held == 8 < stored and not _window_fits(dataset, held):
        # A gateway left the contrast that was for as many bits as the header says.
        return np.left_shift(levels, stored - held, dtype=np.int32)
    return levels


def without_unused_bits(levels: NDArray[Any], dataset: Any) -> NDArray[Any]:
    """The BitsStored bits up to HighBit of grey levels, with their sign where they have one."""
    bits, stored = 8 * levels.dtype.itemsize, int(dataset.BitsStored)
    high = int(dataset.HighBit)
    if not stored - 1 <= high < bits:
        high = stored - 1
    if stored >= bits:
        return levels
    levels = np.left_shift(levels, bits - 1 - high)
    return np.right_shift(levels, bits - stored, out=levels)


def _decoded(dataset: Any) -> NDArray[Any]:
    """What the first decoder makes of the pixels that can."""
    from pydicom.pixels import get_decoder

    decoder = get_decoder(dataset.file_meta.TransferSyntaxUID)
    names = [name for name in PLUGINS if name in decoder.available_plugins] or [""]
    for name in names:
        try:
            levels, _ = decoder.as_array(
                dataset, index=0, decoding_plugin=name, correct_unused_bits=False
            )
            return levels.astype(levels.dtype.newbyteorder("="), copy=False)
        except Exception:
            if name == names[-1]:
                raise
    raise AssertionError("unreachable")


def _jpeg_values(dataset: Any) -> tuple[NDArray[Any], bool]:
    """What a JPEG holds by what it says of itself, and whether that is with loss.

    Gateways compress pixels and leave the header as it was. What is not 8 bits is decoded as JPEG
    Lossless, whatever it is: GDCM goes by the JPEG, and pydicom would hand it no 12-bit one under
    the name of JPEG Extended.
    """
    from pydicom.encaps import get_frame
    from pydicom.uid import JPEGBaseline8Bit, JPEGLossless

    found = _codestream(get_frame(dataset.PixelData, 0, number_of_frames=1))
    if (found.rows, found.columns) != (dataset.Rows, dataset.Columns):
        raise ImageError("The DICOM file is damaged: its header and its pixels differ in size.")
    bits, plain = found.precision, found.precision == 8 and not found.lossless
    if bits > dataset.BitsAllocated:
        dataset.BitsStored, dataset.HighBit = bits, bits - 1
    if plain and dataset.BitsStored > 8:  # reduced to what was shown, which has no sign
        dataset.PixelRepresentation = 0
    header = dataset.BitsStored, dataset.HighBit
    # GDCM would cut off bits by where it takes the highest one to be.
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = (
        8 if bits <= 8 else 16,
        bits,
        bits - 1,
    )
    dataset.file_meta.TransferSyntaxUID = JPEGBaseline8Bit if plain else JPEGLossless
    levels = _decoded(dataset)
    dataset.BitsStored, dataset.HighBit = header
    return levels, not found.lossless


def _window_fits(dataset: Any, bits: int) -> bool:
    """Whether there is a window, and one for values of so many bits."""
    centre, width = number(dataset, "WindowCenter"), number(dataset, "WindowWidth")
    return centre is not None and width is not None and centre + width / 2 <= 2 ** (bits + 1)


def _codestream(code: bytes) -> _Codestream:
    """Read a JPEG's first frame header. Raises ImageError where it has none."""
    place = 2
    while place + 10 <= len(code) and code[place] == 0xFF:
        marker = code[place + 1]
        if marker in _FRAMES:
            precision, rows, columns = struct.unpack_from(">BHH", code, place + 4)
            return _Codestream(marker in _LOSSLESS_FRAMES, precision, rows, columns)
        # Any number of 255s may come before a marker.
        place += 1 if marker == 0xFF else 2 + struct.unpack_from(">H", code, place + 2)[0]
    raise ImageError("The DICOM file is damaged: it holds no JPEG where it should.")


def _uncompressed_bytes(dataset: Any) -> int:
    samples = int(dataset.SamplesPerPixel)
    return int(dataset.Rows) * int(dataset.Columns) * samples * int(dataset.BitsAllocated) // 8
