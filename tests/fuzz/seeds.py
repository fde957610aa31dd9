"""Small valid files that fuzzing begins from, made afresh for every run."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

SIDE = 32  # the smallest side that is read
RAMP = np.tile(np.arange(SIDE, dtype=np.uint8) * 8, (SIDE, 1))


def fill(corpus: str, seeds: Iterator[tuple[str, bytes]]) -> None:
    """Write each seed to a file of its name, where `corpus` is an empty folder or a new one."""
    folder = Path(corpus)
    if folder.is_file():  # an input to be run again
        return
    folder.mkdir(parents=True, exist_ok=True)
    if not any(folder.iterdir()):
        for name, data in seeds:
            (folder / name).write_bytes(data)


def images() -> Iterator[tuple[str, bytes]]:
    """One file of every kind that takes a way of its own through the decoder."""
    grey = Image.fromarray(RAMP)
    deep = Image.fromarray(RAMP.astype(np.uint16) * 16)
    turned = Image.Exif()
    turned[0x0112] = 6
    yield "grey.jpeg", _saved(grey, "JPEG")
    yield "colour.jpeg", _saved(grey.convert("RGB"), "JPEG", exif=turned)
    yield "cmyk.jpeg", _saved(grey.convert("CMYK"), "JPEG")
    yield "progressive.jpeg", _saved(grey, "JPEG", progressive=True)
    yield "grey.png", _saved(grey, "PNG", exif=turned)
    yield "deep.png", _saved(deep, "PNG")
    yield "bits.png", _saved(grey.convert("1"), "PNG")
    yield "alpha.png", _saved(grey.convert("RGBA"), "PNG")
    yield "palette.png", _saved(grey.convert("P"), "PNG", transparency=3, icc_profile=b"profile")
    yield "animated.png", _saved(grey, "PNG", save_all=True, append_images=[grey.rotate(90)])
    yield "lossy.webp", _saved(grey, "WEBP")
    yield "lossless.webp", _saved(grey, "WEBP", lossless=True, exif=turned)
    yield "animated.webp", _saved(grey, "WEBP", save_all=True, append_images=[grey.rotate(90)])
    yield "grey.bmp", _saved(grey, "BMP")
    yield "palette.bmp", _saved(grey.convert("P"), "BMP")
    yield "deep.tiff", _saved(deep, "TIFF")
    yield "float.tiff", _saved(Image.fromarray(RAMP.astype(np.float32)), "TIFF")
    for compression in ("packbits", "tiff_lzw", "tiff_adobe_deflate", "jpeg", "group4"):
        source = grey.convert("1") if compression == "group4" else grey
        yield f"{compression}.tiff", _saved(source, "TIFF", compression=compression)
    yield "frames.tiff", _saved(grey, "TIFF", save_all=True, append_images=[grey.rotate(90)])
    yield from _radiographs()


def _radiographs() -> Iterator[tuple[str, bytes]]:
    from pydicom.dataset import Dataset, FileMetaDataset
    from pydicom.encaps import encapsulate
    from pydicom.uid import (
        DigitalXRayImageStorageForPresentation,
        ExplicitVRBigEndian,
        ExplicitVRLittleEndian,
        ImplicitVRLittleEndian,
        JPEGBaseline8Bit,
        RLELossless,
    )

    def radiograph(syntax: str = ExplicitVRLittleEndian, **attributes: Any) -> Dataset:
        dataset = Dataset()
        dataset.file_meta = FileMetaDataset()
        dataset.file_meta.TransferSyntaxUID = syntax
        dataset.file_meta.MediaStorageSOPClassUID = DigitalXRayImageStorageForPresentation
        dataset.file_meta.MediaStorageSOPInstanceUID = "1.2.3"
        dataset.Rows = dataset.Columns = SIDE
        dataset.SamplesPerPixel = 1
        dataset.PhotometricInterpretation = "MONOCHROME2"
        dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 16, 12, 11
        dataset.PixelRepresentation = 0
        dataset.PixelData = (RAMP.astype(np.uint16) * 16).tobytes()
        for name, value in attributes.items():
            setattr(dataset, name, value)
        return dataset

    def saved(dataset: Dataset, **options: Any) -> bytes:
        buffer = BytesIO()
        dataset.save_as(buffer, **({"enforce_file_format": True} | options))
        return buffer.getvalue()

    table = Dataset()
    table.LUTDescriptor = [16, 0, 16]
    table.LUTData = np.arange(0, 65536, 4096, dtype=np.uint16).tobytes()
    eight = {"BitsAllocated": 8, "BitsStored": 8, "HighBit": 7}
    yield "plain.dcm", saved(radiograph())
    yield (
        "window.dcm",
        saved(radiograph(WindowCenter=[900, 20], WindowWidth=[800, 9], RescaleSlope=2)),
    )
    yield "sigmoid.dcm", saved(radiograph(WindowCenter=9, WindowWidth=8, VOILUTFunction="SIGMOID"))
    yield "table.dcm", saved(radiograph(VOILUTSequence=[table]))
    yield "inverse.dcm", saved(radiograph(PhotometricInterpretation="MONOCHROME1"))
    yield "padded.dcm", saved(radiograph(PixelPaddingValue=0, PixelRepresentation=1))
    yield "implicit.dcm", saved(radiograph(ImplicitVRLittleEndian))
    yield "big_endian.dcm", saved(radiograph(ExplicitVRBigEndian))
    bare = radiograph()
    del bare.file_meta
    yield (
        "bare.dcm",
        saved(bare, enforce_file_format=False, implicit_vr=True, little_endian=True),
    )
    run_length = radiograph()
    run_length.compress(RLELossless)
    yield "run_length.dcm", saved(run_length)
    jpeg = radiograph(JPEGBaseline8Bit, **eight)
    jpeg.PixelData = encapsulate([_saved(Image.fromarray(RAMP), "JPEG")])
    jpeg["PixelData"].is_undefined_length = True
    yield "jpeg.dcm", saved(jpeg)
    colour = radiograph(
        SamplesPerPixel=3, PlanarConfiguration=0, PhotometricInterpretation="RGB", **eight
    )
    colour.PixelData = np.repeat(RAMP[..., None], 3, axis=2).tobytes()
    yield "colour.dcm", saved(colour)


def _saved(image: Image.Image, format: str, **options: Any) -> bytes:
    buffer = BytesIO()
    image.save(buffer, format, **options)
    return buffer.getvalue()


def snapshot_parts(report: dict[str, Any], config: dict[str, Any]) -> Iterator[tuple[str, bytes]]:
    """Files of a snapshot, each behind the byte that tells `fuzz/snapshot.py` which one it is."""
    import torch
    from safetensors.torch import save

    report = _shortened(copy.deepcopy(report))
    yield "config.json", b"\0" + _json(config)
    yield "evaluation.json", b"\1" + _json(report)
    entry = {"file": "1.png", "label": "NORMAL", "source": "drawn", "licence": "CC0"}
    yield "examples.json", b"\2" + _json({"examples": [entry]})
    yield "head", b"\3" + save({"fc.weight": torch.zeros(2, 512), "fc.bias": torch.zeros(2)})
    yield "backbone", b"\4" + save({"bn1.weight": torch.ones(64)}, {"origin": '{"id": "drawn"}'})
    index = {"metadata": {"origin": "{}"}, "weight_map": {"bn1.weight": "backbone-1.safetensors"}}
    yield "index", b"\5" + _json(index)
    yield "statistics", b"\6" + save({"features.mean": torch.zeros(512)}, {"limit": "{}"})
    for number, value in enumerate(({"fc.bias": torch.zeros(2)}, [1], {"state_dict": {}})):
        buffer = BytesIO()
        torch.save(value, buffer, _use_new_zipfile_serialization=number != 1)
        yield f"original_{number}", b"\7" + buffer.getvalue()


def _shortened(value: Any) -> Any:
    """Lists cut to two elements where they are long: mutations should meet fields, not numbers."""
    if isinstance(value, dict):
        return {name: _shortened(field) for name, field in value.items()}
    if isinstance(value, list):
        return [_shortened(element) for element in (value[:2] if len(value) > 6 else value)]
    return value


def _json(value: Any) -> bytes:
    return json.dumps(value).encode()
