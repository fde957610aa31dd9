"""Files made small: nothing is lost that a reading needs, and few are decoded at once."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from fedmed.errors import ImageError
from fedmed.imaging.decode import Decoded
from fedmed.imaging.preprocessing import to_pixels
from fedmed.imaging.tint import COLOURED
from fedmed.uploads import sandbox
from fedmed.uploads.decode import CUT, decode_upload, decode_upload_to_show

GREY = Image.fromarray((np.arange(600 * 900) % 251).astype(np.uint8).reshape(600, 900))


def encoded(picture: Image.Image) -> bytes:
    buffer = BytesIO()
    picture.save(buffer, "PNG")
    return buffer.getvalue()


def test_the_pixels_come_from_the_full_size():
    expected = to_pixels(GREY)
    assert np.array_equal(decode_upload(encoded(GREY)).pixels, expected)
    xray, picture = decode_upload_to_show(encoded(GREY), 300)
    assert np.array_equal(xray.pixels, expected)
    assert picture.size == (300, 200) and picture.mode == "L"
    assert xray.colour == 0
    _, small = decode_upload_to_show(encoded(GREY), 1000)
    assert small.size == GREY.size


def test_what_is_shown_is_what_is_read_without_its_frame():
    screen = Image.new("L", (1400, 700))
    screen.paste(GREY, (250, 50))
    xray, picture = decode_upload_to_show(encoded(screen), 2000)
    assert xray.notes == (CUT,) and picture.size == GREY.size
    assert np.array_equal(xray.pixels, decode_upload(encoded(GREY)).pixels)
    assert decode_upload(encoded(GREY)).notes == ()


def test_colour_is_judged_before_it_is_gone():
    picture = Image.new("RGB", (64, 64), (200, 80, 40))
    picture.paste((40, 80, 200), (0, 0, 64, 20))
    assert decode_upload(encoded(picture)).colour > COLOURED


def test_two_are_decoded_at_once_and_a_bad_one_makes_room(monkeypatch):
    lock, now, most = threading.Lock(), [], []

    def read(data: bytes) -> Decoded:
        with lock:
            now.append(data)
            most.append(len(now))
        time.sleep(0.02)
        with lock:
            now.remove(data)
        if data == b"bad":
            raise ImageError("It is bad.")
        return Decoded(GREY, 0.0)

    monkeypatch.setattr(sandbox, "read", read)
    with ThreadPoolExecutor(8) as callers:
        jobs = [callers.submit(decode_upload, b"bad" if i % 2 else b"good") for i in range(12)]
    for index, job in enumerate(jobs):
        if index % 2:
            with pytest.raises(ImageError):
                job.result()
        else:
            assert job.result().pixels.shape == (224, 224)
    assert max(most) == 2
