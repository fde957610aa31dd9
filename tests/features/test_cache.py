"""The feature cache: never stale, never half written, shared safely, kept small."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

from fedmed.backbones.backbone import Backbone
from fedmed.errors import UserError
from fedmed.features import cache as features_cache
from fedmed.features.cache import FeatureCache, default_root
from fedmed.imaging.augmentation import CLEAN, View

DAY = 86_400
VIEW = View("flip-rotate", 1, 42)


def backbone(name: str = "a", engine: str = "torch FP32 cpu") -> Backbone:
    """All of a backbone that the cache looks at."""
    sha256 = hashlib.sha256(name.encode()).hexdigest()
    return cast(
        Backbone, SimpleNamespace(sha256=sha256, engine=SimpleNamespace(id=engine), width=512)
    )


def digests(count: int, first: int = 0) -> list[str]:
    return [f"{number:064x}" for number in range(first, first + count)]


def features(count: int, first: int = 0) -> np.ndarray:
    return np.arange(first, first + count, dtype=np.float32)[:, None] + np.linspace(
        0, 0.5, 512, dtype=np.float32
    )


def fill(root: Path, name: str = "a", view: View = VIEW, count: int = 8) -> Path:
    """Keep features of some images; returns their folder."""
    cache = FeatureCache(backbone(name), root=root)
    cache.add(view, digests(count), features(count))
    return cache._folder(view)


def files(root: Path) -> list[Path]:
    return sorted(path for path in root.rglob("*") if path.is_file())


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "cache"


def test_what_was_added_is_loaded_in_any_order(root: Path) -> None:
    cache = FeatureCache(backbone(), root=root)
    cache.add(VIEW, digests(5), features(5))
    cache.add(VIEW, digests(5, 5), features(5, 5))
    for one in (cache, FeatureCache(backbone(), root=root)):
        assert one.missing(VIEW, digests(11)) == digests(1, 10)
        wanted = [7, 0, 9, 0, 3]
        loaded = one.load(VIEW, [digests(10)[i] for i in wanted])
        assert np.array_equal(loaded, features(10)[wanted])


def test_missing_ones_are_told_once_in_the_order_asked(root: Path) -> None:
    a, b = digests(2)
    assert FeatureCache(backbone(), root=root).missing(VIEW, [b, a, b]) == [b, a]


@pytest.mark.parametrize(
    ("name", "engine", "view"),
    [
        ("b", "torch FP32 cpu", VIEW),
        ("a", "torch FP32 cuda", VIEW),
        ("a", "torch bf16 cpu", VIEW),
        ("a", "torch FP32 cpu", CLEAN),
        ("a", "torch FP32 cpu", View("degraded", 1, 42)),
        ("a", "torch FP32 cpu", View("flip-rotate", 2, 42)),
        ("a", "torch FP32 cpu", View("flip-rotate", 1, 43)),
    ],
)
def test_another_backbone_engine_or_view_finds_nothing(
    name: str, engine: str, view: View, root: Path
) -> None:
    fill(root)
    assert FeatureCache(backbone(name, engine), root).missing(view, digests(8)) == digests(8)


def test_other_code_or_libraries_find_nothing(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(root)
    monkeypatch.setattr(features_cache, "code_digest", lambda sources: "another")
    assert FeatureCache(backbone(), root=root).missing(VIEW, digests(1)) == digests(1)


def flip_a_bit(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[-100] ^= 1
    path.write_bytes(data)


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-2048])


def empty(path: Path) -> None:
    path.write_bytes(b"")


@pytest.mark.parametrize("damage", [flip_a_bit, truncate, empty])
def test_a_damaged_file_is_dropped_and_the_rest_stays(damage: Any, root: Path) -> None:
    cache = FeatureCache(backbone(), root=root)
    cache.add(VIEW, digests(4), features(4))
    (bad,) = files(root)
    cache.add(VIEW, digests(4, 4), features(4, 4))
    damage(bad)
    again = FeatureCache(backbone(), root=root)
    assert again.missing(VIEW, digests(8)) == digests(4)
    assert not bad.exists()
    again.add(VIEW, digests(4), features(4))
    assert np.array_equal(again.load(VIEW, digests(8)), features(8))


def test_features_that_go_away_in_use_are_an_error_not_garbage(root: Path) -> None:
    cache = FeatureCache(backbone(), root=root)
    cache.add(VIEW, digests(4), features(4))
    flip_a_bit(files(root)[0])
    with pytest.raises(UserError, match="Run again"):
        cache.load(VIEW, digests(4))
    files(root)[0].unlink()
    with pytest.raises(UserError, match="Run again"):
        cache.load(VIEW, digests(4))
    with pytest.raises(KeyError):
        cache.load(VIEW, digests(1, 99))


@pytest.mark.parametrize("error", [OSError("disk full"), KeyboardInterrupt()])
def test_a_write_that_is_stopped_leaves_nothing(
    error: BaseException, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(*_: object) -> None:
        raise error

    monkeypatch.setattr(features_cache.os, "replace", stop)
    expected = UserError if isinstance(error, OSError) else KeyboardInterrupt
    with pytest.raises(expected):
        fill(root)
    assert files(root) == []


def test_what_a_killed_write_left_is_not_read(root: Path) -> None:
    folder = fill(root)
    (folder / "abc.partial").write_bytes(b"half a fi")
    assert FeatureCache(backbone(), root=root).missing(VIEW, digests(9)) == digests(1, 8)


@pytest.mark.parametrize("name", ["file", "file/below"])
def test_a_place_that_cannot_be_written_is_named_with_the_way_out(
    name: str, tmp_path: Path
) -> None:
    (tmp_path / "file").write_bytes(b"")
    cache = FeatureCache(backbone(), root=tmp_path / name)
    assert cache.missing(VIEW, digests(1)) == digests(1)
    for write in (cache.check_writable, lambda: cache.add(VIEW, digests(1), features(1))):
        with pytest.raises(UserError, match="FEDMED_CACHE=FOLDER"):
            write()


def test_the_environment_says_where(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert default_root() == tmp_path / "feature-cache"
    monkeypatch.delenv("FEDMED_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert default_root() == tmp_path / "fedmed" / "features"


class TestPrune:
    @pytest.fixture
    def old(self, root: Path) -> list[Path]:
        """Three folders of about 16 KiB, last used three, two and one days ago."""
        folders = [fill(root, name) for name in ("old", "older", "oldest")]
        for days, folder in enumerate(reversed(folders), start=-3):
            self.use(folder, days)
        return folders[::-1]

    @staticmethod
    def use(folder: Path, days: float) -> None:
        os.utime(folder, (time.time() + days * DAY,) * 2)

    @staticmethod
    def gib(kib: float, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("FEDMED_CACHE_GIB", str(kib / 2**20))

    def test_the_least_recently_used_go_first(
        self, old: list[Path], root: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        self.gib(2 * 17, monkeypatch)
        FeatureCache(backbone(), root=root).prune()
        assert [folder.exists() for folder in old] == [False, True, True]

    def test_within_the_limit_nothing_goes(self, old: list[Path], root: Path) -> None:
        FeatureCache(backbone(), root=root).prune()
        assert all(folder.exists() for folder in old)

    def test_what_this_run_uses_stays(
        self, old: list[Path], root: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        self.gib(0, monkeypatch)
        cache = FeatureCache(backbone("oldest"), root=root)
        cache.missing(VIEW, digests(1))
        self.use(old[0], -3)
        cache.prune()
        assert [folder.exists() for folder in old] == [True, False, False]
        assert np.array_equal(cache.load(VIEW, digests(8)), features(8))

    def test_what_another_run_may_be_using_stays(
        self, old: list[Path], root: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        FeatureCache(backbone("oldest"), root=root).missing(VIEW, digests(1))
        self.gib(0, monkeypatch)
        FeatureCache(backbone(), root=root).prune()
        assert [folder.exists() for folder in old] == [True, False, False]

    def test_nor_goes_what_a_long_run_reads_again(
        self, old: list[Path], root: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        training = FeatureCache(backbone("oldest"), root=root)
        training.missing(VIEW, digests(1))
        self.use(old[0], -3)
        training.load(VIEW, digests(8))
        self.gib(0, monkeypatch)
        FeatureCache(backbone(), root=root).prune()
        assert [folder.exists() for folder in old] == [True, False, False]

    def test_nothing_of_others_is_touched(
        self, old: list[Path], root: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """FEDMED_CACHE may well be a folder with other things in it."""
        for name in ("models/mine.safetensors", f"{'0' * 32}/notes.txt"):
            (root / name).parent.mkdir()
            (root / name).write_bytes(b"mine")
            self.use((root / name).parent, -9)
        (old[0] / "notes.txt").write_bytes(b"mine")
        self.use(old[0], -3)
        self.gib(0, monkeypatch)
        FeatureCache(backbone(), root=root).prune()
        assert {path.name for path in files(root)} == {"mine.safetensors", "notes.txt"}

    def test_what_killed_writes_left_goes_after_a_while(self, old: list[Path], root: Path) -> None:
        for name, days in (("killed.partial", -1.0), ("being written.partial", 0.0)):
            (old[0] / name).write_bytes(b"?")
            self.use(old[0] / name, days)
        FeatureCache(backbone(), root=root).prune()
        assert [path.name for path in files(root) if path.suffix == ".partial"] == [
            "being written.partial"
        ]

    def test_an_empty_cache_is_fine(self, root: Path) -> None:
        FeatureCache(backbone(), root=root).prune()

    @pytest.mark.parametrize("text", ["lots", "-1", "nan"])
    def test_a_limit_that_is_no_size_is_refused_at_once(
        self, text: str, root: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("FEDMED_CACHE_GIB", text)
        with pytest.raises(UserError, match=f"FEDMED_CACHE_GIB={text}"):
            FeatureCache(backbone(), root=root)


def test_without_a_home_the_variable_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    def homeless() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", homeless)
    for name in ("FEDMED_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(UserError, match="FEDMED_CACHE=FOLDER"):
        FeatureCache(backbone())


WRITER = """
import sys
from pathlib import Path
from tests.features.test_cache import VIEW, backbone, digests, features
from fedmed.features.cache import FeatureCache

first = int(sys.argv[2])
cache = FeatureCache(backbone(), root=Path(sys.argv[1]))
for start in range(first, first + 60, 3):
    cache.add(VIEW, digests(6, start), features(6, start))
    cache.load(VIEW, digests(6, start))
"""


@pytest.mark.slow
def test_two_processes_at_once_only_add(root: Path) -> None:
    writers = [
        subprocess.Popen([sys.executable, "-c", WRITER, str(root), str(first)]) for first in (0, 30)
    ]
    assert [writer.wait() for writer in writers] == [0, 0]
    cache = FeatureCache(backbone(), root=root)
    assert cache.missing(VIEW, digests(93)) == []
    assert np.array_equal(cache.load(VIEW, digests(93)), features(93))
