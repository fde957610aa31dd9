"""A hospital's own key of secure aggregation: one a run, and what it hid under its masks so far."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from fedmed.errors import UserError
from fedmed.files import read_json, write_atomically
from fedmed.flower.terms import Disagreement
from fedmed.privacy.masks import KEY_BYTES, Keys

# What a hospital says whose key the coordinator does not know any more; it is then asked for it.
ANOTHER_KEY = "its public key is another than the one that was told"


@dataclass(frozen=True)
class OwnKey:
    """Kept in a run's folder of the hospital's home. Whoever calls holds the home's lock."""

    folder: Path
    name: str

    def public(self) -> bytes:
        """Return the public key, which every hospital of the run is told; drawn the first time."""
        return self._private().public_key().public_bytes_raw()

    def keys(self, hospitals: Sequence[str], told: object) -> Keys:
        """Return the keys to hide an update with, of a round's hospitals: `told` is one after the
        other, KEY_BYTES each.

        Raises:
            Disagreement: these are no keys, or this hospital's is another.
        """
        if not isinstance(told, bytes) or len(told) != KEY_BYTES * len(hospitals):
            raise Disagreement("the message tells no key for each hospital of the round")
        public = {
            name: told[place * KEY_BYTES :][:KEY_BYTES] for place, name in enumerate(hospitals)
        }
        if len(set(public.values())) < len(public):
            raise Disagreement("two hospitals of the round have the same key")
        private = self._private()
        if public[self.name] != private.public_key().public_bytes_raw():
            raise Disagreement(ANOTHER_KEY)
        used = read_json(self._used) if self._used.exists() else {}
        return Keys(public, {self.name: private}, {(self.name, at): d for at, d in used.items()})

    def keep(self, keys: Keys) -> None:
        """Write down what was hidden, before it leaves: no mask is ever to hide anything else."""
        used = {at: digest for (name, at), digest in keys.used.items() if name == self.name}
        write_atomically(self._used, json.dumps(used).encode())

    @property
    def _used(self) -> Path:
        return self.folder / "hidden.json"

    def _private(self) -> X25519PrivateKey:
        path = self.folder / "masks.key"
        self.folder.mkdir(parents=True, exist_ok=True)
        if not path.exists():
            aside = path.with_suffix(f".{os.getpid()}.partial")
            with os.fdopen(
                os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb"
            ) as file:
                file.write(X25519PrivateKey.generate().private_bytes_raw())
                file.flush()
                os.fsync(file.fileno())
            os.replace(aside, path)
        try:
            return X25519PrivateKey.from_private_bytes(path.read_bytes())
        except ValueError as error:
            raise UserError(f"{path} is no key: delete it, and a new one is drawn") from error
