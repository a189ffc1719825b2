"""`Idempotency-Key`: the same request sent twice is done once, and both get the same answer.

The key is bound to a hash of method, path and body: the same key with other content is 409. Answers are kept
sealed, because one may show a secret. The claim is a row in the request's own transaction, so a repeat that
arrives meanwhile waits for the first to end, and a request that fails leaves no claim.
"""

import hashlib
import re
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import timedelta
from typing import Annotated, Final, TypeVar
from uuid import UUID

import orjson
import sqlalchemy as sa
from fastapi import Depends, Header, Request
from pydantic import BaseModel
from sqlalchemy.dialects.postgresql import insert

from bursar.db.engine import Transaction
from bursar.db.tables import idempotent_answer
from bursar.rest.callers import Calling
from bursar.rest.control import Control, Means
from bursar.rest.problems import Conflict, Invalid

KEY_SHAPE: Final = re.compile(r"[!-~]{1,128}")
# Long enough for every sensible retry; after that the key may be used anew.
KEPT_FOR: Final = timedelta(hours=48)
FORGET_AT_ONCE_MAX: Final = 100

Answer = TypeVar("Answer", bound=BaseModel)


class IdempotencyKeyInvalid(Invalid):
    code = "idempotency_key_invalid"


class IdempotencyKeyMissing(Invalid):
    """Money is not moved without a key: a lost answer could not be told from a lost request."""

    code = "idempotency_key_required"

    def __init__(self) -> None:
        super().__init__("Send an Idempotency-Key header: a fresh one per top-up or refund.")


class IdempotencyKeyReused(Conflict):
    code = "idempotency_conflict"

    def __init__(self) -> None:
        super().__init__("This Idempotency-Key was used before with other content; nothing was done.")


class OnlyOnce:
    """Runs one request's work at most once per key."""

    def __init__(self, control: Control, *, caller: UUID, key: str | None, content_hash: str) -> None:
        self.control = control
        self.caller = caller
        self.key = key
        self.content_hash = content_hash

    async def answer(
        self, tx: Transaction, kind: type[Answer], work: Callable[[], Awaitable[Answer]]
    ) -> Answer:
        """Do the work, or repeat the answer it gave before.

        Raises:
            IdempotencyKeyReused: the key came before with other content.
        """
        if self.key is None:
            return await work()
        if await self._claim(tx):
            answer = await work()
            await self._keep(tx, answer)
            return answer
        return await self._repeat(tx, kind)

    async def _claim(self, tx: Transaction) -> bool:
        now = self.control.edge.now()
        old = (
            sa.select(idempotent_answer.c.caller, idempotent_answer.c.key)
            .where(idempotent_answer.c.created_at < now - KEPT_FOR)
            .limit(FORGET_AT_ONCE_MAX)
            .with_for_update(skip_locked=True)
        )
        place = sa.tuple_(idempotent_answer.c.caller, idempotent_answer.c.key)
        await tx.execute(sa.delete(idempotent_answer).where(place.in_(old)))
        claim = (
            insert(idempotent_answer)
            .values(caller=self.caller, key=self.key, content_hash=self.content_hash, created_at=now)
            .on_conflict_do_nothing()
            .returning(idempotent_answer.c.key)
        )
        return (await tx.execute(claim)).one_or_none() is not None

    async def _keep(self, tx: Transaction, answer: BaseModel) -> None:
        sealed = self.control.seal.seal(answer.model_dump_json().encode())
        await tx.execute(sa.update(idempotent_answer).where(self._mine()).values(answer=sealed))

    async def _repeat(self, tx: Transaction, kind: type[Answer]) -> Answer:
        question = sa.select(idempotent_answer.c.content_hash, idempotent_answer.c.answer)
        row = (await tx.execute(question.where(self._mine()))).one()
        if row.content_hash != self.content_hash:
            raise IdempotencyKeyReused
        return kind.model_validate_json(self.control.seal.open(row.answer))

    def _mine(self) -> sa.ColumnElement[bool]:
        return sa.and_(idempotent_answer.c.caller == self.caller, idempotent_answer.c.key == self.key)


def checked_key(
    idempotency_key: Annotated[
        str | None,
        Header(
            description="1 to 128 visible ASCII characters, fresh for each thing to do. The same key and "
            "body get the same answer for 48 hours; the same key with another body gets 409."
        ),
    ] = None,
) -> str | None:
    """Raises `IdempotencyKeyInvalid`."""
    if idempotency_key is not None and not KEY_SHAPE.fullmatch(idempotency_key):
        raise IdempotencyKeyInvalid("Idempotency-Key: must be 1 to 128 visible ASCII characters.")
    return idempotency_key


OptionalKey = Annotated[str | None, Depends(checked_key)]


def required_key(key: OptionalKey) -> str:
    """Raises `IdempotencyKeyMissing`."""
    if key is None:
        raise IdempotencyKeyMissing
    return key


RequiredKey = Annotated[str, Depends(required_key)]


async def only_once(request: Request, control: Means, calling: Calling, key: OptionalKey) -> OnlyOnce:
    content_hash = hash_of(request.method, request.url.path, await request.body())
    return OnlyOnce(control, caller=calling.id, key=key, content_hash=content_hash)


Once = Annotated[OnlyOnce, Depends(only_once)]


def hash_of(method: str, path: str, body: bytes) -> str:
    """SHA-256 of what is asked; spacing and order of a JSON body do not matter."""
    # No body, or one that validation refuses in a moment (one nested too deep cannot be written again): its
    # bytes identify it well enough.
    with suppress(orjson.JSONDecodeError, orjson.JSONEncodeError):
        body = orjson.dumps(orjson.loads(body), option=orjson.OPT_SORT_KEYS)
    return hashlib.sha256(b"\n".join((method.encode(), path.encode(), body))).hexdigest()
