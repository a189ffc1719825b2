"""SQL of suspects, as operators ask it."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from bursar.db.engine import ReadSession, Transaction
from bursar.db.tables import abuse_suspect, organisation

_SHOWN = sa.select(
    abuse_suspect,
    organisation.c.name.label("organisation"),
    organisation.c.status.label("organisation_status"),
).join(organisation, organisation.c.id == abuse_suspect.c.organisation_id)


async def suspects_before(
    read: ReadSession, *, status: str | None, before: UUID | None, limit: int
) -> Sequence[sa.RowMapping]:
    question = _SHOWN.order_by(abuse_suspect.c.id.desc()).limit(limit)
    if status is not None:
        question = question.where(abuse_suspect.c.status == status)
    if before is not None:
        question = question.where(abuse_suspect.c.id < before)
    return (await read.execute(question)).mappings().all()


async def suspect_by_id(read: ReadSession | Transaction, suspect_id: UUID) -> sa.RowMapping | None:
    question = _SHOWN.where(abuse_suspect.c.id == suspect_id)
    return (await read.execute(question)).mappings().one_or_none()


async def locked_suspect(tx: Transaction, suspect_id: UUID) -> sa.RowMapping | None:
    """Two decisions come one after the other."""
    question = _SHOWN.where(abuse_suspect.c.id == suspect_id).with_for_update(of=abuse_suspect)
    return (await tx.execute(question)).mappings().one_or_none()


async def update_suspect(tx: Transaction, suspect_id: UUID, **changes: Any) -> None:
    await tx.execute(sa.update(abuse_suspect).where(abuse_suspect.c.id == suspect_id).values(**changes))
