"""Masks that cancel: every two hospitals share a secret that one adds and the other takes away.

K. Bonawitz et al.: Practical Secure Aggregation for Privacy-Preserving Machine Learning, CCS 2017,
doi:10.1145/3133956.3133982, without their secret sharing: where a hospital is missing, the round is
repeated without it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import ChaCha20
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from fedmed.errors import UserError

KEY_BYTES = 32  # a public key's, which every hospital sends once and gets of all others


@dataclass(eq=False)
class Keys:
    """The hospitals' public keys, and the private keys of those that are played here.

    At the server there are no private keys; at a hospital only its own. `used` is what was hidden
    so far, {(hospital, round and hospitals): sha256 of the numbers}.
    """

    public: Mapping[str, bytes]
    private: Mapping[str, X25519PrivateKey] = field(default_factory=dict)
    used: dict[tuple[str, str], str] = field(default_factory=dict, repr=False)
    _shared: dict[tuple[str, str], bytes] = field(default_factory=dict, repr=False)

    @classmethod
    def draw(cls, hospitals: Sequence[str]) -> Keys:
        """Draw a pair of keys for each hospital, for one run."""
        private = {name: X25519PrivateKey.generate() for name in hospitals}
        return cls({n: key.public_key().public_bytes_raw() for n, key in private.items()}, private)

    def at_the_server(self) -> Keys:
        """Return what the server has of them: the public keys."""
        return Keys(dict(self.public))

    def mask(
        self, hospital: str, hospitals: Sequence[str], label: str, numbers: np.ndarray
    ) -> np.ndarray:
        """Return uint64 `numbers` [n] with the hospital's masks added, modulo 2^64.

        The masks of all `hospitals` add up to 0. `label` names the round and the attempt.

        Raises:
            UserError: a hospital has no key, or this mask has hidden other numbers before: their
                difference would tell.
        """
        text = json.dumps([label, sorted(hospitals)])
        digest = hashlib.sha256(numbers.tobytes()).hexdigest()
        if self.used.setdefault((hospital, text), digest) != digest:
            raise UserError(
                f"{hospital} was asked to hide other numbers under the masks of {label} again, "
                "which would tell the difference: start a new round"
            )
        masked, context = numbers.copy(), text.encode()
        for other in hospitals:
            if other == hospital:
                continue
            pad = self._pad(hospital, other, context, len(numbers))
            # One of the two adds what the other takes away; arrays of uint64 wrap around.
            masked = masked + pad if hospital < other else masked - pad
        return masked

    def _pad(self, hospital: str, other: str, context: bytes, count: int) -> np.ndarray:
        """Return uint64 [count] that these two alone can make, for one round and attempt."""
        pair = (min(hospital, other), max(hospital, other))
        if pair not in self._shared:
            if other not in self.public or hospital not in self.private:
                lacking = other if other not in self.public else hospital
                raise UserError(
                    f"{lacking} has no key for secure aggregation: every hospital of a round "
                    "must have sent its public key before the first round"
                )
            key = X25519PublicKey.from_public_bytes(self.public[other])
            self._shared[pair] = self.private[hospital].exchange(key)
        ends = json.dumps(pair).encode()
        seed = HKDF(SHA256(), 32, salt=None, info=b"fedmed masks " + ends + context).derive(
            self._shared[pair]
        )
        # A key that is used once: counter and nonce may be zero.
        stream = Cipher(ChaCha20(seed, bytes(16)), mode=None).encryptor()
        return np.frombuffer(stream.update(bytes(8 * count)), np.uint64)
