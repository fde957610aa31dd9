"""Secure aggregation: the sum is exact, a message is noise, and nobody's update gets out."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.stats import chisquare

from fedmed.errors import UserError
from fedmed.federated import rounds
from fedmed.federated.algorithm import Round
from fedmed.federated.algorithms.fedavg import FedAvg
from fedmed.federated.attendance import EVERYONE, Attendance
from fedmed.federated.channel import Channel
from fedmed.federated.messages import decode, layout_of
from fedmed.federated.rounds import federate
from fedmed.federated.transforms import FORMATS, Senders
from fedmed.privacy.masks import Keys
from fedmed.privacy.secure_aggregation import (
    FRACTION_BITS,
    MOST,
    SecureAggregation,
    check_attendance,
)
from fedmed.training.local_training import train_heads
from fedmed.training.optimizer import Optimisation
from fedmed.training.tensors import Tensors, pick
from tests.support.sites import OPTIMISATION, skewed, zero_head

NAMES = tuple(f"hospital_{number}" for number in range(1, 6))
SENDERS = Senders(NAMES, torch.tensor([415, 230, 160, 170, 265]))
NOW = Round(1, NAMES, range(3), Optimisation(), 0, train_heads)


def updates(scale: float = 0.1) -> Tensors:
    generator = torch.Generator().manual_seed(5)
    return {
        "weight": scale * torch.randn(5, 2, 64, generator=generator),
        "bias": scale * torch.randn(5, 2, generator=generator),
    }


def channel(keys: Keys) -> Channel:
    return Channel(up=(SecureAggregation(keys),))


def plain_sum(tensor: torch.Tensor, senders: Senders) -> torch.Tensor:
    """What the server may know, added up in the open: samples times updates in fixed point."""
    weighed = tensor.double() * senders.samples.reshape(-1, *[1] * (tensor.ndim - 1))
    return (weighed * 2**FRACTION_BITS).round().sum(0)


def test_the_masked_sum_is_the_plain_sum_to_the_bit() -> None:
    keys, sent = Keys.draw(NAMES), updates()
    messages, _ = channel(keys).send(sent, {}, SENDERS, NOW)
    expected = layout_of(pick(sent, 0))
    # The server has no private key.
    mean, counted = channel(keys.at_the_server()).receive(messages, expected, SENDERS, NOW)
    total = SENDERS.samples.sum()
    assert counted.samples.tolist() == [total]
    for name, tensor in sent.items():
        exact = plain_sum(tensor, SENDERS) / 2**FRACTION_BITS / total
        assert torch.equal(mean[name][0], exact.float())


def test_hospitals_whose_tensors_come_in_another_order_take_part() -> None:
    """As one whose update was read from a file."""
    keys, sent = Keys.draw(NAMES), updates()
    messages = []
    for h, name in enumerate(NAMES):
        own = {key: tensor[h : h + 1] for key, tensor in sent.items()}
        ordered = dict(sorted(own.items(), reverse=bool(h % 2)))
        who = Senders((name,), SENDERS.samples[h : h + 1])
        messages += channel(keys).send(ordered, {}, who, NOW)[0]
    expected = layout_of(pick(sent, 0))
    mean, _ = channel(keys.at_the_server()).receive(messages, expected, SENDERS, NOW)
    for name, tensor in sent.items():
        exact = plain_sum(tensor, SENDERS) / 2**FRACTION_BITS / SENDERS.samples.sum()
        assert torch.equal(mean[name][0], exact.float())


def test_a_message_is_uniform_noise_without_the_others() -> None:
    keys = Keys.draw(NAMES)
    zeros = {"weight": torch.zeros(5, 2, 4096)}
    messages, _ = channel(keys).send(zeros, {}, SENDERS, NOW)
    layout = SecureAggregation(keys).layout(layout_of(pick(zeros, 0)))
    numbers = decode(messages, layout)["weight"]
    for several in (numbers[:1], numbers[:4]):  # one hospital's, and all but one together
        summed = several.numpy().view(np.uint64).sum(0)
        counts = np.bincount(summed.view(np.uint8).ravel(), minlength=256)
        assert chisquare(counts).pvalue > 1e-9
    assert not numbers.numpy().view(np.uint64).sum(0).any(), "together the masks are gone"


def test_the_server_never_sees_a_hospitals_update(monkeypatch: pytest.MonkeyPatch) -> None:
    sites, seen, messages = skewed(), [], []
    aggregate = FedAvg.aggregate
    encode = rounds.Channel.send

    def watched(self, server, sent, samples, now):
        seen.append((sent, samples))
        return aggregate(self, server, sent, samples, now)

    def heard(self, sent, kept, senders, now):
        messages.append((sent, *encode(self, sent, kept, senders, now)))
        return messages[-1][1:]

    monkeypatch.setattr(FedAvg, "aggregate", watched)
    monkeypatch.setattr(rounds.Channel, "send", heard)
    options = {"algorithm": FedAvg(), "model": zero_head(), "local_epochs": 2, "seed": 42}
    hidden = federate(
        sites,
        rounds=3,
        optimisation=OPTIMISATION,
        channel=channel(Keys.draw([site.name for site in sites])),
        **options,
    )
    assert len(seen) == 3
    for sent, samples in seen:
        assert samples.tolist() == [sum(len(site.labels) for site in sites)]
        assert {len(tensor) for tensor in sent.values()} == {1}
    for sent, raw, _ in messages:
        for h in range(5):
            # The bytes of no number of the update are in what travels.
            assert sent["weight"][h].numpy()[0, :4].tobytes() not in raw[h]
    plain = federate(sites, rounds=3, optimisation=OPTIMISATION, **options)
    apart = (hidden.model["weight"] - plain.model["weight"]).abs().max()
    assert apart < 1e-6
    assert hidden.ledger.up[0]["hospital_1"] > 2 * 1026 * 4, "64 bits a number are counted"


def test_fresh_masks_change_no_bit() -> None:
    """So a run that goes on with keys of its own ends as if it had never stopped."""
    sent, expected = updates(), layout_of(pick(updates(), 0))
    means = []
    for _ in range(2):
        way = channel(Keys.draw(NAMES))
        messages, _ = way.send(sent, {}, SENDERS, NOW)
        means.append((messages, way.receive(messages, expected, SENDERS, NOW)[0]))
    assert means[0][0] != means[1][0]
    assert all(torch.equal(means[0][1][name], means[1][1][name]) for name in sent)


def test_where_one_is_missing_the_round_is_repeated_without_it() -> None:
    keys, sent = Keys.draw(NAMES), updates()
    expected = layout_of(pick(sent, 0))
    left = Senders(NAMES[:2] + NAMES[3:], SENDERS.samples[[0, 1, 3, 4]])
    remaining = {name: tensor[[0, 1, 3, 4]] for name, tensor in sent.items()}
    mean, counted, messages, _ = channel(keys).exchange(remaining, {}, expected, left, NOW)
    assert counted.samples.tolist() == [left.samples.sum()]
    for name, tensor in remaining.items():
        exact = plain_sum(tensor, left) / 2**FRACTION_BITS / left.samples.sum()
        assert torch.equal(mean[name][0], exact.float())
    # Both attempts count. Their masks differ, or their difference would be an update.
    size = len(messages[0]) // 2
    both = [messages[0][:size], messages[0][size:]]
    layout = SecureAggregation(keys).layout(expected)
    first, second = (decode([message], layout) for message in both)
    assert not torch.equal(first["weight"], second["weight"])


def test_a_masked_run_that_loses_hospitals_ends_as_a_plain_one_but_for_rounding() -> None:
    sites, sometimes = skewed(), Attendance(drop_out=0.2)
    options = {
        "algorithm": FedAvg(), "model": zero_head(), "local_epochs": 2, "seed": 3, "rounds": 4,
        "optimisation": OPTIMISATION, "attendance": sometimes,
    }  # fmt: skip
    names = [site.name for site in sites]
    hidden = federate(sites, channel=channel(Keys.draw(names)), **options)
    plain = federate(sites, **options)
    assert (hidden.model["weight"] - plain.model["weight"]).abs().max() < 1e-6
    sizes = [next(iter(entry.values())) for entry in hidden.ledger.up]
    whole = [len(entry) == len(names) for entry in hidden.ledger.up]
    assert {True, False} == set(whole)
    once = {size for size, complete in zip(sizes, whole, strict=True) if complete}
    twice = set(sizes) - once
    assert len(once) == 1 and twice == {2 * once.pop()}, "a repeated round is counted twice"


def test_too_few_hospitals_left_are_told_before_the_first_round() -> None:
    check_attendance(EVERYONE, 3, 20, 42)
    with pytest.raises(UserError, match=r"in round \d+ [12] of 4 hospitals would answer"):
        check_attendance(Attendance(drop_out=0.5), 4, 20, 42)


def test_with_all_there_nothing_is_repeated() -> None:
    sent, way = updates(), channel(Keys.draw(NAMES))
    _, _, messages, _ = way.exchange(sent, {}, layout_of(pick(sent, 0)), SENDERS, NOW)
    assert messages == way.send(sent, {}, SENDERS, NOW)[0]


def test_masks_hide_one_set_of_numbers_only() -> None:
    keys, sent = Keys.draw(NAMES), updates()
    first, _ = channel(keys).send(sent, {}, SENDERS, NOW)
    assert channel(keys).send(sent, {}, SENDERS, NOW)[0] == first, "a lost message is sent again"
    with pytest.raises(UserError, match="start a new round"):
        channel(keys).send(updates(0.2), {}, SENDERS, NOW)
    channel(keys).send(updates(0.2), {}, SENDERS, replace(NOW, number=2))


@pytest.mark.parametrize("count", [1, 2, MOST + 1])
def test_too_few_hospitals_hide_nothing_and_too_many_take_for_ever(count: int) -> None:
    names = tuple(f"hospital_{number}" for number in range(count))
    now = replace(NOW, hospitals=names)
    with pytest.raises(UserError, match="from 3 to 200"):
        channel(Keys({})).send(
            {"bias": torch.zeros(count, 2)}, {}, Senders(names, torch.ones(count)), now
        )


def test_a_number_that_would_wrap_around_is_refused() -> None:
    with pytest.raises(UserError, match="lower --learning-rate"):
        channel(Keys.draw(NAMES)).send(updates(1e7), {}, SENDERS, NOW)


def test_a_stranger_has_no_key() -> None:
    keys = Keys.draw(NAMES[:4])
    with pytest.raises(UserError, match="hospital_5 has no key"):
        channel(keys).send(updates(), {}, SENDERS, NOW)


def test_an_algorithm_that_needs_every_update_is_refused() -> None:
    class Median(FedAvg):
        name = "median"
        additive = False

    with pytest.raises(UserError, match="median needs every hospital's message"):
        channel(Keys.draw(NAMES)).check(Median())


@pytest.mark.parametrize("format", ["fp16", "int8"])
def test_rounded_updates_are_refused(format: str) -> None:
    way = Channel(up=(*FORMATS[format], SecureAggregation(Keys.draw(NAMES))))
    sent = updates()
    messages, _ = way.send(sent, {}, SENDERS, NOW) if format == "fp16" else ([b""] * 5, {})
    with pytest.raises(UserError, match="leave out --quantize"):
        way.receive(messages, layout_of(pick(sent, 0)), SENDERS, NOW)
