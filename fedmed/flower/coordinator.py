"""The rounds of a federation between machines: `federated.rounds`, where some may not answer."""

from __future__ import annotations

import math
import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import torch

from fedmed.backbones.backbone import Backbone
from fedmed.errors import UserError
from fedmed.federated.algorithm import Algorithm, Round
from fedmed.federated.algorithms import ALGORITHMS
from fedmed.federated.channel import Channel
from fedmed.federated.messages import TransportError, encode
from fedmed.federated.rounds import count_images
from fedmed.federated.state import State
from fedmed.federated.transforms import Senders
from fedmed.flower.hospital import LOST
from fedmed.flower.leaves import ANSWERS
from fedmed.flower.options import Options
from fedmed.flower.record import Record
from fedmed.flower.roster import Roster, printable_text
from fedmed.flower.terms import Content, Terms
from fedmed.flower.wire import Answer, Failure, Wire
from fedmed.progress import say
from fedmed.snapshot.reader import write_head
from fedmed.training.heads import Heads, new_heads
from fedmed.training.recipe import RECIPES
from fedmed.training.tensors import Tensors, join, pick, repeat

STATE, HEAD = "state.safetensors", "federated_model.safetensors"
NO_PRIVACY = "none: the coordinator sees every hospital's updates as they are"
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
        write_head(folder / HEAD, Heads.of(state.model), self.backbone)
        self._evaluate(state)
        self.record.finished = True
        self.record.save(folder)
        say(f"Done: {state.round} rounds. Head and record lie in {folder}.")
        return state

    def _begin(self, found: Record | None) -> None:
        options = self.options
        terms = Terms(
            run=secrets.token_hex(8),
            backbone=self.backbone.sha256,
            algorithm=options.algorithm,
            format=options.format,
            rounds=options.rounds,
            local_epochs=options.local_epochs,
            batch_size=options.batch_size,
            learning_rate=options.learning_rate,
            recipe=options.recipe,
            views=options.views,
            seed=options.seed,
        )
        terms = Terms.read(terms.text())  # an option that is none is refused here
        if found:
            before = Terms.read(found.terms)
            if replace(terms, run=before.run) != before:
                raise UserError(
                    f"{options.folder} holds a federation with other options: give those again "
                    "to go on with it, or name another output"
                )
            terms = before
        self.algorithm = ALGORITHMS[terms.algorithm]()
        self.channel = Channel.of(terms.format)
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
            engine, version, self.wire.tls, "none", NO_PRIVACY, terms.text(), []
        )

    def _start(self) -> State:
        """Return the state before round 1, of the hospitals that are there."""
        names, told = self.roster.names, self.roster.told
        normal, pneumonia = (sum(told[name]["images"][label] for name in names) for label in (0, 1))
        recipe = RECIPES[self.roster.terms.recipe]
        if recipe.balanced and not (normal and pneumonia):
            raise UserError("all hospitals together have X-rays of one class only")
        self.record.class_weights = [*recipe.class_weights(normal, pneumonia)]
        model = pick(new_heads(1, self.backbone.width).tensors(), 0)
        server, _ = self.algorithm.init(model, self._samples(names))
        nought = {n: torch.zeros_like(t) for n, t in self.algorithm.broadcast(server).items()}
        models = {n: t[:0] for n, t in repeat(self.algorithm.model(server), 1).items()}
        return State(server=server, own={}, held=nought, kept={}, models=models)

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
        terms = self.roster.terms
        now = self._now(number, present)
        down = self.channel.broadcast(self.algorithm.broadcast(state.server), state.held, now)
        held = self.channel.hold(down, state.held, now)
        whole = encode({name: t[None] for name, t in state.held.items()}, 1)[0]
        messages: dict[int, Content] = {}
        sizes: dict[str, int] = {}
        for name in present:
            counted = self._counted(name)
            again = b"" if counted == number - 1 or not state.held else whole
            messages[self.roster.nodes[name]] = {
                "terms": terms.text(),
                "round": number,
                "hospitals": [*present],
                "class_weights": self.record.class_weights,
                "counted": counted,
                "held": again,
                "broadcast": down,
            }
            sizes[name] = len(down) + len(again)
        answers = self._ask("train", messages, f"Round {number}", self.options.round_seconds)
        received, missing, up = self._received(state, number, answers, now)
        self._lost |= {name for name, why in missing.items() if why == LOST}
        answered = [name for name in present if name in received]
        away = {name: "it was not there" for name in self.roster.names if name not in present}
        missing = {**missing, **away}
        if len(answered) < self._least():
            return None, answered, missing
        now = replace(now, hospitals=tuple(answered))
        server = self.algorithm.aggregate(
            state.server, join([received[name] for name in answered]), self._samples(answered), now
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
            f"Round {number} of {terms.rounds}: {', '.join(answered)}"
            + "".join(f"; without {name} ({why})" for name, why in missing.items())
        )
        return (
            replace(
                state,
                server=server,
                held=held,
                models=join([state.models, model]),
                ledger=state.ledger.after(up=up, down=sizes),
            ),
            answered,
            missing,
        )

    def _counted(self, name: str) -> int:
        """Return the last round that a hospital's answer counted in and that it still knows."""
        if name in self._lost:
            return 0
        return max((r["round"] for r in self.record.rounds if name in r["hospitals"]), default=0)

    def _received(
        self, state: State, number: int, answers: dict[str, Answer], now: Round
    ) -> tuple[dict[str, Tensors], dict[str, str], dict[str, int]]:
        """Return what each hospital's message says, [1, ...]; of others, why there is none."""
        expected = self.algorithm.expected(state.server)
        received: dict[str, Tensors] = {}
        missing: dict[str, str] = {}
        sizes: dict[str, int] = {}
        for name, answer in answers.items():
            why = _unusable("train", name, answer)
            if not why and not isinstance(answer, Failure):
                update = answer["update"]
                if answer["round"] != number or not isinstance(update, bytes):
                    why = "its answer is none to this round"
                else:
                    who = Senders((name,), self._samples([name]))
                    try:
                        received[name], _ = self.channel.receive([update], expected, who, now)
                        sizes[name] = len(update)
                    except TransportError as error:
                        why = f"its message is refused: {printable_text(error)}"
            if why:
                missing[name] = why
        return received, missing, sizes

    def _evaluate(self, state: State) -> None:
        """Ask every hospital that is there for the last model's counts on those it held out."""
        here = self.roster.wait(0, "Evaluation")
        model = {name: tensor[None] for name, tensor in state.model.items()}
        content: Content = {"terms": self.roster.terms.text(), "model": encode(model, 1)[0]}
        messages = {self.roster.nodes[name]: content for name in here}
        answers = self._ask("evaluate", messages, "Evaluation", self.options.round_seconds)
        for name, answer in answers.items():
            why = _unusable("evaluate", name, answer)
            if not why and not isinstance(answer, Failure):
                counts, held_out = answer["counts"], self.roster.told[name]["held_out"]
                if _adds_up(counts, held_out):
                    self.record.evaluation[name] = counts
                    continue
                why = "its counts do not add up to the X-rays that it said it holds out"
            say(f"Evaluation without {name}: {why}.")
        if totals := [sum(each) for each in zip(*self.record.evaluation.values(), strict=True)]:
            tn, fp, fn, tp = totals
            rates = [
                tp / (tp + fn) if tp + fn else math.nan,
                tn / (tn + fp) if tn + fp else math.nan,
            ]
            say(
                f"On {sum(totals)} X-rays of patients held out at {len(self.record.evaluation)} "
                f"hospitals: recall {100 * rates[0]:.1f} %, specificity {100 * rates[1]:.1f} %."
            )

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
        images = torch.tensor([self.roster.told[name]["images"] for name in names])
        optimisation = self.roster.terms.optimisation(self._class_weights)
        return count_images(self.algorithm, images, optimisation)

    @property
    def _class_weights(self) -> tuple[float, float]:
        normal, pneumonia = self.record.class_weights
        return normal, pneumonia


def _unusable(kind: str, name: str, answer: Answer) -> str:
    """Why an answer cannot be used, before its numbers are looked at; empty where it can."""
    if isinstance(answer, Failure):
        return answer.why
    if "refusal" in answer:
        return printable_text(answer["refusal"])
    if set(answer) != set(ANSWERS[kind]) or answer["hospital"] != name:
        return "its answer has another form, or another hospital's name"
    return ""


def _adds_up(counts: object, held_out: Sequence[int]) -> bool:
    if not (isinstance(counts, list) and len(counts) == 4):
        return False
    if not all(type(n) is int and n >= 0 for n in counts):
        return False
    return [counts[0] + counts[1], counts[2] + counts[3]] == list(held_out)
