"""What whole networks answer on some images, as if it were features that heads are picked from.

Every network has features of its own, so none are shared. What is left of one on an image is one
number, its log-odds of PNEUMONIA; of K networks they are K columns, and a `Heads` that reads one
column is that network, to whatever scores heads.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from fedmed.backbones.backbone import Backbone
from fedmed.features.extract import features_of
from fedmed.imaging.augmentation import View
from fedmed.task import CLASSES
from fedmed.training.heads import Heads

Images = tuple[np.ndarray, Sequence[str]]  # uint8 pixels [n, 224, 224] and their digests


class Answers:
    """Log-odds of K networks, by view and image; images that a network was not asked of have 0."""

    def __init__(self, names: Sequence[str]) -> None:
        self.names = list(names)
        self.width = len(self.names)  # K
        self._rows: dict[View, dict[str, int]] = {}
        self._columns: dict[View, np.ndarray] = {}

    def ask(
        self,
        name: str,
        backbone: Backbone,
        head: Heads,
        wanted: Sequence[tuple[View, Images]],
    ) -> None:
        """Have the network `name` (H = 1) answer on some views of images, each in one pass."""
        column = self.names.index(name)
        backbone = backbone.shared_by(torch.get_num_threads())  # prepared once for all views
        for view, (pixels, digests) in wanted:
            rows = self._rows.setdefault(view, {})
            new = [digest for digest in dict.fromkeys(digests) if digest not in rows]
            rows |= {digest: len(rows) + place for place, digest in enumerate(new)}
            table = self._columns.get(view, np.zeros((0, self.width), np.float32))
            table = np.vstack([table, np.zeros((len(new), self.width), np.float32)])
            features = torch.from_numpy(features_of(view, pixels, digests, backbone))
            table[[rows[digest] for digest in digests], column] = log_odds(head, features).numpy()
            self._columns[view] = table

    def load(self, view: View, digests: Sequence[str]) -> np.ndarray:
        """Return log-odds float32 [n, K] of images that were asked of, as a feature cache does.

        Raises:
            KeyError: no network was asked of one.
        """
        rows = self._rows[view]
        found: np.ndarray = self._columns[view][[rows[digest] for digest in digests]]
        return found

    def heads(self, names: Sequence[str]) -> Heads:
        """Return the networks of these names as heads on the columns."""
        positive = CLASSES.index("PNEUMONIA")
        weight = torch.zeros(len(names), len(CLASSES), self.width)
        for place, name in enumerate(names):
            weight[place, positive, self.names.index(name)] = 1.0
        return Heads(weight, torch.zeros(len(names), len(CLASSES)))


def log_odds(head: Heads, features: Tensor) -> Tensor:
    """Return the log-odds of PNEUMONIA [n] of one head (H = 1) on features [n, F]."""
    logits = features @ head.weight[0].T + head.bias[0]
    positive = CLASSES.index("PNEUMONIA")
    return logits[:, positive] - logits[:, 1 - positive]
