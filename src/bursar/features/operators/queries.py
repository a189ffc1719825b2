"""SQL of operator tokens."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from bursar.db.engine import ReadSession, Transaction
from bursar.db.tables import operator_token

_SHOWN = sa.select(
    operator_token.c.id,
    operator_token.c.name,
    operator_token.c.token_prefix.label("visible"),
    operator_token.c.created_at,
    operator_token.c.expires_at,
    operator_token.c.revoked_at,
    operator_token.c.role,
    operator_token.c.allowed_addresses,
)


async def insert_token(tx: Transaction, row: Mapping[str, Any]) -> None:
    await tx.execute(sa.insert(operator_token).values(**row))


async def token_by_id(read: ReadSession | Transaction, token_id: UUID) -> sa.RowMapping | None:
    return (await read.execute(_SHOWN.where(operator_token.c.id == token_id))).mappings().one_or_none()


async def tokens_before(read: ReadSession, *, before: UUID | None, limit: int) -> Sequence[sa.RowMapping]:
    question = _SHOWN.order_by(operator_token.c.id.desc()).limit(limit)
    if before is not None:
        question = question.where(operator_token.c.id < before)
    return (await read.execute(question)).mappings().all()


async def revoke(tx: Transaction, token_id: UUID, now: datetime) -> None:
    """Keep the first moment of revocation."""
    change = sa.update(operator_token).where(
        operator_token.c.id == token_id, operator_token.c.revoked_at.is_(None)
    )
    await tx.execute(change.values(revoked_at=now))
