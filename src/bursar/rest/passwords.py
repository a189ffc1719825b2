"""Passwords: hashed with argon2id (RFC 9106) in threads, a few at a time.

Whoever is not known, or has no password, costs the same work as who is and has: no answer comes sooner for
an address without an account.
"""

import asyncio
import unicodedata
from base64 import b64encode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final

from argon2 import PasswordHasher, Type
from argon2.exceptions import InvalidHashError, VerificationError

from bursar.rest.problems import Refusal

AT_ONCE_MAX: Final = 4
"""Each holds the memory of `PasswordWork`; more at once would only wait for a core."""

WAITING_MAX: Final = 100
"""Some seconds of work; who comes after that is told to come back."""

SALT_BYTES: Final = 16
HASH_BYTES: Final = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class PasswordWork:
    """What one hash costs. The default is over the minimum of OWASP's Password Storage Cheat Sheet."""

    memory_kib: int = 65_536
    passes: int = 2


class PasswordsBusy(Refusal):
    """Too many people sign in at once."""

    status = HTTPStatus.SERVICE_UNAVAILABLE
    code = "sign_ins_busy"

    def __init__(self) -> None:
        super().__init__("Too many people sign in at this moment; nothing was changed. Retry shortly.")
        self.headers = {"retry-after": "2"}


class Passwords:
    """`verified` and `hashed`: how much work was done so far."""

    def __init__(self, work: PasswordWork | None = None) -> None:
        work = work or PasswordWork()
        self._hasher = PasswordHasher(
            time_cost=work.passes,
            memory_cost=work.memory_kib,
            parallelism=1,
            hash_len=HASH_BYTES,
            salt_len=SALT_BYTES,
            type=Type.ID,
        )
        self._nobodys = _encoded(work)
        self._room = asyncio.Semaphore(AT_ONCE_MAX)
        self._waiting = 0
        self.verified = 0
        self.hashed = 0

    async def hash(self, password: str) -> str:
        """In PHC string format. Raises `PasswordsBusy`."""
        async with self._turn():
            self.hashed += 1
            return await asyncio.to_thread(self._hasher.hash, _normal(password))

    async def verify(self, stored: str | None, password: str) -> bool:
        """Is it this password? False, after the same work, when there is none.

        Raises:
            PasswordsBusy: try again later.
        """
        async with self._turn():
            self.verified += 1
            return await asyncio.to_thread(self._is, stored or self._nobodys, _normal(password))

    def wants_rehash(self, stored: str) -> bool:
        """It was hashed with other work than is done now."""
        return self._hasher.check_needs_rehash(stored)

    def _is(self, stored: str, password: str) -> bool:
        try:
            return self._hasher.verify(stored, password)
        except (VerificationError, InvalidHashError):
            return False

    @asynccontextmanager
    async def _turn(self) -> AsyncIterator[None]:
        if self._waiting >= WAITING_MAX:
            raise PasswordsBusy
        self._waiting += 1
        try:
            async with self._room:
                yield
        finally:
            self._waiting -= 1


def _normal(password: str) -> str:
    """The same password typed on another keyboard is the same (NIST SP 800-63B, section 5.1.1.2)."""
    return unicodedata.normalize("NFKC", password)


def _encoded(work: PasswordWork) -> str:
    """A hash that no password has, of the same cost as real ones."""
    salt, digest = (b64encode(bytes(length)).decode().rstrip("=") for length in (SALT_BYTES, HASH_BYTES))
    return f"$argon2id$v=19$m={work.memory_kib},t={work.passes},p=1${salt}${digest}"
