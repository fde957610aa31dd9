"""Images to features: each image and augmented view goes through the frozen backbone once."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice

import numpy as np
import torch
from tqdm import tqdm

from fedmed.backbones.backbone import Backbone
from fedmed.data import films
from fedmed.data.cohort import Xray
from fedmed.data.decoding import decode_all
from fedmed.features.cache import FeatureCache
from fedmed.imaging.augmentation import FILM, View, render
from fedmed.imaging.preprocessing import to_input
from fedmed.parallel import on_all_cores

BATCH = 16  # larger ones are no faster on a core, and take memory on each
CHUNK = 16 * BATCH  # images between two writes to the cache


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
        return features_of(view, pixels[rows], [digests[row] for row in rows], backbone)

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
    done = on_all_cores(passed, batches)
    passes = sum(len(missing) for view, missing in lacking.items() if view != FILM)
    with tqdm(total=passes, desc="Backbone passes", unit="image", disable=None) as bar:
        for view, rows in chunks:
            found = []
            for features in islice(done, -(-len(rows) // BATCH)):
                found.append(features)
                bar.update(len(features) if view != FILM else 0)
            cache.add(view, [digests[row] for row in rows], np.concatenate(found))
    return passes


def features_of(
    view: View, pixels: np.ndarray, digests: list[str], backbone: Backbone
) -> np.ndarray:
    """Features [n, 512] of at most BATCH images, in a batch of one size all the same, so that no
    image's depend on how many there are."""
    inputs = to_input(render(view, pixels, digests))
    count = len(inputs)
    if count < BATCH:
        inputs = torch.cat([inputs, inputs.new_zeros(BATCH - count, *inputs.shape[1:])])
    return backbone.features(inputs)[:count].numpy()
