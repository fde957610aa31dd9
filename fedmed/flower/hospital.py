"""A hospital in a federation between machines: what it answers to a coordinator's messages."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import NoReturn, cast

import torch
from filelock import FileLock

from fedmed.errors import UserError
from fedmed.federated.algorithm import Algorithm, Round
from fedmed.federated.algorithms import make_algorithm
from fedmed.federated.algorithms.moments import Moments
from fedmed.federated.channel import Channel
from fedmed.federated.forgetful import Forgetful
from fedmed.federated.messages import TransportError, decode, layout_of
from fedmed.federated.rounds import count_images
from fedmed.federated.transforms import Senders
from fedmed.flower import networks
from fedmed.flower.budget import NO_LIMITS, Budget, Limits
from fedmed.flower.leaves import ANSWERS
from fedmed.flower.memory import Kept, Memory
from fedmed.flower.own_key import OwnKey
from fedmed.flower.premises import Premises
from fedmed.flower.protected import MOST, Public, protection
from fedmed.flower.terms import Content, Disagreement, Terms
from fedmed.progress import say
from fedmed.task import CLASSES
from fedmed.training.heads import Heads
from fedmed.training.local_training import Site
from fedmed.training.tensors import Tensors, pick, take

# What a hospital says that does not know any more what it should; it is then told all anew.
LOST = "it kept nothing of the round it should go on from"
# A private run needs no counts by class: what nobody needs is not told.
NOT_TOLD: Content = {"images": [], "held_out": []}
UNABLE = "it could not do what was asked; the hospital's own log says why"


@dataclass(frozen=True)
class Hospital:
    """Answers to `join`, `keys`, `train` and `evaluate`, from what `premises` opens.

    Every message stands for itself, for Flower starts a process for each. What one round leaves to
    the next lies in the hospital's home.
    """

    name: str
    premises: Callable[[], Premises]
    limits: Limits = NO_LIMITS

    def answer(self, kind: str, message: Mapping) -> Content:
        """Return what is sent back: of no other kind or form than `leaves.ANSWERS` tells.

        A refusal says what the two sides do not agree on. Whatever else goes wrong may name files
        and patients, and so is told in the hospital's log alone.
        """
        answers = {
            "join": self._join, "keys": self._keys, "train": self._train, "evaluate": self._evaluate
        }  # fmt: skip
        try:
            terms = Terms.read(message.get("terms"))
            answer = answers[kind](terms, message)
        except Disagreement as error:
            say(f"{kind}: refused: {error}")
            answer, kind = {"refusal": str(error)}, "refusal"
        except (UserError, TransportError) as error:
            say(f"{kind}: {error}")
            answer, kind = {"refusal": UNABLE}, "refusal"
        except Exception:
            traceback.print_exc()
            answer, kind = {"refusal": UNABLE}, "refusal"
        answer = {"hospital": self.name, **answer}
        if set(answer) != set(ANSWERS[kind]):
            raise RuntimeError(f"{kind}: {sorted(answer)} is not what may leave")
        say(_told(kind, answer))
        return answer

    def _join(self, terms: Terms, message: Mapping) -> Content:
        here = self._agreed(terms)
        say(self._budget(here).words())
        _site(terms, here)
        if terms.epsilon:
            here.space()
        if not terms.of_networks:
            here.held_out()
        return here.counts() | (NOT_TOLD if terms.epsilon else {})

    def _keys(self, terms: Terms, message: Mapping) -> Content:
        here = self._agreed(terms)
        with _alone(here):
            return {"public_key": OwnKey(here.home / "runs" / terms.run, self.name).public()}

    def _train(self, terms: Terms, message: Mapping) -> Content:
        here = self._agreed(terms)
        now = _round(terms, message)
        if self.name not in now.hospitals:
            raise Disagreement(f"the round is not one of {self.name}")
        # What was told before is looked up, and what is told now written down, by one at a time.
        with _alone(here):
            return self._trained(here, terms, now, message)

    def _trained(self, here: Premises, terms: Terms, now: Round, message: Mapping) -> Content:
        memory = _memory(terms, here)
        own_key = OwnKey(memory.folder, self.name)
        masked = terms.secure_aggregation
        keys = own_key.keys(now.hospitals, message.get("keys")) if masked else None
        site: Site
        if terms.epsilon:
            site = here.patients(terms.recipe, terms.views, terms.seed)
            protected = protection(terms, [site], _public(message), here.space(), keys)
        else:
            site = _site(terms, here)
            protected = protection(terms, [site], keys=keys)
        now = replace(
            now,
            trainer=protected.trainer,
            optimisation=protected.optimisation(now.optimisation),
        )
        algorithm = protected.fit(algorithm_of(terms, simulated=here.cohort.simulated))
        images = torch.bincount(site.labels, minlength=len(CLASSES))[None]
        who = Senders((self.name,), count_images(algorithm, images, now.optimisation))
        # Of the others it knows nothing but how many there are: as many as itself will do.
        server, own = algorithm.init(
            networks.start(terms, here.backbone),
            torch.tensor([len(site.labels)]).repeat(len(now.hospitals)),
        )
        counted = message.get("counted")
        before = Kept(0, take(own, torch.tensor([0])), {}, {})
        if counted:
            before = memory.at(int(counted)) or _lost(counted)
        nought = {name: torch.zeros_like(t) for name, t in algorithm.broadcast(server).items()}
        channel = protected.wrap(Channel.of(terms.format, networks=terms.of_networks))
        held = channel.hold(_bytes(message, "broadcast"), _held(before, nought, message), now)
        place = memory.folder / "training"
        with networks.training(terms, site, here.backbone, place, held, before.own, now) as (
            at_home,
            stays,
        ):
            sent, own = self._budget(here).once(
                terms, now, self.name, lambda: algorithm.local(held, before.own, [site], at_home)
            )
            own |= stays()
        up, kept = channel.send(sent, before.kept, who, now)
        memory.keep(Kept(now.number, own, kept, held), counted=before.round)
        if keys:
            own_key.keep(keys)
        return {"round": now.number, "update": up[0]}

    def _evaluate(self, terms: Terms, message: Mapping) -> Content:
        here = self._agreed(terms)
        say("The run ends with this: its model is scored. Then stop, or stay for the next run.")
        layout = layout_of(networks.start(terms, here.backbone))
        sent = _bytes(message, "model")
        model = decode([sent], layout)
        if not terms.of_networks:
            heads, private = Heads.of(model), bool(terms.epsilon)
            with _alone(here):
                counts = self._budget(here).score(
                    terms, sent, lambda: here.score(heads, of_patients=private)
                )
            return {"counts": counts}
        kept = _memory(terms, here).at(int(message.get("counted", 0)))
        network = networks.whole(here.backbone, pick(model, 0), kept.own if kept else {})
        folder = here.home / "federated"
        stored = networks.store(folder, network, here.backbone, terms.size)
        say(f"The federated network lies in {folder}.")
        return {"counts": here.score_network(stored, terms.size)}

    def _agreed(self, terms: Terms) -> Premises:
        here = self.premises()
        terms.check_backbone(here.backbone.sha256)
        self._budget(here).allow(terms)
        return here

    def _budget(self, here: Premises) -> Budget:
        return Budget(here.home / "privacy", self.limits)


def algorithm_of(terms: Terms, *, simulated: bool) -> Algorithm:
    """Return the algorithm of a run, with its own defaults: no coordinator sets how few X-rays a
    hospital may send sums of. Of simulated patients, who are nobody, any sums may be sent."""
    algorithm = make_algorithm(terms.algorithm, networks=terms.of_networks)
    if simulated and isinstance(algorithm, Moments):
        algorithm = replace(algorithm, fewest=0)
    return cast(Algorithm, Forgetful(algorithm)) if terms.of_networks else algorithm


def _site(terms: Terms, here: Premises) -> Site:
    """Return what a hospital trains on."""
    if terms.of_networks:
        return here.images(terms.size)
    return here.site(terms.recipe, terms.views, terms.seed)


def _memory(terms: Terms, here: Premises) -> Memory:
    return Memory(here.home / "runs" / terms.run)


def _alone(here: Premises) -> FileLock:
    """Keep other processes of this hospital waiting."""
    here.home.mkdir(parents=True, exist_ok=True)
    return FileLock(here.home / ".lock")


def _public(message: Mapping) -> Public:
    """Return what a message of a private run tells of everybody."""
    try:
        patients, hospitals = (int(number) for number in message["public"])
    except (KeyError, TypeError, ValueError) as error:
        raise Disagreement("the message tells no numbers of patients and hospitals") from error
    if not 1 <= hospitals <= patients <= MOST:
        raise Disagreement(f"{patients} patients of {hospitals} hospitals: these are no numbers")
    return Public(patients, hospitals)


def _round(terms: Terms, message: Mapping) -> Round:
    """Return the round that a message tells of."""
    try:
        number = int(message["round"])
        names = tuple(str(name) for name in message["hospitals"])
        normal, pneumonia = (float(weight) for weight in message["class_weights"])
    except (KeyError, TypeError, ValueError) as error:
        raise Disagreement("the message tells no round") from error
    if not 1 <= number <= terms.rounds or len(set(names)) != len(names):
        raise Disagreement(f"round {number} is none of {terms.rounds}, or a name is there twice")
    return terms.round(number, names, (normal, pneumonia))


def _held(before: Kept, nought: Tensors, message: Mapping) -> Tensors:
    """Return what this hospital held before the broadcast: nothing in round 1, what it kept, or,
    where it missed rounds, what comes with the message."""
    if sent := _bytes(message, "held"):
        return pick(decode([sent], layout_of(nought)), 0)
    return before.held or nought


def _lost(number: object) -> NoReturn:
    raise Disagreement(LOST)


def _bytes(message: Mapping, name: str) -> bytes:
    value = message.get(name)
    if not isinstance(value, bytes):
        raise Disagreement(f"the message holds no {name}")
    return value


def _told(kind: str, answer: Content) -> str:
    """What leaves with an answer, in a line of the log."""
    parts = (
        f"{name}: {f'{len(value):,} bytes' if isinstance(value, bytes) else value}"
        for name, value in answer.items()
    )
    return f"left this hospital in answer to {kind}: {'; '.join(parts)}"
