"""The rounds of a federation between machines: `federated.rounds`, where some may not answer."""

from __future__ import annotations

import secrets
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path

import torch

from fedmed.backbones.backbone import Backbone
from fedmed.errors import UserError
from fedmed.federated.algorithm import Algorithm, Round
from fedmed.federated.algorithms import make_algorithm
from fedmed.federated.channel import Channel
from fedmed.federated.messages import TransportError, encode
from fedmed.federated.rounds import count_images, start
from fedmed.federated.state import State
from fedmed.federated.transforms import Senders
from fedmed.flower import networks
from fedmed.flower.aggregation import read_and_aggregate
from fedmed.flower.counts import adds_up, are_noisy, rates
from fedmed.flower.hospital import LOST
from fedmed.flower.key_exchange import KeyExchange
from fedmed.flower.names import printable_text
from fedmed.flower.options import Options
from fedmed.flower.protected import protection, public_space, words
from fedmed.flower.record import Record
from fedmed.flower.roster import Roster
from fedmed.flower.terms import Content, Terms
from fedmed.flower.wire import Answer, Failure, Wire, unusable
from fedmed.privacy.masks import Keys
from fedmed.privacy.rows import Space
from fedmed.privacy.secure_aggregation import SecureAggregation
from fedmed.progress import say
from fedmed.training.recipe import RECIPES
from fedmed.training.tensors import join, repeat

STATE = "state.safetensors"
BY_KEY = "every hospital signs with a key of its own that the coordinator registered"


@dataclass
class Coordinator:
    """Runs a federation over a wire, and writes down each round in `options.folder`.

    A run that was stopped, however, goes on from its last round and ends with the same bits, if the
    options are the same and the folder is.
    """

    options: Options
    backbone: Backbone
    wire: Wire
    algorithm: Algorithm = field(init=False)
    channel: Channel = field(init=False)
    roster: Roster = field(init=False)
    record: Record = field(init=False)
    space: Callable[[Backbone, Path], Space] = public_space
    _keys: KeyExchange = field(default_factory=KeyExchange)
    _lost: set[str] = field(default_factory=set)  # who kept nothing of the rounds it took part in

    def run(self) -> State:
        """Train until the rounds are done; return the state after the last.

        Raises:
            UserError: too few hospitals came or answered in time, or an option is none.
        """
        folder, options = self.options.folder, self.options
        folder.mkdir(parents=True, exist_ok=True)
        found = Record.load(folder)
        self._begin(found)
        state = State.load(folder / STATE) if found and (folder / STATE).exists() else None
        start = self.options.least if state else options.hospitals
        self.roster.wait(start, "Waiting for hospitals")
        if state is None:
            state = self._start()
        else:
            say(f"Going on after round {state.round}, which {folder} holds.")
            del self.record.rounds[state.round :]
        last = min(options.rounds, self.algorithm.most_rounds or options.rounds)
        while state.round < last and not self.algorithm.finished(state.server):
            state = self._round(state)
            # The record first: rounds that it has more than the state are asked for again.
            self.record.save(folder)
            state.save(folder / STATE)
        networks.write_model(folder, self.roster.terms, state.model, self.backbone)
        self._evaluate(state)
        self.record.finished = True
        self.record.save(folder)
        say(f"Done: {state.round} rounds. Model and record lie in {folder}.")
        return state

    def _begin(self, found: Record | None) -> None:
        options = self.options
        given = asdict(options) | {"run": secrets.token_hex(8), "backbone": self.backbone.sha256}
        terms = Terms(**{one.name: given[one.name] for one in fields(Terms) if one.name in given})
        terms = Terms.read(terms.text())  # an option that is none is refused here
        if found:
            before = Terms.read(found.terms)
            if replace(terms, run=before.run) != before:
                raise UserError(
                    f"{options.folder} holds a federation with other options: give those again "
                    "to go on with it, or name another output"
                )
            terms = before
        self.algorithm = make_algorithm(terms.algorithm, networks=terms.of_networks)
        if terms.epsilon and terms.algorithm == "class-means":  # whose sums are of rows in it
            space = self.space(self.backbone, options.folder / "features")
            self.algorithm = protection(terms, [], space=space).fit(self.algorithm)
        self.channel = Channel.of(terms.format, networks=terms.of_networks)
        if terms.secure_aggregation:  # without any private key: masks come off in the sum alone
            self.channel = replace(self.channel, up=(SecureAggregation(Keys({})),))
        if self.algorithm.needs_everyone and options.least < options.hospitals:
            raise UserError(
                f"{terms.algorithm} needs every hospital in every round: leave out min-hospitals, "
                "or choose an algorithm that averages, as fedavg"
            )
        self.roster = Roster(self.wire, terms, options)
        if found:
            self.roster.told |= found.hospitals
        engine, _, version = self.wire.engine.partition(" ")
        self.record = found or Record(
            engine, version, self.wire.tls, "none", words(terms), terms.text(), []
        )

    def _start(self) -> State:
        """Return the state before round 1, of the hospitals that are there."""
        self.record.rounds.clear()  # one that was written down, and its state not any more
        names, told = self.roster.names, self.roster.told
        if self.roster.terms.epsilon:  # no class weighs more: every patient counts the same
            self.record.class_weights = [1.0, 1.0]
            self.record.public = [sum(told[name]["patients"] for name in names), len(names)]
        else:
            images = [told[name]["images"] for name in names]
            normal, pneumonia = (sum(each) for each in zip(*images, strict=True))
            recipe = RECIPES[self.roster.terms.recipe]
            if recipe.balanced and not (normal and pneumonia):
                raise UserError("all hospitals together have X-rays of one class only")
            self.record.class_weights = [*recipe.class_weights(normal, pneumonia)]
        model = networks.start(self.roster.terms, self.backbone)
        # What hospitals keep stays with them.
        return replace(start(self.algorithm, model, self._samples(names)), own={})

    def _round(self, state: State) -> State:
        """Return the state after the next round that enough hospitals took part in."""
        number = state.round + 1
        until = time.monotonic() + self.options.wait_seconds
        while True:
            least = self._least()
            present = self.roster.wait(least, f"Round {number}")
            after, answered, missing = self._try(state, number, present)
            if after is not None:
                return after
            reasons = "; ".join(f"{name}: {why}" for name, why in missing.items())
            say(f"Round {number} does not count: {len(answered)} of {least} ({reasons}).")
            if time.monotonic() > until:
                raise UserError(
                    f"round {number} never had the {least} hospitals that it needs ({reasons}); "
                    "mend them, or lower min-hospitals, and run again to go on"
                )

    def _least(self) -> int:
        return len(self.roster.told) if self.algorithm.needs_everyone else self.options.least

    def _try(
        self, state: State, number: int, present: Sequence[str]
    ) -> tuple[State | None, list[str], dict[str, str]]:
        """Ask for one round: return the state after it, if enough answered, who, and why not."""
        now = self._now(number, present)
        down = self.channel.broadcast(self.algorithm.broadcast(state.server), state.held, now)
        held = self.channel.hold(down, state.held, now)
        up, sizes = Counter[str](), Counter[str]()
        missing = {n: "it was not there" for n in self.roster.names if n not in present}
        missing |= self._exchange_keys(number, present)
        answered = [name for name in present if name not in missing]
        while len(answered) >= self._least():
            received, why_not = self._asked(state, self._now(number, answered), down, up, sizes)
            missing |= why_not
            asked, answered = answered, [name for name in answered if name in received]
            if answered == asked or not self.roster.terms.secure_aggregation:
                break
            say(f"Round {number} once more, among those who answered: masks cancel in all's sum.")
        if len(answered) < self._least():
            return None, answered, missing
        now, sent = self._now(number, answered), {name: received[name] for name in answered}
        server = read_and_aggregate(
            self.algorithm, self.channel, state.server, sent, self._samples(answered), now
        )
        self._lost -= set(answered)
        self.record.hospitals = {name: self.roster.told[name] for name in self.roster.names}
        keys = all(name in self.roster.known_by_key for name in self.record.hospitals)
        self.record.authentication = BY_KEY if keys else "none"
        self.record.tls &= self.wire.tls
        self.record.refused = dict(self.roster.refused)
        self.record.after(number, answered, missing)
        model = repeat(self.algorithm.model(server), 1)
        say(
            f"Round {number} of {self.roster.terms.rounds}: {', '.join(answered)}"
            + "".join(f"; without {name} ({why})" for name, why in missing.items())
        )
        return (
            replace(
                state,
                server=server,
                held=held,
                # Of networks, those of several rounds would fill the memory.
                models=model if self.roster.terms.of_networks else join([state.models, model]),
                ledger=state.ledger.after(up=dict(up), down=dict(sizes)),
            ),
            answered,
            missing,
        )

    def _asked(
        self, state: State, now: Round, down: bytes, up: Counter[str], sizes: Counter[str]
    ) -> tuple[dict[str, bytes], dict[str, str]]:
        """Ask a round's hospitals; return what each sent, and why others did not.

        Bytes are added to `up` and `sizes`, of what goes down.
        """
        terms = self.roster.terms
        counted = {name: self._counted(name) for name in now.hospitals}
        behind = [name for name in counted if counted[name] != now.number - 1 and state.held]
        whole = encode({n: t[None] for n, t in state.held.items()}, 1)[0] if behind else b""
        messages: dict[int, Content] = {}
        for name in now.hospitals:
            again = whole if name in behind else b""
            messages[self.roster.nodes[name]] = {
                "terms": terms.text(),
                "round": now.number,
                "hospitals": [*now.hospitals],
                "class_weights": self.record.class_weights,
                "counted": counted[name],
                "held": again,
                "broadcast": down,
            }
            if terms.epsilon:
                messages[self.roster.nodes[name]]["public"] = self.record.public
            if terms.secure_aggregation:
                messages[self.roster.nodes[name]]["keys"] = self._keys.told(now.hospitals)
            sizes[name] += len(down) + len(again)
        what = f"Round {now.number}"
        answers = self._ask("train", messages, what, self.options.round_seconds)
        received, why_not = self._received(state, now.number, answers, now)
        up.update({name: len(message) for name, message in received.items()})
        self._lost |= {name for name, why in why_not.items() if why == LOST}
        self._keys.forget(why_not)
        return received, why_not

    def _exchange_keys(self, number: int, present: Sequence[str]) -> dict[str, str]:
        """Get the public keys of a masked round; return why some could not be had."""
        if not self.roster.terms.secure_aggregation:
            return {}
        about: Content = {"terms": self.roster.terms.text()}

        def ask(names: Sequence[str]) -> dict[str, Answer]:
            messages = {self.roster.nodes[name]: about for name in names}
            return self._ask("keys", messages, f"Round {number}, keys", self.options.round_seconds)

        return self._keys.ask(present, ask)

    def _counted(self, name: str) -> int:
        """Return the last round that a hospital's answer counted in and that it still knows."""
        if name in self._lost:
            return 0
        return max((r["round"] for r in self.record.rounds if name in r["hospitals"]), default=0)

    def _received(
        self, state: State, number: int, answers: dict[str, Answer], now: Round
    ) -> tuple[dict[str, bytes], dict[str, str]]:
        """Return each hospital's message that can be read; of others, why there is none."""
        expected = self.algorithm.expected(state.server)
        received: dict[str, bytes] = {}
        missing: dict[str, str] = {}
        for name, answer in answers.items():
            why = unusable("train", name, answer)
            if not why and not isinstance(answer, Failure):
                update = answer["update"]
                if answer["round"] != number or not isinstance(update, bytes):
                    why = "its answer is none to this round"
                else:
                    who, alone = Senders((name,), self._samples([name])), (name,)
                    try:
                        self.channel.receive([update], expected, who, replace(now, hospitals=alone))
                        received[name] = update
                    except TransportError as error:
                        why = f"its message is refused: {printable_text(error)}"
            if why:
                missing[name] = why
        return received, missing

    def _evaluate(self, state: State) -> None:
        """Ask every hospital that is there for the last model's counts on those it held out."""
        here = self.roster.wait(0, "Evaluation")
        model = {name: tensor[None] for name, tensor in state.model.items()}
        content: Content = {"terms": self.roster.terms.text(), "model": encode(model, 1)[0]}
        messages = {
            self.roster.nodes[name]: content | {"counted": self._counted(name)} for name in here
        }
        answers = self._ask("evaluate", messages, "Evaluation", self.options.round_seconds)
        noisy = bool(self.roster.terms.epsilon)
        for name, answer in answers.items():
            why = unusable("evaluate", name, answer)
            if not why and not isinstance(answer, Failure):
                counts, held_out = answer["counts"], self.roster.told[name]["held_out"]
                if are_noisy(counts) if noisy else adds_up(counts, held_out):
                    self.record.evaluation[name] = counts
                    continue
                why = "its counts do not add up to the X-rays that it said it holds out"
            say(f"Evaluation without {name}: {why}.")
        if self.record.evaluation:
            say(rates(self.record.evaluation, noisy=noisy))

    def _ask(
        self, kind: str, messages: dict[int, Content], what: str, seconds: float
    ) -> dict[str, Answer]:
        def awaited(nodes: list[int]) -> None:
            say(f"{what}: awaited: {', '.join(self.roster.name(node) for node in nodes)}.")

        answers = self.wire.ask(kind, messages, seconds, awaited) if messages else {}
        return {self.roster.name(node): answer for node, answer in answers.items()}

    def _now(self, number: int, names: Sequence[str]) -> Round:
        return self.roster.terms.round(number, names, self._class_weights)

    def _samples(self, names: Sequence[str]) -> torch.Tensor:
        told = [self.roster.told[name] for name in names]
        private = bool(self.roster.terms.epsilon)  # then a patient is one row, whatever its class
        images = torch.tensor([[a["patients"], 0] if private else a["images"] for a in told])
        optimisation = self.roster.terms.optimisation(self._class_weights)
        return count_images(self.algorithm, images, optimisation)

    @property
    def _class_weights(self) -> tuple[float, float]:
        normal, pneumonia = self.record.class_weights
        return normal, pneumonia
