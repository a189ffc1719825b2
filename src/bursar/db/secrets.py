"""Sealing what must be readable again, such as provider credentials: AES-256-GCM.

Sealed form: one version byte, a 12-byte random nonce, ciphertext with its 16-byte tag. The version byte is
authenticated, so a later form cannot be taken for this one. Random nonces are safe for 2^32 seals per key
(NIST SP 800-38D §8.3), far more than there will ever be credentials.
"""

import hmac
import os
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

KEY_BYTES: Final = 32
NONCE_BYTES: Final = 12
VERSION: Final = b"\x01"


class SealBroken(ValueError):
    """Not sealed with this key, or changed since; says nothing about the content."""

    code = "seal_broken"
    status = 500


class SecretBox:
    """Seals and opens with one 32-byte key."""

    def __init__(self, key: bytes) -> None:
        if len(key) != KEY_BYTES:
            raise ValueError(f"a sealing key has {KEY_BYTES} bytes, not {len(key)}")
        self._cipher = AESGCM(key)
        self._key = key

    def seal(self, plaintext: bytes) -> bytes:
        nonce = os.urandom(NONCE_BYTES)
        return VERSION + nonce + self._cipher.encrypt(nonce, plaintext, VERSION)

    def mark(self, purpose: bytes, content: bytes) -> bytes:
        """HMAC-SHA-256: the same for the same content, and nothing to who has not the key.

        `purpose`: makes a key of its own of this one, so that marks of one are none of another.
        """
        return hmac.digest(hmac.digest(self._key, purpose, "sha256"), content, "sha256")

    def open(self, sealed: bytes) -> bytes:
        """Give back what was sealed.

        Raises:
            SealBroken: another key, another form, or a changed byte.
        """
        version, nonce, ciphertext = sealed[:1], sealed[1 : 1 + NONCE_BYTES], sealed[1 + NONCE_BYTES :]
        if version != VERSION:
            raise SealBroken("sealed in a form this program does not know")
        try:
            return self._cipher.decrypt(nonce, ciphertext, version)
        except (InvalidTag, ValueError) as error:
            raise SealBroken("cannot be opened with this key") from error
