"""The sums that each hospital sent for a closed form, kept in the snapshot where it was asked for.

Sums add up, so a hospital can be taken out of them again: what is left is the head of a run that it
never took part in, and nobody trains again. Whoever holds one hospital's sums knows its class means
and more: so they are kept only where asked for, and never published.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor

from fedmed.errors import UserError
from fedmed.federated.algorithms import ALGORITHMS
from fedmed.federated.algorithms.closed_form import ClosedForm
from fedmed.files import read_tensors
from fedmed.snapshot.manifest import SUMS
from fedmed.task import CLASSES
from fedmed.training.heads import Heads
from fedmed.training.local_training import Site, one_thread
from fedmed.training.optimizer import Optimisation
from fedmed.training.rows import rows
from fedmed.training.tensors import Tensors, join, repeat


@dataclass(frozen=True, eq=False)
class Kept:
    """Each hospital's sums, of each class by itself and unweighted: class weights may change."""

    algorithm: ClosedForm
    hospitals: tuple[str, ...]  # H
    samples: Tensor  # [H]
    sums: Tensors  # [H, 2, ...]

    @one_thread()
    def head(self, class_weights: tuple[float, float]) -> Heads:
        """Return the head of all hospitals that are here together."""
        weights = torch.tensor(class_weights, dtype=torch.float64)
        total = {
            name: torch.einsum("c,hc...->...", weights, sums) / self.samples.sum()
            for name, sums in self.sums.items()
        }
        return Heads.of(self.algorithm.solve(total))

    def without(self, hospital: str) -> Kept:
        """Return the sums as if a hospital had never been there."""
        left = [place for place, name in enumerate(self.hospitals) if name != hospital]
        return Kept(
            self.algorithm,
            tuple(self.hospitals[place] for place in left),
            self.samples[left],
            {name: sums[left] for name, sums in self.sums.items()},
        )


@one_thread()
def gather(algorithm: ClosedForm, sites: Sequence[Site]) -> Kept:
    """Return what hospitals sent, as it is kept."""
    sums = []
    for site in sites:
        of_classes = [_sums(algorithm, site, label) for label in range(len(CLASSES))]
        sums.append(repeat(join([repeat(one, 1) for one in of_classes]), 1))
    samples = torch.tensor([len(site.labels) for site in sites])
    return Kept(algorithm, tuple(site.name for site in sites), samples, join(sums))


def write(kept: Kept, folder: Path) -> None:
    """Write SUMS into a snapshot's folder."""
    about = json.dumps({"algorithm": kept.algorithm.name, "hospitals": list(kept.hospitals)})
    tensors = {name: tensor.contiguous() for name, tensor in kept.sums.items()}
    save_file({**tensors, "samples": kept.samples}, folder / SUMS, {"about": about})


def read(folder: Path) -> Kept:
    """Read what `write` wrote.

    Raises:
        UserError: there are no sums, or none that an algorithm of this version makes.
    """
    if not (folder / SUMS).is_file():
        raise UserError(
            f"{folder} keeps no hospital's sums, and without them nobody can be taken out of a "
            "model exactly: train with --algorithm ridge, lda or class-means and --keep-sums, or "
            "train again without that hospital's X-rays."
        )
    tensors, metadata = read_tensors(folder / SUMS)
    try:
        about = json.loads(metadata["about"])
        algorithm = ALGORITHMS[about["algorithm"]]()
        hospitals = tuple(map(str, about["hospitals"]))
        samples = tensors.pop("samples")
        if not isinstance(algorithm, ClosedForm) or len(set(hospitals)) != len(samples):
            raise ValueError("they are of no closed form")
        width = tensors[next(iter(algorithm.layout(1)))].shape[-1]
        shapes = {len(tensor) for tensor in tensors.values()}
        if shapes != {len(samples)} or set(tensors) != set(algorithm.layout(width)):
            raise ValueError("they are of other hospitals")
        if not all(bool(t.isfinite().all()) for t in tensors.values()) or samples.min() < 1:
            raise ValueError("they are no numbers")
    except (KeyError, ValueError, TypeError, IndexError) as error:
        raise UserError(f"{folder / SUMS} holds no sums that can be read: {error}.") from error
    return Kept(algorithm, hospitals, samples, tensors)


def _sums(algorithm: ClosedForm, site: Site, label: int) -> Tensors:
    """The sums over all views of a site's images of one class, each weighing 1."""
    alone = Optimisation(class_weights=(float(label == 0), float(label == 1)))
    parts = [algorithm.sums(part) for part in rows(site, alone)]
    return {
        name: torch.stack([part[name] for part in parts]).sum(0) * len(site.labels)
        for name in parts[0]
    }
