"""Secure aggregation between machines: the same head, and no update that anybody could read."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.stats import chisquare

from fedmed.errors import UserError
from fedmed.experiment.choices import ALGORITHMS, NEED_THREE
from fedmed.federated.messages import decode
from fedmed.flower.hospital import UNABLE
from fedmed.flower.key_exchange import KeyExchange
from fedmed.flower.own_key import ANOTHER_KEY
from fedmed.flower.record import Record
from fedmed.flower.replay import replay
from fedmed.privacy.masks import Keys
from fedmed.privacy.secure_aggregation import FRACTION_BITS, SecureAggregation
from tests.support.machines import (
    MIXES,
    WIDTH,
    LocalWire,
    coordinator,
    hospitals,
    killed,
    same,
    sites,
)

FOUR = [*MIXES, (40, 50)]
SECURE = {"secure_aggregation": True}
ADDITIVE = [name for name in ALGORITHMS if name not in NEED_THREE]


def in_process(folder, mixes=MIXES):
    return replay(Record.load(folder), sites(mixes), width=WIDTH, simulated=True)


def numbers(update, run):
    """A masked update's whole numbers, [n], modulo 2^64."""
    layout = run.algorithm.expected(run.algorithm.init(*_start())[0])
    tensors = decode([update], SecureAggregation(Keys({})).layout(layout))
    return np.concatenate([t.numpy().view(np.uint64).ravel() for t in tensors.values()])


def _start():
    from tests.support.sites import zero_head

    return zero_head(WIDTH), torch.ones(3, dtype=torch.int64)


@pytest.mark.parametrize("algorithm", ADDITIVE)
def test_it_ends_with_the_bits_of_the_masked_run_in_one_process(algorithm, tmp_path):
    wire = LocalWire(hospitals(tmp_path))
    state = coordinator(wire, tmp_path / "out", algorithm=algorithm, **SECURE).run()
    expected = in_process(tmp_path / "out")
    assert same(state.model, expected.model)
    assert state.ledger == expected.ledger
    assert "masks hide every hospital's update" in Record.load(tmp_path / "out").privacy


def test_the_server_gets_noise_from_each_and_the_mean_from_all(tmp_path):
    """All that comes over the wire is looked at: nobody's update is in it, and their sum is."""
    seen: dict[str, bytes] = {}

    def look(node, kind, message, answer):
        if kind == "train" and message["round"] == 1:
            seen[answer["hospital"]] = answer["update"]
        return answer

    mixes = [(600, 600)] * 3
    run = coordinator(
        LocalWire(hospitals(tmp_path / "a", mixes), look), tmp_path / "masked", **SECURE
    )
    run.run()
    plain: dict[str, bytes] = {}

    def look_at_plain(node, kind, message, answer):
        if kind == "train" and message["round"] == 1:
            plain[answer["hospital"]] = answer["update"]
        return answer

    open_run = coordinator(
        LocalWire(hospitals(tmp_path / "b", mixes), look_at_plain), tmp_path / "plain"
    )
    open_run.run()
    layout = open_run.algorithm.expected(open_run.algorithm.init(*_start())[0])
    total = np.zeros(2 * WIDTH + 2, np.uint64)
    for name, update in seen.items():
        sent = decode([plain[name]], layout)
        flat = torch.cat([tensor.reshape(-1).double() for tensor in sent.values()])
        samples = float(run._samples([name]))
        hidden = (flat * samples * 2**FRACTION_BITS).round().long().numpy().view(np.uint64)
        masked = numbers(update, run)
        assert not (masked == hidden).any()
        assert plain[name] not in update
        total += masked - hidden
    assert not total.any(), "together the masks are gone"


def test_a_masked_message_is_uniform(tmp_path):
    """Over many runs: every byte of one hospital's message is as likely as any other."""
    drawn = []

    def look(node, kind, message, answer):
        if kind == "train" and node == 101:
            drawn.append(numbers(answer["update"], run))
        return answer

    for attempt in range(12):
        wire = LocalWire(hospitals(tmp_path / str(attempt)), look)
        run = coordinator(wire, tmp_path / f"out_{attempt}", **SECURE)
        run.run()
    counts = np.bincount(np.concatenate(drawn).view(np.uint8), minlength=256)
    assert chisquare(counts).pvalue > 1e-6


def test_a_round_is_repeated_without_who_is_missing(tmp_path):
    def away_in_round_2(node, kind, message, answer):
        gone = kind == "train" and message["round"] == 2 and node == 102
        return {"hospital": "hospital_2", "refusal": "I am away"} if gone else answer

    wire = LocalWire(hospitals(tmp_path, FOUR), away_in_round_2)
    state = coordinator(wire, tmp_path / "out", min_hospitals=3, **SECURE).run()
    record = Record.load(tmp_path / "out")
    assert record.rounds[1]["hospitals"] == ["hospital_1", "hospital_3", "hospital_4"]
    assert record.rounds[1]["missing"] == {"hospital_2": "I am away"}
    assert record.rounds[2]["missing"] == {}
    assert [nodes for kind, nodes in wire.asked if kind == "train"][1:3] == [
        [101, 102, 103, 104],
        [101, 103, 104],
    ]
    assert same(state.model, in_process(tmp_path / "out", FOUR).model)
    up = state.ledger.up
    assert up[1]["hospital_1"] == 2 * up[0]["hospital_1"]


def test_of_two_that_are_left_no_round_is_made(tmp_path):
    def away(node, kind, message, answer):
        gone = kind == "train" and node == 102
        return {"hospital": "hospital_2", "refusal": "I am away"} if gone else answer

    wire = LocalWire(hospitals(tmp_path), away)
    with pytest.raises(UserError, match="never had the 3 hospitals"):
        coordinator(wire, tmp_path / "out", **SECURE).run()
    assert sum(kind == "train" for kind, _ in wire.asked) == 1


def test_keys_are_asked_for_once_and_again_where_one_was_lost(tmp_path):
    def loses(node, kind, message, answer):
        if kind == "train" and message["round"] == 1 and node == 102:
            for name in ("masks.key", "hidden.json"):
                next(tmp_path.glob(f"hospital_2/runs/*/{name}")).unlink()
        return answer

    wire = LocalWire(hospitals(tmp_path, FOUR), loses)
    state = coordinator(wire, tmp_path / "out", min_hospitals=3, **SECURE).run()
    assert [nodes for kind, nodes in wire.asked if kind == "keys"] == [
        [101, 102, 103, 104],
        [102],
    ]
    record = Record.load(tmp_path / "out")
    assert record.rounds[1]["missing"] == {"hospital_2": ANOTHER_KEY}
    assert "hospital_2" in record.rounds[2]["hospitals"]
    assert same(state.model, in_process(tmp_path / "out", FOUR).model)


def test_a_hospital_hides_nothing_else_under_the_same_masks(tmp_path, capsys):
    """A server that asks for one round twice, from two starts, would see their difference."""
    wire = LocalWire(hospitals(tmp_path))
    sent = {}

    def look(node, kind, message, answer):
        if kind == "train" and node == 101:
            sent[message["round"]] = message, answer
        return answer

    wire.spoil = look
    coordinator(wire, tmp_path / "out", **SECURE).run()
    message, answer = sent[3]
    asked = wire.there[0].answer
    assert asked("train", message) == answer, "the same question gets the same bytes"
    lied = message | {"counted": 0, "held": sent[1][0]["broadcast"]}
    assert asked("train", lied)["refusal"] == UNABLE
    assert "hide other numbers under the masks of round 3 again" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("spoiled", "why"),
    [
        (lambda keys: keys[:-1], "no key for each hospital"),
        (lambda keys: keys[:32] * 3, "the same key"),
        (lambda keys: keys[32:64] + keys[:32] + keys[64:], ANOTHER_KEY),
        (lambda keys: None, "no key for each hospital"),
    ],
)
def test_keys_that_are_none_are_refused(spoiled, why, tmp_path, monkeypatch):
    told = KeyExchange.told
    monkeypatch.setattr(KeyExchange, "told", lambda self, names: spoiled(told(self, names)))
    wire = LocalWire(hospitals(tmp_path))
    with pytest.raises(UserError, match=why):
        coordinator(wire, tmp_path / "out", **SECURE).run()


@pytest.mark.parametrize("answer", [b"short", "text", bytes(33)])
def test_a_key_that_is_none_costs_its_hospital_the_round(answer, tmp_path):
    def spoil(node, kind, message, said):
        wrong = kind == "keys" and node == 104
        return said | {"public_key": answer} if wrong else said

    wire = LocalWire(hospitals(tmp_path, FOUR), spoil)
    coordinator(wire, tmp_path / "out", min_hospitals=3, **SECURE).run()
    record = Record.load(tmp_path / "out")
    assert all(r["missing"] == {"hospital_4": "its public key is none"} for r in record.rounds)
    assert [nodes for kind, nodes in wire.asked if kind == "train"] == [[101, 102, 103]] * 3


def test_a_coordinator_that_is_killed_goes_on_to_the_same_bits(tmp_path):
    whole = coordinator(LocalWire(hospitals(tmp_path / "a")), tmp_path / "whole", **SECURE).run()
    wire = LocalWire(hospitals(tmp_path / "b"))
    with killed():
        coordinator(wire, tmp_path / "out", **SECURE).run()
    assert same(coordinator(wire, tmp_path / "out", **SECURE).run().model, whole.model)


def test_a_private_key_can_be_read_by_its_owner_alone(tmp_path):
    coordinator(LocalWire(hospitals(tmp_path)), tmp_path / "out", rounds=1, **SECURE).run()
    keys = [*tmp_path.rglob("masks.key")]
    assert len(keys) == 3
    assert all(key.stat().st_mode & 0o077 == 0 for key in keys)
    assert len({key.read_bytes() for key in keys}) == 3
