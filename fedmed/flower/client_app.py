"""Flower's ClientApp: every message goes to `Hospital`, and its answer back."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import torch
from flwr.app import Context, Message
from flwr.clientapp import ClientApp

from fedmed.flower.budget import Limits
from fedmed.flower.hospital import Hospital
from fedmed.flower.premises import Premises
from fedmed.flower.records import pack, unpack

app = ClientApp()


def _answer(kind: str, message: Message, context: Context) -> Message:
    torch.set_num_threads(int(os.environ.get("FEDMED_THREADS", "1")))
    own = {name: str(value) for name, value in context.node_config.items()}
    name, folder, home = own["hospital"], own["data"], Path(own["home"])
    more = {key: own[key] for key in ("backbone", "patients") if key in own}
    limits = Limits(_number(own, "max-epsilon"), _number(own, "max-total-epsilon"))
    hospital = Hospital(name, lambda: Premises.open(name, folder, home, **more), limits)
    answer = hospital.answer(kind, unpack(message.content) or {})
    return Message(pack(answer), reply_to=message)


def _number(own: Mapping[str, str], name: str) -> float | None:
    return float(own[name]) if name in own else None


@app.query()
def join(message: Message, context: Context) -> Message:
    return _answer("join", message, context)


@app.query("keys")
def keys(message: Message, context: Context) -> Message:
    return _answer("keys", message, context)


@app.train()
def train(message: Message, context: Context) -> Message:
    return _answer("train", message, context)


@app.evaluate()
def evaluate(message: Message, context: Context) -> Message:
    return _answer("evaluate", message, context)
