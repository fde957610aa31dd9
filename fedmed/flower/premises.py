"""What a hospital has: its X-rays audited, patients of its own held out, features in its cache."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from fedmed import data
from fedmed.backbones.backbone import Backbone
from fedmed.backbones.backbone import load as load_backbone
from fedmed.backbones.engine import pick_to_train
from fedmed.data import films
from fedmed.data.audit import audit
from fedmed.data.audit import words as audit_words
from fedmed.data.cohort import Cohort, count, labels, patients
from fedmed.data.decoding import decode_all
from fedmed.errors import UserError
from fedmed.features.cache import FeatureCache
from fedmed.features.extract import Source, extract_all
from fedmed.features.sites import Features, TrainingSite
from fedmed.flower import xrays
from fedmed.flower.protected import public_space
from fedmed.flower.terms import Content
from fedmed.imaging.augmentation import CLEAN, View
from fedmed.privacy.rows import PatientSite, Space, patient_sites
from fedmed.task import CLASSES
from fedmed.training.heads import Heads, probabilities
from fedmed.training.network import ImageSite
from fedmed.training.recipe import RECIPES
from fedmed.training.tensors import Tensors


@dataclass(frozen=True)
class Premises:
    """A hospital's folder: patients to train on, and those held out to score on."""

    name: str
    cohort: Cohort  # its test split are the patients held out, a fifth unless the folder tells them
    backbone: Backbone
    home: Path

    @classmethod
    def open(
        cls,
        name: str,
        folder: str,
        home: Path,
        backbone: str = "imagenet",
        patients: str | None = None,
    ) -> Premises:
        """Read a folder as train.py would: NORMAL/ and PNEUMONIA/, a CSV, or DICOM files.

        `patients` tells how file names tell patients, as train.py's option of that name.

        Raises:
            UserError: it is laid out otherwise, or has too few patients to hold some out.
        """
        if data.is_hub_id(folder):
            raise UserError(f"{folder}: no such folder; a hospital's X-rays lie in one of its own")
        cohort = data.load(folder, patients=patients)
        return cls(name, cohort, load_backbone(backbone), home)

    def counts(self) -> Content:
        """What is told of these X-rays to a coordinator: numbers alone."""
        held_out = np.bincount(labels(self.cohort.test), minlength=len(CLASSES)).tolist()
        trained = np.bincount(labels(self.cohort.train), minlength=len(CLASSES)).tolist()
        return {
            "images": trained,
            "patients": count(self.cohort.train)["patients"],
            "held_out": held_out,
            "simulated": self.cohort.simulated,
        }

    def words(self) -> str:
        """What a run would find here, for whoever owns these X-rays; nothing of it is sent."""
        told = self.counts()
        facts = audit(self.cohort)
        known = self.backbone.knows(self.cohort.about["title"])
        lines = audit_words(self.cohort, facts, known)
        trained, held_out = (
            " and ".join(f"{n} {c}" for n, c in zip(told[part], CLASSES, strict=True))
            for part in ("images", "held_out")
        )
        images = self.cohort.images
        measured = films.measure(decode_all(images))
        lines += films.words(films.judge([x.name for x in images], measured))
        return "\n".join(
            [
                *lines,
                "",
                f"It would train on {trained} X-rays of {told['patients']} patients, "
                f"and keep {held_out} of other patients to score on.",
                "These numbers the coordinator is told when the hospital joins, of a run with an "
                "epsilon the first number of patients alone; --what-leaves names everything.",
            ]
        )

    def site(self, recipe: str, views: int, seed: int) -> TrainingSite:
        """Return what hospitals train on, its features extracted where they were not yet.

        Raises:
            UserError: an X-ray cannot be read, or the cache cannot be written.
        """
        features, shown = self._to_train(recipe, views, seed)
        return TrainingSite(self.name, features, np.arange(len(self.cohort.train)), shown)

    def patients(self, recipe: str, views: int, seed: int) -> PatientSite:
        """Return the same as one row a patient, as private runs train on them.

        Raises:
            UserError: as `site`.
        """
        features, shown = self._to_train(recipe, views, seed)
        everybody = np.arange(len(self.cohort.train))
        [rows] = patient_sites(features, patients(self.cohort.train), [everybody], shown)
        return replace(rows, name=self.name)

    def space(self) -> Space:
        """Return where patients' rows lie: around X-rays of nobody, which are drawn here."""
        return public_space(self.backbone, self.home / "features")

    def _to_train(self, recipe: str, views: int, seed: int) -> tuple[Features, list[View]]:
        shown = RECIPES[recipe].views(views, seed)
        learner = self.backbone.on(pick_to_train())
        cache = FeatureCache(learner, self.home / "features")
        extract_all([([(self.cohort.train, shown)], Source(learner, cache))])
        return Features(self.cohort.train, cache), shown

    def images(self, size: int) -> ImageSite:
        """Return what hospitals train networks on: X-rays of `size` pixels a side.

        Raises:
            UserError: an X-ray cannot be read.
        """
        cohort = self.cohort
        return xrays.image_site(self.name, cohort.train, cohort.test, size, self.home / "pixels")

    def held_out(self) -> tuple[Tensor, Tensor]:
        """Return features [n, 512] and classes [n] of the patients held out."""
        cache = FeatureCache(self.backbone, self.home / "features")
        extract_all([([(self.cohort.test, [CLEAN])], Source(self.backbone, cache))])
        return Features(self.cohort.test, cache).view(CLEAN), torch.tensor(labels(self.cohort.test))

    def score(self, heads: Heads, *, of_patients: bool = False) -> list[int]:
        """Count the answers of one head on the patients held out: TN, FP, FN, TP, at 0.5.

        X-rays are counted; or `of_patients`, each once who is not trained on: what the mean over a
        patient's X-rays says, against what most of them show.
        """
        features, _ = self.held_out()
        said = probabilities(heads, features)[0]
        return self._count_patients(said) if of_patients else self._count(said)

    def score_network(self, network: Tensors, size: int) -> list[int]:
        """Count the answers of a network of inputs of `size`: as `score`."""
        return self._count(xrays.answers(network, size, self.cohort.test))

    def _count(self, said: Tensor) -> list[int]:
        return _cells(said, torch.tensor(labels(self.cohort.test)))

    def _count_patients(self, said: Tensor) -> list[int]:
        names, places = np.unique(np.asarray(patients(self.cohort.test)), return_inverse=True)
        # A folder of train/ and test/ may have a patient in both, who then was told of already.
        apart = torch.from_numpy(~np.isin(names, patients(self.cohort.train)))
        index = torch.from_numpy(places)
        ill = torch.tensor(labels(self.cohort.test), dtype=said.dtype)
        zeros, images = said.new_zeros(len(names)), torch.bincount(index, minlength=len(names))
        mean = zeros.index_add(0, index, said) / images
        # As where patients are trained on: PNEUMONIA where it is even.
        truth = 2 * zeros.index_add(0, index, ill) >= images
        return _cells(mean[apart], truth.long()[apart])


def _cells(said: Tensor, truth: Tensor) -> list[int]:
    return torch.bincount(2 * truth + (said >= 0.5), minlength=4).tolist()
