"""Where a snapshot may be written, and how it takes the place of another."""

from __future__ import annotations

import errno
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from fedmed.errors import UserError
from fedmed.snapshot.manifest import SnapshotError
from fedmed.snapshot.reader import Snapshot
from fedmed.snapshot.replace import check_output, claim, mend, move_into_place
from tests.support.snapshots import reseal


@pytest.fixture
def folder(snapshot_folder: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(snapshot_folder, tmp_path / "snapshot"))


class TestCheckOutput:
    @pytest.mark.parametrize("name", ["new", "new/below/it", "empty"])
    def test_a_new_or_empty_folder_will_do_and_is_not_made(self, name: str, tmp_path: Path) -> None:
        (tmp_path / "empty").mkdir()
        check_output(tmp_path / name)
        assert [path.name for path in tmp_path.iterdir()] == ["empty"]

    def test_a_snapshot_may_be_replaced(self, folder: Path) -> None:
        check_output(folder)

    def test_a_backbone_may_be_replaced(self, folder: Path) -> None:
        for path in folder.iterdir():
            if not path.name.startswith("backbone"):
                path.unlink()
        check_output(folder)

    @pytest.mark.parametrize("name", ["notes.txt", ".git/HEAD", "examples/mine.png"])
    def test_a_snapshot_with_something_else_in_it_may_not(self, name: str, folder: Path) -> None:
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(b"mine")
        with pytest.raises(UserError, match="would be replaced") as caught:
            check_output(folder)
        assert name in str(caught.value)

    @pytest.mark.parametrize("content", ["{}", '{"name": "my-app"}', "[]", ""])
    def test_a_folder_with_a_config_of_its_own_may_not(self, content: str, tmp_path: Path) -> None:
        (tmp_path / "config.json").write_text(content)
        with pytest.raises(UserError, match=r"it holds config\.json"):
            check_output(tmp_path)

    def test_a_file_a_link_and_no_name_may_not(
        self, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (tmp_path / "file").write_bytes(b"")
        (tmp_path / "link").symlink_to(folder)
        monkeypatch.chdir(tmp_path)
        for name, message in (
            ("file", "is a file"),
            ("file/below", "cannot be written"),
            ("link", "is a link"),
            (".", "give the folder a name"),
            ("snapshot/..", "give the folder a name"),
        ):
            with pytest.raises(UserError, match=message) as caught:
                check_output(Path(name))
            assert "--output" in str(caught.value)

    def test_a_name_that_is_too_long_or_not_utf_8_may_not(self, tmp_path: Path) -> None:
        check_output(tmp_path / ("x" * 200))
        with pytest.raises(UserError, match=r"--output .* is too long"):
            check_output(tmp_path / ("x" * 250))
        with pytest.raises(UserError, match=r"--output '.*\\udcff': the name is not UTF-8"):
            check_output(tmp_path / os.fsdecode(b"\xff"))

    def test_a_mounted_disk_may_not(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(os.path, "ismount", lambda path: Path(path) == folder)
        with pytest.raises(UserError, match="mounted disk"):
            check_output(folder)

    def test_a_link_to_a_folder_is_somebody_s(self, folder: Path, tmp_path: Path) -> None:
        (tmp_path / "data").mkdir()
        (folder / "data").symlink_to(tmp_path / "data")
        with pytest.raises(UserError, match="it holds data"):
            check_output(folder)

    @pytest.mark.parametrize("content", ["[" * 99_999, '{"files": ' + "[" * 99_999])
    def test_a_configuration_that_is_none_may_not(self, content: str, tmp_path: Path) -> None:
        (tmp_path / "config.json").write_text(content)
        with pytest.raises(UserError, match=r"it holds config\.json"):
            check_output(tmp_path)


class TestClaim:
    def test_one_run_at_a_time_and_nothing_is_left(self, tmp_path: Path) -> None:
        output = tmp_path / "new" / "below" / "it"
        for _ in range(2):
            with (
                claim(output),
                pytest.raises(UserError, match=r"--output .* another run is writing there"),
                claim(output),
            ):
                pass
            assert list(tmp_path.iterdir()) == []

    def test_another_process_counts_and_a_killed_one_does_not(self, tmp_path: Path) -> None:
        code = f"""
import sys
from pathlib import Path
from fedmed.snapshot.replace import claim
with claim(Path({str(tmp_path / "snapshot")!r})):
    print("claimed", flush=True)
    sys.stdin.read()
"""
        other = subprocess.Popen(
            [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert other.stdout is not None
        assert other.stdout.readline() == "claimed\n"
        with pytest.raises(UserError, match="another run"), claim(tmp_path / "snapshot"):
            pass
        other.kill()
        other.communicate()
        with claim(tmp_path / "snapshot"):
            pass
        assert list(tmp_path.iterdir()) == []

    def test_another_output_beside_it_is_free(self, tmp_path: Path) -> None:
        with claim(tmp_path / "one"), claim(tmp_path / "two"):
            pass

    def test_an_old_snapshot_that_cannot_be_removed_is_named(
        self, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Found out after the training, it would be too late."""
        (tmp_path / ".snapshot.fedmed-retired" / "examples").mkdir(parents=True)
        monkeypatch.setattr(shutil, "rmtree", lambda *_, **__: None)
        with (
            pytest.raises(UserError, match=r"fedmed-retired is what .* cannot be removed"),
            claim(folder),
        ):
            pass
        assert Snapshot.open(folder).config["seed"] == 42

    def test_a_place_that_cannot_be_written_is_told(self, tmp_path: Path) -> None:
        (tmp_path / "file").write_bytes(b"")
        with (
            pytest.raises(UserError, match=r"--output .* cannot be written"),
            claim(tmp_path / "file" / "snapshot"),
        ):
            pass


class TestMoveIntoPlace:
    @pytest.fixture
    def aside(self, snapshot_folder: Path, tmp_path: Path) -> Path:
        aside = Path(shutil.copytree(snapshot_folder, tmp_path / "run.partial" / "snapshot"))
        reseal(aside, seed=7)
        return aside

    @staticmethod
    def left(tmp_path: Path) -> list[str]:
        return sorted(path.name for path in tmp_path.iterdir())

    def test_the_new_one_replaces_the_old_whole(
        self, aside: Path, folder: Path, tmp_path: Path
    ) -> None:
        (folder / "examples").mkdir()
        (folder / "examples" / "stale.png").write_bytes(b"")
        reseal(folder)
        move_into_place(aside, folder)
        assert Snapshot.open(folder).config["seed"] == 7
        assert not (folder / "examples").exists()
        assert self.left(tmp_path) == ["run.partial", "snapshot"]

    def test_where_there_was_none(self, aside: Path, tmp_path: Path) -> None:
        move_into_place(aside, tmp_path / "new")
        assert Snapshot.open(tmp_path / "new").config["seed"] == 7

    def test_a_bad_new_one_leaves_the_old(self, aside: Path, folder: Path, tmp_path: Path) -> None:
        (aside / "federated_model.safetensors").write_bytes(b"")
        with pytest.raises(SnapshotError):
            move_into_place(aside, folder)
        assert Snapshot.open(folder).config["seed"] == 42
        assert self.left(tmp_path) == ["run.partial", "snapshot"]

    def test_what_was_put_there_meanwhile_is_kept(
        self, aside: Path, folder: Path, tmp_path: Path
    ) -> None:
        (folder / "notes.txt").write_bytes(b"mine")
        with pytest.raises(UserError, match=r"it holds notes\.txt(.|\n)*--resume"):
            move_into_place(aside, folder)
        assert Snapshot.open(folder).config["seed"] == 42
        assert self.left(tmp_path) == ["run.partial", "snapshot"]

    @pytest.fixture
    def killed(self, aside: Path, folder: Path) -> Path:
        """An output whose old snapshot was moved away as its run was killed."""
        code = f"""
import os, signal
from pathlib import Path
from fedmed.snapshot.replace import move_into_place
rename = Path.rename
def dying(path, target):
    if path == Path({str(aside)!r}):
        os.kill(os.getpid(), signal.SIGKILL)
    return rename(path, target)
Path.rename = dying
move_into_place(Path({str(aside)!r}), Path({str(folder)!r}))
"""
        done = subprocess.run([sys.executable, "-c", code])
        assert done.returncode == -signal.SIGKILL
        assert not folder.exists()
        return folder

    def test_killed_between_the_two_renames_the_next_run_puts_the_old_one_back(
        self, killed: Path, tmp_path: Path
    ) -> None:
        with claim(killed):
            assert Snapshot.open(killed).config["seed"] == 42
        assert self.left(tmp_path) == ["run.partial", "snapshot"]

    def test_so_does_whoever_reads_it(self, killed: Path, tmp_path: Path) -> None:
        mend(killed)
        assert Snapshot.open(killed).config["seed"] == 42
        assert self.left(tmp_path) == ["run.partial", "snapshot"]

    def test_a_reader_leaves_alone_what_a_run_is_at_and_what_is_whole(
        self, folder: Path, tmp_path: Path
    ) -> None:
        retired = tmp_path / ".snapshot.fedmed-retired"
        with claim(folder):
            folder.rename(retired)
            mend(folder)
            assert retired.is_dir() and not folder.exists()
            shutil.copytree(retired, folder)
            mend(folder)
            assert retired.is_dir()
        mend(tmp_path / "none")
        mend(tmp_path / ("long" * 99))

    @pytest.mark.parametrize("error", [OSError("device busy"), KeyboardInterrupt()])
    def test_stopped_in_between_the_old_one_is_put_back(
        self,
        error: BaseException,
        aside: Path,
        folder: Path,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        rename = Path.rename

        def failing(path: Path, target: Path) -> Path:
            if path == aside:
                raise error
            return rename(path, target)

        monkeypatch.setattr(Path, "rename", failing)
        with pytest.raises(type(error)):
            move_into_place(aside, folder)
        assert Snapshot.open(folder).config["seed"] == 42
        assert self.left(tmp_path) == ["run.partial", "snapshot"]

    def test_a_neighbour_of_any_name_is_safe(
        self, aside: Path, folder: Path, tmp_path: Path
    ) -> None:
        (tmp_path / "snapshot.old").mkdir()
        (tmp_path / "snapshot.old" / "mine").write_bytes(b"")
        move_into_place(aside, folder)
        assert (tmp_path / "snapshot.old" / "mine").exists()

    def test_all_is_on_the_disk_before_a_name_changes(
        self, aside: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Or a power cut could leave the new names and nothing under them."""
        written = {path.stat().st_ino for path in [aside, *aside.rglob("*")]}
        synced: set[int] = set()
        rename, fsync = Path.rename, os.fsync

        def renamed(path: Path, target: Path) -> Path:
            assert synced == written
            return rename(path, target)

        def synchronised(file: int) -> None:
            synced.add(os.fstat(file).st_ino)
            fsync(file)

        monkeypatch.setattr(Path, "rename", renamed)
        monkeypatch.setattr(os, "fsync", synchronised)
        move_into_place(aside, folder)
        assert not aside.exists()

    def test_a_file_that_the_disk_does_not_take_leaves_the_old_snapshot(
        self, aside: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (folder / "evaluation.json").write_text("the old one")

        def full(file: int) -> None:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        monkeypatch.setattr(os, "fsync", full)
        with pytest.raises(OSError, match=os.strerror(errno.ENOSPC)):
            move_into_place(aside, folder)
        assert (folder / "evaluation.json").read_text() == "the old one"
