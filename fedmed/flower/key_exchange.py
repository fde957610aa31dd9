"""The coordinator's side of secure aggregation: every hospital's public key, passed on to all."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from fedmed.flower.own_key import ANOTHER_KEY
from fedmed.flower.wire import Answer, Failure, unusable
from fedmed.privacy.masks import KEY_BYTES


@dataclass
class KeyExchange:
    """The public keys of a run's hospitals, each asked for once by this process."""

    public: dict[str, bytes] = field(default_factory=dict)

    def ask(
        self, names: Sequence[str], ask: Callable[[Sequence[str]], Mapping[str, Answer]]
    ) -> dict[str, str]:
        """Get the keys that are lacking; return why some could not be had, by hospital."""
        missing = {}
        lacking = [name for name in names if name not in self.public]
        for name, answer in ask(lacking).items() if lacking else ():
            why = unusable("keys", name, answer)
            if not why and not isinstance(answer, Failure):
                key = answer["public_key"]
                if isinstance(key, bytes) and len(key) == KEY_BYTES:
                    self.public[name] = key
                    continue
                why = "its public key is none"
            missing[name] = why
        return missing

    def forget(self, missing: Mapping[str, str]) -> None:
        """Ask those again who said that they have another key by now."""
        for name, why in missing.items():
            if why == ANOTHER_KEY:
                self.public.pop(name, None)

    def told(self, names: Sequence[str]) -> bytes:
        """Return these hospitals' keys, one after the other, as a round's messages tell them."""
        return b"".join(self.public[name] for name in names)
