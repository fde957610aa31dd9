"""A hospital's X-rays as networks see them: small pixels to train on, answers on those held out."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save
from torch import Tensor

from fedmed.backbones.backbone import Backbone
from fedmed.code_digest import OF_FEATURES, code_digest
from fedmed.data.cohort import Xray, labels
from fedmed.data.decoding import decode_all
from fedmed.experiment.prepare_network import shrink
from fedmed.features.extract import features_of
from fedmed.files import write_atomically
from fedmed.imaging.augmentation import CLEAN
from fedmed.training.heads import Heads, probabilities
from fedmed.training.network import PIXELS, ImageSite
from fedmed.training.tensors import Tensors


def image_site(
    name: str, training: Sequence[Xray], held_out: Sequence[Xray], size: int, folder: Path
) -> ImageSite:
    """Return what a hospital trains networks on; its pixels are decoded once, into `folder`.

    Those held out are read with them, so that one that cannot be is told of before any training.

    Raises:
        UserError: an X-ray cannot be read.
        OSError: the pixels cannot be written.
    """
    digests = tuple(xray.digest for xray in training)
    known = hashlib.sha256(repr((size, digests, code_digest(OF_FEATURES))).encode()).hexdigest()
    file = folder / f"{known[:32]}.safetensors"
    if not file.exists():
        pixels = decode_all([*training, *held_out])[: len(training)]
        folder.mkdir(parents=True, exist_ok=True)
        for old in folder.glob("*.safetensors"):
            old.unlink()
        write_atomically(file, save({PIXELS: shrink(pixels, size)}))
    rows = np.arange(len(training))
    return ImageSite(name, torch.tensor(labels(training)), digests, file, rows)


def answers(network: Tensors, size: int, xrays: Sequence[Xray]) -> Tensor:
    """Return a network's probabilities of PNEUMONIA [n], in FP32.

    Raises:
        UserError: an X-ray cannot be read.
    """
    trunk = {name: tensor for name, tensor in network.items() if not name.startswith("fc.")}
    backbone = Backbone(trunk, {"id": "network", "source": "federated"}, rounded=False, size=size)
    digests = [xray.digest for xray in xrays]
    features = features_of(CLEAN, decode_all(xrays), digests, backbone)
    head = Heads(network["fc.weight"][None], network["fc.bias"][None])
    return probabilities(head, torch.from_numpy(features))[0]
