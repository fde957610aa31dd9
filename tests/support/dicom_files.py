"""DICOM radiographs, built in memory."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import DigitalXRayImageStorageForPresentation, ExplicitVRLittleEndian, generate_uid

from fedmed.imaging.decode import decode

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


def pixels(dataset: Dataset | bytes) -> np.ndarray:
    image = decode(dataset if isinstance(dataset, bytes) else saved(dataset))
    assert image.mode == "L"
    return np.asarray(image).astype(int)


def table(
    entries: Sequence[int] | np.ndarray | bytes,
    bits: int,
    first: int = 0,
    count: int | None = None,
    kind: str = "US",
) -> list[Dataset]:
    """A lookup table sequence; `count` is how many entries it says, `kind` the first value's VR."""
    item = Dataset()
    said = len(entries) if count is None else count
    item.add_new("LUTDescriptor", kind, [said % 2**16, first, bits])
    if isinstance(entries, bytes):
        item.add_new("LUTData", "OW", entries)
    else:
        item.add_new("LUTData", "US", [int(entry) for entry in entries])
    return [item]


def around(dataset: Dataset, code: bytes, syntax: str) -> Dataset:
    """The same file with its pixels compressed."""
    dataset.file_meta.TransferSyntaxUID = syntax
    dataset.PixelData = encapsulate([code])
    dataset["PixelData"].VR = "OB"
    dataset["PixelData"].is_undefined_length = True
    return dataset


def compressed(dataset: Dataset, kind: int, folder: Path) -> bytes:
    """A file as GDCM compresses it; `kind` is one of gdcm.TransferSyntax."""
    import gdcm

    (folder / "plain.dcm").write_bytes(saved(dataset))
    reader = gdcm.ImageReader()
    reader.SetFileName(str(folder / "plain.dcm"))
    assert reader.Read()
    change = gdcm.ImageChangeTransferSyntax()
    change.SetTransferSyntax(gdcm.TransferSyntax(kind))
    change.SetInput(reader.GetImage())
    assert change.Change()
    writer = gdcm.ImageWriter()
    writer.SetFileName(str(folder / "compressed.dcm"))
    writer.SetFile(reader.GetFile())
    writer.SetImage(change.GetOutput())
    assert writer.Write()
    return (folder / "compressed.dcm").read_bytes()
