"""A visitor's file is decoded and made small, in turn with those of other visitors.

The largest radiographs have 64 MiB of grey levels, and a prediction needs 50 KiB of them. So few
whole pictures are held at once, and only what is small waits for the backbone. Decoding may take
seconds, so those who send many files wait for one another, and not the others for them.
"""

from __future__ import annotations

from PIL import Image

from fedmed.imaging.decode import Decoded
from fedmed.imaging.frame import without_frame
from fedmed.imaging.preprocessing import DecodedXray, to_pixels
from fedmed.uploads import sandbox
from fedmed.uploads.fair_semaphore import FairSemaphore

CUT = "The plain frame around the film was cut off: neither it nor its text reached the models."
AT_ONCE = 2  # visitors' files that are decoded at once; more wait

_decoding = FairSemaphore(AT_ONCE)


def decode_upload(data: bytes, sender: str = "") -> DecodedXray:
    """Decode an encoded image, as `imaging.decode` does, in the sandbox.

    Files of one `sender` take turns with those of others; waits for its turn.

    Raises:
        ImageError: it can't be read as a radiograph.
    """
    with _decoding.turn(sender):
        return _to_xray(sandbox.read(data))[0]


def decode_upload_to_show(
    data: bytes, longest: int, sender: str = ""
) -> tuple[DecodedXray, Image.Image]:
    """`decode_upload`, with a picture to look at: mode "L", at most `longest` a side.

    Raises:
        ImageError: it can't be read as a radiograph.
    """
    with _decoding.turn(sender):
        xray, image = _to_xray(sandbox.read(data))
        image.thumbnail((longest, longest), Image.Resampling.LANCZOS)
        return xray, image


def _to_xray(upload: Decoded) -> tuple[DecodedXray, Image.Image]:
    """A decoded upload made small, and the part of it that this is of, for nothing else is seen."""
    inside = without_frame(upload.image)
    image = upload.image if inside is None else inside
    return DecodedXray(to_pixels(image), upload.colour, () if inside is None else (CUT,)), image
