"""What a hospital spends of its patients' privacy: its limits, and every run that it took part in.

Runs are told apart by the name that the coordinator gave each, and each counts with all its epsilon
from its first round on. They compose by the root of the sum of squares, as Gaussian differential
privacy does (`privacy.accountant`).
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from fedmed.errors import UserError
from fedmed.federated.algorithm import Round
from fedmed.files import write_atomically
from fedmed.flower.terms import Disagreement, Terms
from fedmed.privacy.accountant import epsilon_of, mu_of
from fedmed.privacy.outbox import Outbox
from fedmed.privacy.private_counts import release
from fedmed.progress import say
from fedmed.training.tensors import Tensors, group, under

DELTA = 1e-5  # at which a hospital's limits are meant
FILE = "spent.jsonl"
_ROUNDING = 1 + 1e-6  # mu is found to a tolerance


@dataclass(frozen=True)
class Limits:
    """Epsilons, at DELTA, beyond which a hospital takes no part; None is no limit."""

    run: float | None = None  # of one run
    total: float | None = None  # of all runs together


NO_LIMITS = Limits()


@dataclass(frozen=True)
class Spent:
    """A run that a hospital took part in: a line of its file."""

    run: str
    epsilon: float  # 0 is none: nothing bounds what it told
    delta: float
    algorithm: str
    rounds: int
    last: int  # round whose noise was drawn, and which is never drawn again
    terms: str  # sha256 of all of them
    scored: str = ""  # sha256 of the model that was scored on patients held out
    counts: Sequence[int] = ()  # what was told of it, with the noise that was drawn

    @property
    def mu(self) -> float:
        """What it tells at most, as Gaussian differential privacy counts it."""
        return mu_of(self.epsilon, self.delta) if self.epsilon else math.inf


@dataclass(frozen=True)
class Budget:
    """Kept in a folder of the hospital's home. Whoever calls holds the home's lock."""

    folder: Path
    limits: Limits

    def runs(self) -> list[Spent]:
        """Return the runs so far.

        Raises:
            UserError: the file is damaged.
        """
        path = self.folder / FILE
        if not path.exists():
            return []
        try:
            lines = path.read_text(encoding="utf-8").splitlines()
            return [Spent(**json.loads(line)) for line in lines]
        except (OSError, ValueError, TypeError) as error:
            raise UserError(
                f"{path} cannot be read ({error}), and without it nobody knows what was spent: put "
                "it back from a backup, or name another --home, whose patients then have spent "
                "nothing yet"
            ) from error

    def words(self) -> str:
        """What all runs together cost each patient, in a line."""
        runs = self.runs()
        if not runs:
            return "No run has been told anything of these patients yet."
        unbounded = sum(not run.epsilon for run in runs)
        many = f"{len(runs)} run{'s' if len(runs) > 1 else ''}"
        if unbounded:
            return f"{many} so far, {unbounded} of them without an epsilon: nothing bounds the sum."
        return f"{many} so far: together epsilon {_epsilon(runs):.3g} at delta {DELTA:g}."

    def allow(self, terms: Terms) -> None:
        """Refuse a run beyond the hospital's limits, or one whose terms were others before.

        Raises:
            Disagreement: naming the limit, and nothing of what other runs spent.
        """
        runs = {run.run: run for run in self.runs()}
        before, now = runs.get(terms.run), _of(terms)
        if before and before.terms != now.terms:
            raise Disagreement(
                f"the run {terms.run} had other terms when it began here: start a run of its own"
            )
        asked = (
            f"epsilon {terms.epsilon:g} at delta {terms.delta:g}" if terms.epsilon else "no epsilon"
        )
        limit = self.limits.run
        if limit is not None and now.mu > mu_of(limit, DELTA) * _ROUNDING:
            raise Disagreement(
                f"this hospital takes part with an epsilon of at most {limit:g} at delta "
                f"{DELTA:g}, and the run has {asked}: lower the coordinator's --epsilon, or raise "
                "the hospital's --max-epsilon"
            )
        limit = self.limits.total
        together = _mu([*(runs | {terms.run: now}).values()])
        if limit is not None and together > mu_of(limit, DELTA) * _ROUNDING:
            say(f"{self.folder / FILE}: {self.words()}")  # which is nobody's business
            raise Disagreement(
                f"with this run, which has {asked}, the hospital would tell more than it allows "
                "in all: lower the coordinator's --epsilon, or raise the hospital's "
                "--max-total-epsilon"
            )

    def once(
        self, terms: Terms, now: Round, name: str, train: Callable[[], tuple[Tensors, Tensors]]
    ) -> tuple[Tensors, Tensors]:
        """Return what `train` gives, what is sent and what is kept, and count the run as spent.

        Of a private run, a round that was trained before is never trained again, whatever it should
        start from now: what it gave then is returned.

        Raises:
            Disagreement: the run is beyond the hospital's limits.
            UserError: the round was trained, and what it gave is gone.
        """
        self.allow(terms)
        self.folder.mkdir(parents=True, exist_ok=True)
        runs = {run.run: run for run in self.runs()}
        entry = runs.get(terms.run)
        if entry is None:
            entry = runs[terms.run] = _of(terms)
            self._write(runs)  # before anything is told
        if not terms.epsilon:
            return train()
        outbox = Outbox(self.folder / f"{terms.run}.safetensors")
        done = outbox.find([name], now.epochs)
        if done is None:
            if entry.last >= now.number:
                raise UserError(
                    f"round {now.number} of run {terms.run} was sent, and {outbox.path} is gone: "
                    "training it again would spend its privacy twice; start a run of its own"
                )
            sent, own = train()
            done = {**under("sent", sent), **under("own", own)}
            outbox.keep({n: t.contiguous() for n, t in done.items()}, [name], now.epochs)
        if entry.last < now.number:
            self._write(runs | {terms.run: replace(entry, last=now.number)})
        return group(done, "sent"), group(done, "own")

    def score(self, terms: Terms, model: bytes, count: Callable[[], Sequence[int]]) -> list[int]:
        """Return what is told of a model's counts on the patients held out.

        Of a private run these have noise, `count` is of patients, and one model is scored: what is
        told of it is the same as often as it is asked.

        Raises:
            Disagreement: another was scored before.
        """
        if not terms.epsilon:
            return [*count()]
        self.folder.mkdir(parents=True, exist_ok=True)
        runs = {run.run: run for run in self.runs()}
        entry, digest = runs.get(terms.run, _of(terms)), hashlib.sha256(model).hexdigest()
        if entry.scored not in ("", digest):
            raise Disagreement(
                "another model of this run was scored here, and of a private run no second one is"
            )
        if not entry.scored:
            counts = release(count(), terms.epsilon, terms.delta)
            entry = replace(entry, scored=digest, counts=counts)
            self._write(runs | {terms.run: entry})  # before anything is told
        return [*entry.counts]

    def _write(self, runs: dict[str, Spent]) -> None:
        lines = "".join(json.dumps(asdict(run)) + "\n" for run in runs.values())
        write_atomically(self.folder / FILE, lines.encode())


def _of(terms: Terms) -> Spent:
    digest = hashlib.sha256(terms.text().encode()).hexdigest()
    return Spent(
        terms.run, terms.epsilon, terms.delta, terms.algorithm, terms.rounds, 0, digest
    )  # fmt: skip


def _mu(runs: list[Spent]) -> float:
    return math.sqrt(sum(run.mu**2 for run in runs))


def _epsilon(runs: list[Spent]) -> float:
    return epsilon_of(_mu(runs), DELTA)
