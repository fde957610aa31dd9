"""The outbox: what was sent is found again, to the bit, and nothing else is."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from fedmed.errors import UserError
from fedmed.privacy.outbox import Outbox

SENT = {"weight": torch.randn(2, 2, 3), "bias": torch.randn(2, 2)}
NAMES = ["hospital_1", "hospital_2"]


@pytest.fixture
def outbox(tmp_path: Path) -> Outbox:
    box = Outbox(tmp_path / "sent.safetensors")
    assert box.find(NAMES, range(3)) is None
    box.keep(SENT, NAMES, range(3, 6))
    return box


def test_what_was_sent_is_found(outbox: Outbox) -> None:
    found = outbox.find(NAMES, range(3, 6))
    assert found is not None and all(torch.equal(found[name], SENT[name]) for name in SENT)
    assert outbox.find(NAMES, range(6, 9)) is None, "the next round was not sent yet"


def test_a_round_before_that_is_not_trained_again(outbox: Outbox) -> None:
    with pytest.raises(UserError, match=r"a later round.*twice"):
        outbox.find(NAMES, range(3))


def test_other_hospitals_are_refused(outbox: Outbox) -> None:
    with pytest.raises(UserError, match="other hospitals"):
        outbox.find(NAMES[:1], range(3, 6))


@pytest.mark.parametrize("content", [b"", b"no tensors"])
def test_a_damaged_file_is_refused(outbox: Outbox, content: bytes) -> None:
    outbox.path.write_bytes(content)
    with pytest.raises(UserError):
        outbox.find(NAMES, range(3, 6))
