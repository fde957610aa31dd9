"""Flower's grid as a `Wire`."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from importlib.metadata import version

from flwr.app import Message, MessageType
from flwr.serverapp import Grid

from fedmed.flower.names import printable_text
from fedmed.flower.records import pack, unpack
from fedmed.flower.roster import TELL_SECONDS
from fedmed.flower.terms import Content
from fedmed.flower.wire import Answer, Failure

KINDS = {
    "join": MessageType.QUERY,
    "keys": f"{MessageType.QUERY}.keys",
    "train": MessageType.TRAIN,
    "evaluate": MessageType.EVALUATE,
}
POLL_SECONDS = 0.5
NODE_UNAVAILABLE = 5  # flwr.common.constant.ErrorCode


class GridWire:
    """Messages by way of a SuperLink."""

    def __init__(self, grid: Grid, *, tls: bool) -> None:
        self._grid = grid
        self.tls = tls
        self.engine = f"Flower {version('flwr')}"

    def online(self) -> dict[int, str]:
        return {node.node_id: node.name for node in self._grid.get_nodes()}

    def ask(
        self,
        kind: str,
        messages: Mapping[int, Content],
        seconds: float,
        awaited: Callable[[list[int]], None],
    ) -> dict[int, Answer]:
        pushed = [
            Message(
                pack(content),
                dst_node_id=node,
                message_type=KINDS[kind],
                ttl=seconds,
            )
            for node, content in messages.items()
        ]
        sent = self._grid.push_messages(pushed)
        waiting = dict(zip(sent, messages, strict=True))
        answers: dict[int, Answer] = {}
        begun = told = time.monotonic()
        while waiting and time.monotonic() - begun < seconds:
            for reply in self._grid.pull_messages(list(waiting)):
                node = waiting.pop(reply.metadata.reply_to_message_id)
                answers[node] = _answer(reply)
            if waiting and time.monotonic() - told >= TELL_SECONDS:
                told = time.monotonic()
                awaited(list(waiting.values()))
            time.sleep(POLL_SECONDS)
        late = Failure(f"it did not answer within {seconds:.0f} s")
        return {node: answers.get(node, late) for node in messages}


def _answer(reply: Message) -> Answer:
    if reply.has_error():
        if reply.error.code == NODE_UNAVAILABLE:
            return Failure("it went away")
        return Failure(f"its process failed ({printable_text(reply.error.reason or '')[:100]})")
    content = unpack(reply.content)
    return Failure("its answer is none of FedMed's") if content is None else content
