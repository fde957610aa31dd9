"""Images to features: each image and augmented view goes through the frozen backbone once."""

from __future__ import annotations

import errno
import math
import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from itertools import islice
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from fedmed.backbone import Backbone
from fedmed.data import films
from fedmed.data.cohort import Xray, labels
from fedmed.data.trouble import by_kind
from fedmed.errors import UserError
from fedmed.facts import FEATURES, IMAGE_SIZE
from fedmed.feature_cache import FeatureCache
from fedmed.preprocessing import FILM, View, render, to_input, to_pixels

BATCH = 16  # larger ones are no faster on a core, and take memory on each
CHUNK = 16 * BATCH  # images between two writes to the cache
HELD_BYTES = 512 * 2**20  # of features that one `Features` keeps in memory

Job = TypeVar("Job")
Done = TypeVar("Done")


class UnreadableImages(UserError):
    """Some images cannot be decoded; the message has a line for each reason."""


def decode_all(xrays: Sequence[Xray]) -> np.ndarray:
    """Decode and resize to uint8 [n, 224, 224], backed by a temporary file.

    Raises:
        UnreadableImages: some images cannot be decoded.
        OSError: there is no room for the file.
    """
    shape = (max(len(xrays), 1), IMAGE_SIZE, IMAGE_SIZE)
    with tempfile.TemporaryFile() as file:
        _reserve(file.fileno(), math.prod(shape))
        pixels = np.memmap(file, np.uint8, "w+", shape=shape)
    problems: list[tuple[str, str]] = []

    def decode(index: int) -> None:
        try:
            pixels[index] = to_pixels(xrays[index].load())
        except (UserError, OSError) as error:
            problems.append((xrays[index].name, str(error)))

    work = _on_all_cores(decode, range(len(xrays)))
    for _ in tqdm(work, "Reading images", len(xrays), unit="image", disable=None):
        pass
    if problems:
        raise UnreadableImages(
            f"{len(problems)} of {len(xrays)} images cannot be read:\n  "
            + "\n  ".join(by_kind(problems))
            + "\nRepair or remove these files and run again; nothing was written."
        )
    return pixels[: len(xrays)]


def _reserve(file: int, size: int) -> None:
    """Take the room now: a disk found full as mapped memory is written kills the process."""
    if not hasattr(os, "posix_fallocate"):
        return
    try:
        os.posix_fallocate(file, 0, size)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise OSError(error.errno, error.strerror, tempfile.gettempdir()) from error


def extract(
    wanted: Sequence[tuple[Sequence[Xray], Sequence[View]]],
    backbone: Backbone,
    cache: FeatureCache,
) -> int:
    """Make sure that the cache has the wanted views of images; returns the passes it took.

    Of every image it also keeps the FILM measures, which take no pass.

    Raises:
        UnreadableImages: before any pass, where an image that is needed cannot be decoded.
        UserError: before any pass, where the cache cannot be written.
    """
    lacking: dict[View, set[str]] = {}
    todo: dict[str, Xray] = {}
    for xrays, views in wanted:
        images = {xray.digest: xray for xray in xrays}
        for view in (*views, FILM):
            absent = cache.missing(view, list(images))
            lacking.setdefault(view, set()).update(absent)
            todo |= {digest: images[digest] for digest in absent}
    if not todo:
        return 0
    cache.check_writable()
    digests, pixels = list(todo), decode_all(list(todo.values()))
    backbone = backbone.shared_by(torch.get_num_threads())

    def passed(batch: tuple[View, list[int]]) -> np.ndarray:
        view, rows = batch
        if view == FILM:
            return films.measure(pixels[rows])
        return _features(view, pixels[rows], [digests[row] for row in rows], backbone)

    chunks = [
        (view, rows)
        for start in range(0, len(digests), CHUNK)
        for view, missing in lacking.items()
        if (rows := [r for r in range(len(digests))[start:][:CHUNK] if digests[r] in missing])
    ]
    batches = [
        (view, rows[first : first + BATCH])
        for view, rows in chunks
        for first in range(0, len(rows), BATCH)
    ]
    done = _on_all_cores(passed, batches)
    passes = sum(len(missing) for view, missing in lacking.items() if view != FILM)
    with tqdm(total=passes, desc="Backbone passes", unit="image", disable=None) as bar:
        for view, rows in chunks:
            found = []
            for features in islice(done, -(-len(rows) // BATCH)):
                found.append(features)
                bar.update(len(features) if view != FILM else 0)
            cache.add(view, [digests[row] for row in rows], np.concatenate(found))
    return passes


class Features:
    """Cached features of some images; views are read when asked for.

    As many views are held in memory as fit into HELD_BYTES, however many there are.
    """

    def __init__(self, xrays: Sequence[Xray], cache: FeatureCache) -> None:
        self.labels = torch.tensor(labels(xrays))
        self._digests = [xray.digest for xray in xrays]
        self._cache = cache
        view_bytes = 4 * FEATURES * max(len(xrays), 1)
        self.view = lru_cache(maxsize=max(2, HELD_BYTES // view_bytes))(self._read)
        self.epoch = lru_cache(maxsize=1)(self._mix)

    def _read(self, view: View) -> Tensor:
        """Features [n, 512] of one view."""
        return torch.from_numpy(self._cache.load(view, self._digests))

    def _mix(self, number: int, views: tuple[View, ...]) -> Tensor:
        """Features [n, 512] of one view of each image: of image i, number (epoch + i) modulo V."""
        mixed = torch.empty(len(self._digests), FEATURES)
        for index, view in enumerate(views):
            first = (index - number) % len(views)
            mixed[first :: len(views)] = self.view(view)[first :: len(views)]
        return mixed


class TrainingSite:
    """One site's images in training: every epoch sees one view of each image.

    Image i takes view (epoch + i) modulo the number of views, so that each epoch mixes all kinds
    of views and each image meets every view equally often.
    """

    def __init__(
        self, name: str, features: Features, chosen: np.ndarray, views: Sequence[View]
    ) -> None:
        self.name = name
        self._features = features
        self._chosen = torch.from_numpy(np.asarray(chosen, np.int64))
        self._views = tuple(views)
        self.labels = features.labels[self._chosen]

    def epoch(self, number: int) -> Tensor:
        """Features [n, 512] for epoch `number`."""
        return self._features.epoch(number, self._views)[self._chosen]


def _features(view: View, pixels: np.ndarray, digests: list[str], backbone: Backbone) -> np.ndarray:
    """Features [n, 512] of at most BATCH images, in a batch of one size all the same, so that no
    image's depend on how many there are."""
    inputs = to_input(render(view, pixels, digests))
    count = len(inputs)
    if count < BATCH:
        inputs = torch.cat([inputs, inputs.new_zeros(BATCH - count, *inputs.shape[1:])])
    return backbone.features(inputs)[:count].numpy()


def _on_all_cores(work: Callable[[Job], Done], jobs: Sequence[Job]) -> Iterator[Done]:
    """What `work` makes of each job, in their order; every job keeps to one core.

    All of a job runs beside the others, and the bits of a result do not depend on the number of
    cores.
    """
    cores = torch.get_num_threads()
    with ThreadPoolExecutor(cores, initializer=lambda: torch.set_num_threads(1)) as pool:
        try:
            yield from pool.map(work, jobs)
        finally:  # Ctrl-C would otherwise wait for all jobs still to come
            pool.shutdown(cancel_futures=True)
            torch.set_num_threads(cores)  # a thread's setting is what threads after it begin with


def pick_device(name: str) -> str:
    """`auto` is a CUDA device where there is one.

    Raises:
        UserError: a device that PyTorch cannot use here.
    """
    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        if name != "cpu" and torch.device(name).type != "cuda":  # cpu:0 would be no engine's
            raise RuntimeError("no such device")
        torch.empty(1, device=name)
    except (RuntimeError, AssertionError) as error:
        problem = str(error).splitlines()[0]
        raise UserError(
            f"--device {name} cannot be used here ({problem}); choose from auto, cpu, cuda."
        ) from error
    return name
