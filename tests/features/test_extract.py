"""Images to features: once each, the same bits in any company, nothing where one is unreadable."""

from __future__ import annotations

import errno
import hashlib
import os
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from fedmed.backbones.backbone import Backbone
from fedmed.backbones.engine import pick
from fedmed.data.cohort import Xray
from fedmed.data.decoding import UnreadableImages, decode_all
from fedmed.errors import ImageError, UserError
from fedmed.features import extract as features_extract
from fedmed.features import sites
from fedmed.features.cache import FeatureCache
from fedmed.features.extract import Source, extract, extract_all, missing
from fedmed.features.sites import Features, TrainingSite
from fedmed.imaging.augmentation import CLEAN, View
from tests.support.snapshots import random_backbone

TURNED, DEGRADED = View("flip-rotate", 0, 42), View("degraded", 0, 42)
VIEWS = [CLEAN, TURNED, DEGRADED]


class Counting(Backbone):
    """Counts the images that pass; features are the brightness of the four quarters, repeated."""

    delay = 0.0
    _at_once = 1

    def __init__(self) -> None:
        self.sha256 = "0" * 64
        self.engine = pick()
        self.batches: list[int] = []

    def features(self, inputs: Tensor) -> Tensor:
        time.sleep(self.delay)
        self.batches.append(len(inputs))
        quarters = torch.nn.functional.adaptive_avg_pool2d(inputs[:, 0], 2).flatten(1)
        return quarters.repeat(1, 128)


@pytest.fixture
def counting() -> Counting:
    return Counting()


@pytest.fixture
def cores() -> Iterator[Callable[[int], None]]:
    """Sets how many cores torch believes to have."""
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)


@pytest.fixture(autouse=True)
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(features_extract, "BATCH", 4)
    monkeypatch.setattr(features_extract, "CHUNK", 8)


def xrays(count: int, first: int = 0) -> list[Xray]:
    def xray(number: int) -> Xray:
        def load() -> Image.Image:
            generator = np.random.default_rng(number)
            coarse = Image.fromarray(generator.integers(0, 256, (6, 7), np.uint8))
            return coarse.resize((100, 90), Image.Resampling.BICUBIC)

        digest = hashlib.sha256(str(number).encode()).hexdigest()
        return Xray(f"train/NORMAL/{number}.png", number % 2, f"IM-{number}", digest, load)

    return [xray(number) for number in range(first, first + count)]


def broken(xray: Xray) -> Xray:
    def load() -> Image.Image:
        raise ImageError("The file is empty.")

    return Xray(xray.name, xray.label, xray.patient, xray.digest, load)


def computed(
    chosen: Sequence[Xray], backbone: Backbone, root: Path, views: Sequence[View] = VIEWS
) -> np.ndarray:
    """Features [views, n, 512] through a cache of their own."""
    cache = FeatureCache(backbone, root=root)
    extract([(chosen, views)], backbone, cache)
    return np.stack([Features(chosen, cache).view(view).numpy() for view in views])


def test_each_view_of_each_image_passes_once(counting: Counting, tmp_path: Path) -> None:
    cache = FeatureCache(counting, root=tmp_path)
    train, test = xrays(9), xrays(3, 9)
    wanted = [(train, VIEWS), (train[:2], [CLEAN]), (test, [CLEAN])]
    assert extract(wanted, counting, cache) == 9 * 3 + 3
    assert set(counting.batches) == {4}, "one size, so that sizes cannot matter"
    counting.batches.clear()
    again = FeatureCache(counting, root=tmp_path)
    assert extract(wanted, counting, again) == 0
    assert extract([(xrays(11), [CLEAN])], counting, again) == 0
    assert counting.batches == []
    assert extract([(xrays(13), [CLEAN, TURNED])], counting, again) == 1 + 4


def test_repeats_pass_once(counting: Counting, tmp_path: Path) -> None:
    same = xrays(1) * 5
    cache = FeatureCache(counting, root=tmp_path)
    assert extract([(same, [CLEAN])], counting, cache) == 1
    assert len(Features(same, cache).view(CLEAN)) == 5


def test_features_are_in_the_order_of_the_images(counting: Counting, tmp_path: Path) -> None:
    forwards = computed(xrays(11), counting, tmp_path)
    backwards = computed(xrays(11)[::-1], counting, tmp_path)
    assert np.array_equal(forwards, backwards[:, ::-1])
    assert len(np.unique(forwards[0, :, 0])) == 11


@pytest.mark.slow
def test_an_images_features_do_not_depend_on_its_company(tmp_path: Path) -> None:
    backbone, few = random_backbone(), xrays(3)
    alone = computed(few, backbone, tmp_path / "alone")
    among = computed(xrays(6, 50) + few[::-1], backbone, tmp_path / "among")[:, :5:-1]
    assert np.array_equal(alone, among)
    assert alone.std(axis=1).mean() > 0.01, "images must differ for this to say anything"


@pytest.mark.slow
def test_nor_at_the_size_of_batches_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    monkeypatch.setenv("FEDMED_CACHE", str(tmp_path))
    backbone, chosen = random_backbone(), xrays(34)
    together = computed(chosen, backbone, tmp_path / "together", [DEGRADED])
    alone = computed(chosen[33:], backbone, tmp_path / "alone", [DEGRADED])
    assert np.array_equal(together[:, 33:], alone)


@pytest.mark.slow
def test_nor_on_the_number_of_cores(tmp_path: Path, cores: Callable[[int], None]) -> None:
    found = []
    for count in (1, 3):
        cores(count)
        found.append(computed(xrays(9), random_backbone(), tmp_path / str(count)))
    assert np.array_equal(*found)


def test_the_threads_that_torch_may_use_are_as_many_as_before(
    counting: Counting, tmp_path: Path, cores: Callable[[int], None]
) -> None:
    cores(3)
    computed(xrays(9), counting, tmp_path)
    with ThreadPoolExecutor(1) as pool:
        assert [torch.get_num_threads(), pool.submit(torch.get_num_threads).result()] == [3, 3]


def test_stopped_between_passes_the_rest_does_not_pass(
    counting: Counting, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = FeatureCache(counting, root=tmp_path)

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(cache, "add", stop)
    counting.delay = 0.02
    with pytest.raises(KeyboardInterrupt):
        extract([(xrays(200), VIEWS)], counting, cache)
    assert len(counting.batches) < 75


@pytest.mark.parametrize("by", ["time", "ctrl-c"])
def test_slow_passes_are_kept_before_a_chunk_ends(
    by: str, counting: Counting, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(features_extract, "CHUNK", 400)
    monkeypatch.setattr(features_extract, "KEEP_SECONDS", 0.0 if by == "time" else 1000.0)
    cache = FeatureCache(counting, root=tmp_path)
    updated = features_extract.Progress.update
    counted = []

    def update(self: features_extract.Progress, count: int) -> None:
        updated(self, count)
        counted.extend([count] if self._title == "Backbone passes" else [])
        if len(counted) == 3:
            raise KeyboardInterrupt

    monkeypatch.setattr(features_extract.Progress, "update", update)
    with pytest.raises(KeyboardInterrupt):
        extract([(xrays(40), [CLEAN])], counting, cache)
    again = FeatureCache(counting, root=tmp_path)
    assert missing([(xrays(40), [CLEAN])], again) == (40, 28)


def test_two_engines_read_each_image_once_and_share_no_features(
    counting: Counting, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = Counting()
    other.engine = replace(counting.engine, id="another")
    caches = [FeatureCache(one, root=tmp_path) for one in (counting, other)]
    read: list[int] = []

    def reading(chosen: Sequence[Xray]) -> np.ndarray:
        read.append(len(chosen))
        return decode_all(chosen)

    one, two = (Source(b, c) for b, c in zip((counting, other), caches, strict=True))
    train, test = xrays(9), xrays(6, 6)
    passes = extract_all([([(train, VIEWS)], one), ([(test, [CLEAN])], two)], reading)
    assert (passes, read) == (9 * 3 + 6, [12])
    assert (sum(counting.batches), sum(other.batches)) == (12 * 3, 8), "in whole batches"
    assert missing([(train, VIEWS)], caches[0]) == (27, 0)
    assert missing([(train, VIEWS)], caches[1]) == (27, 24)


def test_unreadable_images_are_listed_together_before_any_pass(
    counting: Counting, tmp_path: Path
) -> None:
    chosen = xrays(20)
    chosen[3], chosen[17] = broken(chosen[3]), broken(chosen[17])
    with pytest.raises(UnreadableImages) as caught:
        extract([(chosen[:10], VIEWS), (chosen[10:], [CLEAN])], counting, _cache(tmp_path))
    message = str(caught.value)
    assert message.startswith("2 of 20 images cannot be read:")
    assert "2 files: train/NORMAL/17.png, train/NORMAL/3.png: The file is empty" in message
    assert counting.batches == []
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_a_file_that_went_away_is_unreadable(counting: Counting, tmp_path: Path) -> None:
    def load() -> Image.Image:
        return Image.open(tmp_path / "gone.png")

    gone = Xray("train/NORMAL/gone.png", 0, "IM-1", "0" * 64, load)
    with pytest.raises(UnreadableImages, match=r"gone\.png: .*No such file"):
        decode_all([gone])


@pytest.mark.skipif(not hasattr(os, "posix_fallocate"), reason="this system cannot be asked")
def test_a_full_disk_is_found_before_it_is_written(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Found afterwards, it ends the process without a word."""

    def full(file: int, offset: int, size: int) -> None:
        assert os.fstat(file).st_size == offset == 0 and size == 300 * 224 * 224
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "posix_fallocate", full)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with pytest.raises(OSError) as caught:
        decode_all(xrays(300))
    assert caught.value.filename == str(tmp_path)


def _cache(root: Path) -> FeatureCache:
    return FeatureCache(Counting(), root=root)


def test_a_cache_that_cannot_be_written_stops_before_the_images(
    counting: Counting, tmp_path: Path
) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(UserError, match="FEDMED_CACHE=FOLDER"):
        extract([([broken(xrays(1)[0])], [CLEAN])], counting, _cache(tmp_path / "file"))


def test_a_read_only_cache_with_everything_in_it_serves(
    counting: Counting, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    computed(xrays(3), counting, tmp_path)
    passed = len(counting.batches)

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError("read-only")

    for name in ("utime", "replace", "unlink"):
        monkeypatch.setattr(f"os.{name}", refuse)
    assert computed(xrays(3), counting, tmp_path).shape == (3, 3, 512)
    assert len(counting.batches) == passed


def test_stopped_while_decoding_the_rest_is_not_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    decoded = []

    def stopping(xray: Xray) -> Xray:
        def load() -> Image.Image:
            decoded.append(xray.name)
            if len(decoded) == 5:
                raise KeyboardInterrupt  # arrives in the main thread, as Ctrl-C does
            return xray.load()

        return Xray(xray.name, xray.label, xray.patient, xray.digest, load)

    with pytest.raises(KeyboardInterrupt):
        decode_all([stopping(xray) for xray in xrays(300)])
    assert len(decoded) < 100


class TestTrainingSite:
    @pytest.fixture
    def site(self, counting: Counting, tmp_path: Path) -> tuple[TrainingSite, np.ndarray]:
        chosen = xrays(10)
        expected = computed(chosen, counting, tmp_path)
        features = Features(chosen, FeatureCache(counting, root=tmp_path))
        part = np.array([1, 4, 7, 8])
        return TrainingSite("hospital_1", features, part, VIEWS), expected[:, part]

    def test_an_epoch_has_one_view_of_each_image(
        self, site: tuple[TrainingSite, np.ndarray]
    ) -> None:
        one, expected = site
        for number in range(5):
            epoch = one.epoch(number).numpy()
            for row, image in enumerate([1, 4, 7, 8]):
                assert np.array_equal(epoch[row], expected[(image + number) % 3, row])

    def test_every_image_meets_every_view_equally_often(
        self, site: tuple[TrainingSite, np.ndarray]
    ) -> None:
        one, expected = site
        mean = np.mean([one.epoch(number).numpy() for number in range(6)], axis=0)
        np.testing.assert_allclose(mean, expected.mean(axis=0), rtol=1e-5, atol=1e-6)

    def test_labels_are_those_of_its_images(self, site: tuple[TrainingSite, np.ndarray]) -> None:
        assert site[0].labels.tolist() == [1, 0, 1, 0]


def test_views_in_memory_are_bounded_by_their_size(
    counting: Counting, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = FeatureCache(counting, root=tmp_path)
    assert Features(xrays(10), cache).view.cache_info().maxsize == 2**29 // (10 * 2048)
    monkeypatch.setattr(sites, "HELD_BYTES", 10 * 2048 * 3)
    assert Features(xrays(10), cache).view.cache_info().maxsize == 3
    assert Features(xrays(100), cache).view.cache_info().maxsize == 2
