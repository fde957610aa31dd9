"""A DICOM radiograph as it is meant to be seen: rescaled, windowed, bright where dense.

pydicom is imported only when a DICOM file arrives; FedMed runs without it.
"""

from __future__ import annotations

from io import BytesIO
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from fedmed.imaging.levels import TOO_LARGE, ImageError, check_dimensions, to_8_bits

DEFLATED = b"1.2.840.10008.1.2.1.99"
RLE = "1.2.840.10008.1.2.5"
GREY = ("MONOCHROME1", "MONOCHROME2")
COLOUR = ("RGB", "YBR_FULL", "YBR_FULL_422", "YBR_ICT", "YBR_RCT")


def recognises(data: bytes) -> bool:
    """Whether these bytes are DICOM, by content: with the preamble or, as old files are, without.

    Without it a file begins with an element of group 2 or 8, and no image format does.
    """
    return data[128:132] == b"DICM" or (data[:2] in (b"\x02\0", b"\x08\0") and data[3:4] == b"\0")


def decode(data: bytes) -> Image.Image:
    """Decode a single-frame DICOM image into mode "L". Raises ImageError."""
    try:
        import pydicom
    except ImportError as error:
        raise ImageError(
            "Reading DICOM needs pydicom, which is not installed (pip install pydicom)."
        ) from error
    # pydicom would inflate the whole data set, however large, before the header can be seen.
    if DEFLATED in data:
        raise ImageError("This DICOM file is deflated, which is not supported.")
    try:
        dataset = pydicom.dcmread(BytesIO(data), force=True)
        _check_header(dataset)
        levels = _levels(dataset)
        grey = _shown(levels, dataset)
    except ImageError:
        raise
    except MemoryError as error:
        raise ImageError(TOO_LARGE) from error
    # pydicom has no common base for what a damaged file makes it raise.
    except Exception as error:
        raise ImageError("The DICOM file is damaged or incomplete.") from error
    return Image.fromarray(grey)


def _check_header(dataset: Any) -> None:
    """Raise ImageError for what can't or should not be decoded."""
    if "PixelData" not in dataset or "Rows" not in dataset or "Columns" not in dataset:
        raise ImageError("This DICOM file holds no image.")
    check_dimensions(int(dataset.Columns), int(dataset.Rows))
    if int(dataset.get("NumberOfFrames") or 1) > 1:
        raise ImageError("This DICOM file holds several frames; a single radiograph is needed.")
    photometric = str(dataset.get("PhotometricInterpretation", ""))
    if photometric not in GREY + COLOUR:
        raise ImageError("This DICOM image is neither greyscale nor RGB.")
    _check_decoder(dataset)


def _check_decoder(dataset: Any) -> None:
    from pydicom.pixels import get_decoder

    if not hasattr(dataset, "file_meta") or "TransferSyntaxUID" not in dataset.file_meta:
        _assume_transfer_syntax(dataset)
    syntax = dataset.file_meta.TransferSyntaxUID
    try:
        available = get_decoder(syntax).is_available
    except NotImplementedError:
        available = False
    if not available:
        # A UID that is not in the dictionary is whatever text the file holds.
        method = syntax.name if syntax.name != syntax else "by an unknown method"
        raise ImageError(
            f"This DICOM image is compressed ({method}) and no decoder for that is installed; "
            "save it uncompressed, or install pylibjpeg with its plugins."
        )
    if syntax == RLE and len(dataset.PixelData) > 1.1 * _uncompressed_bytes(dataset) + 4096:
        raise ImageError("The DICOM file is damaged: more compressed data than pixels.")


def _assume_transfer_syntax(dataset: Any) -> None:
    """A file without its meta header is one of the uncompressed encodings, as pydicom read it."""
    from pydicom.dataset import FileMetaDataset
    from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian

    dataset.file_meta = getattr(dataset, "file_meta", None) or FileMetaDataset()
    implicit, _little_endian = dataset.original_encoding
    dataset.file_meta.TransferSyntaxUID = (
        ImplicitVRLittleEndian if implicit else ExplicitVRLittleEndian
    )


def _uncompressed_bytes(dataset: Any) -> int:
    samples = int(dataset.get("SamplesPerPixel") or 1)
    return int(dataset.Rows) * int(dataset.Columns) * samples * int(dataset.BitsAllocated) // 8


def _levels(dataset: Any) -> NDArray[Any]:
    """Stored values, [rows, columns] or [rows, columns, 3]; colour as RGB."""
    from pydicom.pixels import pixel_array

    return pixel_array(dataset, index=0)


def _shown(levels: NDArray[Any], dataset: Any) -> NDArray[np.uint8]:
    """The DICOM display pipeline down to 8 bits, bright where dense."""
    if levels.ndim == 3:
        bits = int(dataset.get("BitsStored") or 8)
        return np.asarray(Image.fromarray(to_8_bits(levels, 0, 2**bits - 1)).convert("L"))
    from pydicom.pixels import apply_modality_lut

    values = apply_modality_lut(levels, dataset)
    shown = _windowed(values, levels, dataset)
    if dataset.PhotometricInterpretation == "MONOCHROME1":
        shown = 255 - shown
    padding = dataset.get("PixelPaddingValue")
    if isinstance(padding, int):
        shown[levels == padding] = 0
    return shown


def _windowed(values: NDArray[Any], stored: NDArray[Any], dataset: Any) -> NDArray[np.uint8]:
    """Contrast as the file asks: its lookup table, its window, else the range of its pixels."""
    from pydicom.pixels import apply_voi

    if dataset.get("VOILUTSequence"):
        bits = int(dataset.VOILUTSequence[0].LUTDescriptor[2])
        return to_8_bits(apply_voi(values, dataset), 0, 2**bits - 1)
    centre, width = _first(dataset.get("WindowCenter")), _first(dataset.get("WindowWidth"))
    function = str(dataset.get("VOILUTFunction") or "LINEAR")
    if centre is None or width is None or width <= 0:
        padding = dataset.get("PixelPaddingValue")
        inside = values[stored != padding] if isinstance(padding, int) else values
        if inside.size == 0:
            return np.zeros(values.shape, np.uint8)
        return to_8_bits(values, float(inside.min()), float(inside.max()))
    if function == "SIGMOID":
        exponent = np.clip(-4 * (values.astype(np.float32) - centre) / width, -60, 60)
        return to_8_bits(1 / (1 + np.exp(exponent)), 0, 1)
    if function == "LINEAR":
        # PS3.3 C.11.2.1.2: the linear window is half a level off centre, one level narrower.
        centre, width = centre - 0.5, max(width - 1, 1e-3)
    return to_8_bits(values, centre - width / 2, centre + width / 2)


def _first(value: Any) -> float | None:
    """The first of a multi-valued number: a file may offer several windows."""
    from pydicom.multival import MultiValue

    if isinstance(value, MultiValue):
        value = value[0] if len(value) else None
    return None if value is None else float(value)
