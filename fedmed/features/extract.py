"""Images to features: each image and augmented view goes through the frozen backbone once."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
import torch

from fedmed.backbones.backbone import Backbone
from fedmed.data import films
from fedmed.data.cohort import Xray
from fedmed.data.decoding import decode_all
from fedmed.features.cache import FeatureCache
from fedmed.imaging.augmentation import FILM, View, render
from fedmed.imaging.preprocessing import to_input
from fedmed.parallel import on_all_cores
from fedmed.progress import Progress

BATCH = 16  # larger ones are no faster on a core, and take memory on each
CHUNK = 16 * BATCH  # images between two writes to the cache
KEEP_SECONDS = 15.0  # between two writes, where passes are slow

Wanted = Sequence[tuple[Sequence[Xray], Sequence[View]]]
Read = Callable[[Sequence[Xray]], np.ndarray]  # to uint8 [n, 224, 224]


class Source(NamedTuple):
    """A backbone on an engine, and the cache of its features."""

    backbone: Backbone
    cache: FeatureCache


def extract(
    wanted: Wanted, backbone: Backbone, cache: FeatureCache, read: Read = decode_all
) -> int:
    """Make sure that the cache has the wanted views of images; returns the passes it took.

    Raises:
        UserError: as `extract_all`.
    """
    return extract_all([(wanted, Source(backbone, cache))], read)


def missing(wanted: Wanted, cache: FeatureCache) -> tuple[int, int]:
    """How many passes the wanted views take in all, and how many of those are not kept yet."""
    asked = lacking = 0
    for view, digests in _by_view(wanted).items():
        if view != FILM:
            asked += len(digests)
            lacking += len(cache.missing(view, list(digests)))
    return asked, lacking


def extract_all(wanted: Sequence[tuple[Wanted, Source]], read: Read = decode_all) -> int:
    """Make sure that each cache has the wanted views of images; returns the passes it took.

    Each image is read once. Of every image a cache also keeps the FILM measures, which take no
    pass. What is done is kept every KEEP_SECONDS at least, and where the run is broken off.

    Raises:
        UnreadableImages: before any pass, where an image that is needed cannot be decoded.
        UserError: before any pass, where a cache cannot be written.
    """
    lacking: dict[tuple[Source, View], set[str]] = {}
    todo: dict[str, Xray] = {}
    for some, source in wanted:
        for view, images in _by_view(some).items():
            absent = source.cache.missing(view, list(images))
            lacking.setdefault((source, view), set()).update(absent)
            todo |= {digest: images[digest] for digest in absent}
    if not todo:
        return 0
    for _, source in wanted:
        source.cache.check_writable()
    digests, pixels = list(todo), read(list(todo.values()))
    shared = {source: source.backbone.shared_by(torch.get_num_threads()) for source, _ in lacking}

    def passed(batch: _Batch) -> np.ndarray:
        if batch.view == FILM:
            return films.measure(pixels[batch.rows])
        names = [digests[row] for row in batch.rows]
        return _together(batch.view, pixels[batch.rows], names, shared[batch.source])

    batches = list(_batches(digests, lacking))
    passes = sum(len(absent) for (_, view), absent in lacking.items() if view != FILM)
    with Progress("Backbone passes", passes) as progress:
        done: list[tuple[_Batch, np.ndarray]] = []
        kept = time.monotonic()
        try:
            for batch, features in zip(batches, on_all_cores(passed, batches), strict=True):
                done.append((batch, features))
                progress.update(len(features) if batch.view != FILM else 0)
                if batch.ends_chunk or time.monotonic() - kept > KEEP_SECONDS:
                    _keep(done, digests)
                    kept = time.monotonic()
        except KeyboardInterrupt:
            _keep(done, digests)
            raise
    return passes


class _Batch(NamedTuple):
    """Images that pass together."""

    source: Source
    view: View
    rows: list[int]
    ends_chunk: bool


def _by_view(wanted: Wanted) -> dict[View, dict[str, Xray]]:
    """The images that each view is wanted of, FILM of all, by their digests."""
    found: dict[View, dict[str, Xray]] = {}
    for xrays, views in wanted:
        images = {xray.digest: xray for xray in xrays}
        for view in (*views, FILM):
            found.setdefault(view, {}).update(images)
    return found


def _batches(
    digests: Sequence[str], lacking: dict[tuple[Source, View], set[str]]
) -> Iterator[_Batch]:
    """All views of a chunk of images, then those of the next one."""
    for start in range(0, len(digests), CHUNK):
        chunk = range(len(digests))[start : start + CHUNK]
        for (source, view), absent in lacking.items():
            rows = [row for row in chunk if digests[row] in absent]
            for first in range(0, len(rows), BATCH):
                ends = first + BATCH >= len(rows)
                yield _Batch(source, view, rows[first : first + BATCH], ends)


def _keep(done: list[tuple[_Batch, np.ndarray]], digests: Sequence[str]) -> None:
    """Write what is done to the caches, and forget it."""
    together: dict[tuple[Source, View], list[tuple[_Batch, np.ndarray]]] = {}
    for batch, features in done:
        together.setdefault((batch.source, batch.view), []).append((batch, features))
    for (source, view), some in together.items():
        rows = [row for batch, _ in some for row in batch.rows]
        found = np.concatenate([features for _, features in some])
        source.cache.add(view, [digests[row] for row in rows], found)
    done.clear()


def features_of(
    view: View, pixels: np.ndarray, digests: Sequence[str], backbone: Backbone
) -> np.ndarray:
    """Features [n, 512] of a view of uint8 pixels [n, 224, 224], n >= 1, kept in no cache."""
    shared = backbone.shared_by(torch.get_num_threads())

    def passed(first: int) -> np.ndarray:
        some = slice(first, first + BATCH)
        return _together(view, pixels[some], list(digests[some]), shared)

    return np.concatenate(list(on_all_cores(passed, range(0, len(pixels), BATCH))))


def _together(view: View, pixels: np.ndarray, digests: list[str], backbone: Backbone) -> np.ndarray:
    """Features [n, 512] of at most BATCH images, in a batch of one size all the same, so that no
    image's depend on how many there are."""
    inputs = to_input(render(view, pixels, digests))
    count = len(inputs)
    if count < BATCH:
        inputs = torch.cat([inputs, inputs.new_zeros(BATCH - count, *inputs.shape[1:])])
    return backbone.features(inputs)[:count].numpy()
