"""A visitor's file is decoded and made small, in turn with those of other visitors.

The largest radiographs have 64 MiB of grey levels, and a prediction needs 50 KiB of them. So few
whole pictures are held at once, and only what is small waits for the backbone. Decoding may take
seconds, so those who send many files wait for one another, and not the others for them.
"""

from __future__ import annotations

from PIL import Image

from fedmed.imaging.preprocessing import DecodedXray, to_pixels
from fedmed.uploads import sandbox
from fedmed.uploads.fair_semaphore import FairSemaphore

AT_ONCE = 2  # visitors' files that are decoded at once; more wait

_decoding = FairSemaphore(AT_ONCE)


def decode_upload(data: bytes, sender: str = "") -> DecodedXray:
    """Decode an encoded image, as `imaging.decode` does, in the sandbox.

    Files of one `sender` take turns with those of others; waits for its turn.

    Raises:
        ImageError: it can't be read as a radiograph.
    """
    with _decoding.turn(sender):
        return _to_xray(sandbox.read(data))


def decode_upload_to_show(
    data: bytes, longest: int, sender: str = ""
) -> tuple[DecodedXray, Image.Image]:
    """`decode_upload`, with a picture to look at: mode "L", at most `longest` a side.

    Raises:
        ImageError: it can't be read as a radiograph.
    """
    with _decoding.turn(sender):
        upload = sandbox.read(data)
        xray = _to_xray(upload)
        upload.image.thumbnail((longest, longest), Image.Resampling.LANCZOS)
        return xray, upload.image


def _to_xray(upload: sandbox.DecodedUpload) -> DecodedXray:
    return DecodedXray(to_pixels(upload.image), upload.colour)
