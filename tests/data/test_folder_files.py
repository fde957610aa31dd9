"""Files of a folder of X-rays that cannot be read, are no files, or change while a run is at it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from fedmed import data
from fedmed.data.decoding import UnreadableImages, decode_all
from fedmed.data.folder import read_folder
from fedmed.errors import UserError
from fedmed.uploads import sandbox
from tests.support.image_bytes import with_segments
from tests.support.xrays import write_folder

NAMES = [f"{s}/{c}/a.png" for s in ("train", "test") for c in ("NORMAL", "PNEUMONIA")]
NOT_UTF_8 = os.fsdecode(b"scan\xff.png")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return write_folder(tmp_path / "clinic", NAMES)


def refusal(root: Path) -> str:
    with pytest.raises(UserError) as caught:
        data.load(str(root))
    return str(caught.value)


def test_a_pipe_or_a_device_is_listed_and_not_waited_for(root: Path) -> None:
    os.mkfifo(root / "train/NORMAL/pipe.png")
    (root / "test/NORMAL/endless.png").symlink_to("/dev/zero")
    code = f"from fedmed import data; data.load({str(root)!r})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    told = "test/NORMAL/endless.png, train/NORMAL/pipe.png: cannot be read: it is no regular file"
    assert told in done.stderr


def test_a_changed_picture_is_not_taken_for_the_one_that_was_listed(root: Path) -> None:
    """Its features would be kept under the other's digest, for every run to come."""
    listed = read_folder(root).train
    (root / NAMES[0]).write_bytes((root / NAMES[1]).read_bytes())
    with pytest.raises(UnreadableImages, match=r"train/NORMAL/a\.png: The file was changed"):
        decode_all(listed)


def test_a_file_that_goes_away_is_told(root: Path) -> None:
    listed = read_folder(root).train
    (root / NAMES[0]).unlink()
    with pytest.raises(UserError, match="cannot be read any more: No such file"):
        listed[0].load()


def test_names_that_are_not_utf_8_are_listed(root: Path) -> None:
    for split in ("train", "test"):
        (root / NAMES[0]).rename(root / split / "NORMAL" / NOT_UTF_8)
        write_folder(root, NAMES[:1])
    message = refusal(root)
    message.encode("utf-8")
    names = ", ".join(f"'{split}/NORMAL/scan\\udcff.png'" for split in ("test", "train"))
    assert f"2 files: {names}: not named in UTF-8; rename it" in message


def test_nor_may_the_folder_be_named_so(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    odd = root.rename(root.with_name(os.fsdecode(b"clinic\xff")))
    monkeypatch.chdir(odd)
    for name in (odd, Path(".")):
        message = refusal(name)
        assert "the folder's name is not UTF-8" in message
        message.encode("utf-8")


def test_a_folder_that_may_not_be_read_is_named(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    listing = Path.iterdir

    def refusing(path: Path) -> object:
        if path.name == "PNEUMONIA":
            raise PermissionError(13, "Permission denied", str(path))
        return listing(path)

    monkeypatch.setattr(Path, "iterdir", refusing)
    assert "/PNEUMONIA cannot be read: Permission denied" in refusal(root)


@pytest.mark.parametrize("name", ["x" * 300, "x" * 300 + "/" + "y"])
def test_a_name_no_file_can_have_is_refused(name: str, tmp_path: Path) -> None:
    assert "File name too long" in refusal(tmp_path / name)


def test_nor_is_the_disk_asked_for_an_id_that_long() -> None:
    assert data.is_hub_id(f"owner/{'x' * 300}")


@pytest.mark.slow
def test_a_file_is_decoded_in_the_limits_that_an_upload_has(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("resource", reason="this system has no limits on time")
    monkeypatch.setattr(sandbox, "MAX_SECONDS", 0.3)
    sandbox.stop()
    (root / NAMES[0]).write_bytes(with_segments(b"\xff" * 2**25))
    try:
        with pytest.raises(UnreadableImages, match="takes too long to decode"):
            decode_all(read_folder(root).train)
    finally:
        sandbox.stop()
