"""Secrets we issue: random text, of which only the SHA-256 is kept; and what seals the others."""

import hashlib
import secrets
import string
from typing import NamedTuple, Protocol

# Letters and digits survive every shell, header, URL and double click.
ALPHABET = string.ascii_letters + string.digits
# 40 characters of 62 are 238 bits; the issue asks for at least 32.
RANDOM_LENGTH = 40
VISIBLE_LENGTH = 13


class Seal(Protocol):
    """Encrypts what must be readable again, such as provider credentials (`bursar.db.secrets`).

    `mark`: of what must be known again but never read.
    """

    def seal(self, plaintext: bytes) -> bytes: ...
    def open(self, sealed: bytes) -> bytes: ...
    def mark(self, purpose: bytes, content: bytes) -> bytes: ...


class Issued(NamedTuple):
    """`secret` is shown once and forgotten; `digest` and `visible` are stored."""

    secret: str
    digest: bytes
    visible: str


def issue(prefix: str) -> Issued:
    """Make a new secret: `prefix` and 40 random letters and digits."""
    secret = prefix + "".join(secrets.choice(ALPHABET) for _ in range(RANDOM_LENGTH))
    return Issued(secret, digest_of(secret), secret[:VISIBLE_LENGTH])


def digest_of(secret: str) -> bytes:
    """SHA-256: enough, because what is hashed is long and random, not a password."""
    return hashlib.sha256(secret.encode()).digest()
