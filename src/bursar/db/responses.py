"""Stored responses as a gateway process uses them: `bursar.gateway.ports.ResponseStore` over plain psycopg.

Content is sealed here and nowhere else (ADR 0014): each row under a key of its own, made from the program's
secret key and a random salt, so that no number of rows wears a key out; organisation and id are
authenticated, so that a row opens only where it belongs.
"""

import asyncio
import os
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from itertools import count
from typing import ClassVar, Final
from uuid import UUID

import sqlalchemy as sa
import structlog
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from bursar.core.clock import Clock
from bursar.core.kept import KeptResponse
from bursar.db.connect import Role, conninfo_as
from bursar.db.engine import Transaction
from bursar.db.line import BooksUnavailable, Line
from bursar.db.moments import moment_of
from bursar.db.secrets import SealBroken

log = structlog.get_logger()

LIFE: Final = timedelta(days=30)
LINES: Final = 4
"""Connections of one process for this; more would only wait for each other in PostgreSQL."""
WAIT_S: Final = 5
VERSION: Final = b"\x01"
SALT_BYTES: Final = 16
KEY_BYTES: Final = 32
NONCE: Final = bytes(12)
"""A key seals one row only, so its nonce need not differ."""
PURGED_PER_ROUND: Final = 500
OFF_THE_LOOP_BYTES: Final = 256 * 1024
"""Sealing more than this takes long enough for other requests to notice: a thread does it."""

KEEP: Final = "SELECT bursar_keep_response(%s, %s, %s, %s, %s, %s)"
CHAIN: Final = "SELECT id, previous_id, sealed FROM bursar_response_chain(%s, %s, %s, %s, %s)"
FORGET: Final = "SELECT bursar_forget_response(%s, %s, %s)"
PURGE: Final = "SELECT bursar_purge_responses(:now, :most)"


class PgResponses:
    """PostgreSQL's store. Connects when first asked and again after every break; `close` when done."""

    unavailable: ClassVar[type[Exception]] = BooksUnavailable

    def __init__(self, url: str, clock: Clock, secret_key: bytes) -> None:
        conninfo = conninfo_as(url, Role.GATEWAY)
        self._lines = [Line(conninfo, WAIT_S) for _ in range(LINES)]
        self._turn = count()
        self._clock = clock
        self._secret_key = secret_key

    async def close(self) -> None:
        for line in self._lines:
            await line.close()

    async def keep(self, organisation_id: UUID, response: KeptResponse) -> bool:
        """Keep a response for `LIFE`; False when its id is taken."""
        subject = _subject(organisation_id, response.id)
        sealed = await _aside(seal, self._secret_key, subject, response.content)
        now = moment_of(self._clock.now_ms())
        parameters = (organisation_id, response.id, response.previous_id, sealed, now, now + LIFE)
        return bool((await self._line().one(KEEP, parameters))[0])

    async def chain(
        self, organisation_id: UUID, response_id: str, *, most: int, bytes_max: int
    ) -> Sequence[KeptResponse] | None:
        """A response and those it continues, newest first; empty when there is none of this organisation's.

        None when together they are longer than `bytes_max`. Rows that cannot be opened end the chain as if
        they were not there.
        """
        now = moment_of(self._clock.now_ms())
        async with self._line().connection() as connection:
            cursor = await connection.execute(
                CHAIN, (organisation_id, response_id, most, bytes_max, now), prepare=True
            )
            rows = await cursor.fetchall()
        if any(sealed is None for _, _, sealed in rows):
            return None
        kept = []
        for identity, previous_id, sealed in rows:
            subject = _subject(organisation_id, identity)
            try:
                content = await _aside(unseal, self._secret_key, subject, bytes(sealed))
            except SealBroken as error:
                log.error("response.unreadable", response_id=identity, error=str(error))  # noqa: TRY400 - known
                break
            kept.append(KeptResponse(id=identity, previous_id=previous_id, content=content))
        return kept

    async def forget(self, organisation_id: UUID, response_id: str) -> bool:
        """Delete a response; False when there is none of this organisation's."""
        now = moment_of(self._clock.now_ms())
        return bool((await self._line().one(FORGET, (organisation_id, response_id, now)))[0])

    def _line(self) -> Line:
        return self._lines[next(self._turn) % LINES]


async def purge(tx: Transaction, now: datetime) -> int:
    """Delete expired responses, a bounded number of them; the caller asks again while there are so many."""
    gone = await tx.execute(sa.text(PURGE), {"now": now, "most": PURGED_PER_ROUND})
    return int(gone.scalar_one())


def seal(secret_key: bytes, subject: bytes, content: bytes) -> bytes:
    """Version, salt, ciphertext with its tag."""
    salt = os.urandom(SALT_BYTES)
    return VERSION + salt + _cipher(secret_key, salt).encrypt(NONCE, content, VERSION + subject)


def unseal(secret_key: bytes, subject: bytes, sealed: bytes) -> bytes:
    """What was sealed for `subject`.

    Raises:
        SealBroken: another key, another subject, another form, or a changed byte.
    """
    salt = sealed[1 : 1 + SALT_BYTES]
    if sealed[:1] != VERSION:
        raise SealBroken("sealed in a form this program does not know")
    try:
        return _cipher(secret_key, salt).decrypt(NONCE, sealed[1 + SALT_BYTES :], VERSION + subject)
    except (InvalidTag, ValueError) as error:
        raise SealBroken("cannot be opened with this key") from error


def _cipher(secret_key: bytes, salt: bytes) -> AESGCM:
    derived = HKDF(algorithm=SHA256(), length=KEY_BYTES, salt=salt, info=b"bursar stored response")
    return AESGCM(derived.derive(secret_key))


def _subject(organisation_id: UUID, response_id: str) -> bytes:
    return organisation_id.bytes + response_id.encode()


async def _aside(
    work: Callable[[bytes, bytes, bytes], bytes], key: bytes, subject: bytes, of: bytes
) -> bytes:
    """Seal or open: here when it is quick, else in a thread."""
    if len(of) <= OFF_THE_LOOP_BYTES:
        return work(key, subject, of)
    return await asyncio.to_thread(work, key, subject, of)
