"""The models of a visitor's last run in the lab, to answer about an X-ray in the Compare tab."""

from __future__ import annotations

import threading
from collections import OrderedDict
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import gradio as gr
import torch
from PIL import Image

from fedmed.errors import UserError
from fedmed.imaging.preprocessing import DecodedXray
from fedmed.inference.predictor import Others, Predictor
from fedmed.page.answer import Answer
from fedmed.page.examples import Example
from fedmed.server.gradio_internals import session_of
from fedmed.snapshot.reader import Snapshot
from fedmed.task import CLASSES, model_title
from fedmed.training.heads import Heads

SESSIONS = 128  # whose last run's models are kept; of 5 hospitals they take 29 kB
GONE = "The lab's models are gone from here: run the lab again, or go back to the stored models."


class Trained(NamedTuple):
    """What a run trained."""

    folder: Path  # of the snapshot with the backbone
    others: Others
    config: dict[str, Any]


class Kept:
    """The last run's models of each session."""

    def __init__(self) -> None:
        self._trained: OrderedDict[str, Trained] = OrderedDict()
        self._lock = threading.Lock()

    def keep(self, session: str, folder: Path, event: dict[str, Any]) -> None:
        """Keep the models of a run's last event in place of the session's last."""
        trained = event["trained"]
        flat = torch.tensor(trained["heads"])
        weight = flat[:, : -len(CLASSES)].reshape(len(flat), len(CLASSES), -1)
        heads = Heads(weight.contiguous(), flat[:, -len(CLASSES) :].contiguous())
        about = {
            name: {"title": model_title(name), "training": images}
            for name, images in trained["images"].items()
        }
        found = Trained(folder, Others(list(about), heads), {"models": about})
        with self._lock:
            self._trained[session] = found
            self._trained.move_to_end(session)
            if len(self._trained) > SESSIONS:
                self._trained.popitem(last=False)

    def find(self, session: str | None) -> Trained:
        """The session's models.

        Raises:
            UserError: there are none, or too many others ran the lab since.
        """
        found = self._trained.get(session or "")
        if found is None:
            raise UserError(GONE)
        return found


KEPT = Kept()


@lru_cache(maxsize=1)
def predictor(folder: Path) -> Predictor:
    """The backbone that the lab's models read, ready to run."""
    return Predictor(Snapshot.open(folder))


def answer(
    request: gr.Request,
    xray: DecodedXray,
    picture: Image.Image,
    example: Example | None = None,
    number: int | None = None,
) -> str:
    """What the lab's models say of an X-ray, as HTML.

    Raises:
        UserError: the visitor has none.
    """
    trained = KEPT.find(session_of(request))
    prediction = predictor(trained.folder).predict(xray, trained.others)
    label = "your last run in the lab"
    return Answer(picture, prediction, trained.config, None, label, example, number).html()
