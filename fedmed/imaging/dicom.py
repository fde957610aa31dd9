"""A DICOM radiograph as it is meant to be seen: rescaled, windowed, bright where dense.

pydicom is imported only when a DICOM file arrives; FedMed runs without it.
"""

from __future__ import annotations

import re
from io import BytesIO
from typing import Any

from numpy.typing import NDArray
from PIL import Image

from fedmed.errors import ImageError
from fedmed.imaging import tint
from fedmed.imaging.dicom_display import displayed
from fedmed.imaging.dicom_stored import check_decoder, stored_values
from fedmed.imaging.dicom_values import number
from fedmed.imaging.levels import TOO_LARGE, check_dimensions, to_8_bits

# The element Transfer Syntax UID (its tag, VR and length come before it) of a deflated file.
DEFLATED = re.compile(rb"\x02\x00\x10\x00.{4,8}1\.2\.840\.10008\.1\.2\.1\.99", re.DOTALL)
GREY = ("MONOCHROME1", "MONOCHROME2")
COLOUR = ("RGB", "YBR_FULL", "YBR_FULL_422", "YBR_ICT", "YBR_RCT")
BITS_ALLOCATED = (1, 8, 16, 32)


def recognises(data: bytes) -> bool:
    """Whether these bytes are DICOM, by content: with the preamble or, as old files are, without.

    Without it a file begins with an element of group 2 or 8, and no image format does.
    """
    return data[128:132] == b"DICM" or (data[:2] in (b"\x02\0", b"\x08\0") and data[3:4] == b"\0")


def decode(data: bytes) -> tuple[Image.Image, float]:
    """A single-frame DICOM image in mode "L", and its `tint.colourfulness`. Raises ImageError."""
    try:
        import pydicom
    except ImportError as error:
        raise ImageError(
            "Reading DICOM needs pydicom, which is not installed here; save the film as a PNG."
        ) from error
    # pydicom would inflate the whole data set, however large, before the header can be seen.
    if DEFLATED.search(data):
        raise ImageError(
            "This DICOM file is deflated, which can't be read here; export it uncompressed."
        )
    try:
        dataset = pydicom.dcmread(BytesIO(data), force=True)
        _check_header(dataset)
        levels = stored_values(dataset)
        if levels.ndim == 3:
            return tint.to_grey(_rgb(levels, dataset))
        return Image.fromarray(displayed(levels, dataset)), 0.0
    except ImageError:
        raise
    except MemoryError as error:
        raise ImageError(TOO_LARGE) from error
    # pydicom has no common base for what a damaged file makes it raise.
    except Exception as error:
        raise ImageError("The DICOM file is damaged or incomplete.") from error


def _check_header(dataset: Any) -> None:
    """Raise ImageError for what can't or should not be decoded; complete what is only left out."""
    from pydicom.uid import UID

    if "PixelData" not in dataset or "Rows" not in dataset or "Columns" not in dataset:
        raise ImageError("This DICOM file holds no image.")
    check_dimensions(int(dataset.Columns), int(dataset.Rows))
    if (number(dataset, "NumberOfFrames") or 1) > 1:
        raise ImageError("This DICOM file holds several frames; a single radiograph is needed.")
    dataset.NumberOfFrames = 1
    _complete_photometric(dataset)
    _complete_bits(dataset)
    if not getattr(dataset, "file_meta", {}).get("TransferSyntaxUID"):
        _assume_transfer_syntax(dataset)
    dataset.file_meta.TransferSyntaxUID = UID(dataset.file_meta.TransferSyntaxUID)
    check_decoder(dataset)


def _complete_photometric(dataset: Any) -> None:
    """Spell Photometric Interpretation as the standard does, and count its samples."""
    said = str(dataset.get("PhotometricInterpretation") or "")
    if not said.strip(" \0"):
        raise ImageError(
            "This DICOM file does not say whether dense is bright or dark (its Photometric "
            "Interpretation is missing); save the film as a PNG."
        )
    known = {_letters(name): name for name in GREY + COLOUR}
    photometric = known.get(_letters(said))
    if photometric is None:
        raise ImageError("This DICOM image is neither greyscale nor RGB.")
    samples = 1 if photometric in GREY else 3
    if dataset.get("SamplesPerPixel") not in (samples, None):
        raise ImageError("This DICOM file contradicts itself on whether it is greyscale or RGB.")
    dataset.PhotometricInterpretation = photometric
    dataset.SamplesPerPixel = samples
    if dataset.get("PlanarConfiguration") is None:
        dataset.PlanarConfiguration = 0


def _letters(name: str) -> str:
    return re.sub("[^A-Z0-9]", "", name.upper())


def _complete_bits(dataset: Any) -> None:
    """Take for granted what most files say of their bits where one says nothing, or nonsense."""
    allocated = dataset.get("BitsAllocated")
    if allocated not in BITS_ALLOCATED:
        raise ImageError(
            f"This DICOM image has {allocated or 'an unknown number of'} bits a pixel, "
            "which can't be read here; save the film as a PNG."
        )
    stored = dataset.get("BitsStored") or allocated
    dataset.BitsStored = min(stored, allocated)
    high = dataset.get("HighBit")
    dataset.HighBit = dataset.BitsStored - 1 if high is None else high
    dataset.PixelRepresentation = 1 if dataset.get("PixelRepresentation") == 1 else 0


def _assume_transfer_syntax(dataset: Any) -> None:
    """A file without its meta header is one of the uncompressed encodings, as pydicom read it."""
    from pydicom.dataset import FileMetaDataset
    from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

    dataset.file_meta = getattr(dataset, "file_meta", None) or FileMetaDataset()
    implicit, little_endian = dataset.original_encoding
    explicit = ExplicitVRLittleEndian if little_endian else ExplicitVRBigEndian
    dataset.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian if implicit else explicit


def _rgb(levels: NDArray[Any], dataset: Any) -> Image.Image:
    """RGB [rows, columns, 3] of whatever bits as a picture of 8."""
    bits = int(dataset.BitsStored)
    return Image.fromarray(to_8_bits(levels, 0, 2**bits - 1))
