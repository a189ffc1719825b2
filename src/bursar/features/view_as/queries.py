"""SQL of viewing as a customer."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from bursar.db.engine import ReadSession, Transaction
from bursar.db.tables import app_user, membership, organisation, viewing

_SHOWN = sa.select(
    viewing.c.id,
    viewing.c.organisation_id,
    viewing.c.user_id.label("operator_id"),
    viewing.c.reason,
    viewing.c.started_at,
    viewing.c.until,
    viewing.c.ended_at,
    viewing.c.session_id,
)


async def organisation_named(read: ReadSession | Transaction, organisation_id: UUID) -> str | None:
    """Its name; None: there is none."""
    question = sa.select(organisation.c.name).where(organisation.c.id == organisation_id)
    return (await read.execute(question)).scalar_one_or_none()


async def those_to_tell(tx: Transaction, organisation_id: UUID) -> Sequence[sa.RowMapping]:
    """Address and language of its owners and admins."""
    question = (
        sa.select(app_user.c.id, app_user.c.email, app_user.c.locale)
        .join(membership, membership.c.user_id == app_user.c.id)
        .where(
            membership.c.organisation_id == organisation_id,
            membership.c.role.in_(("owner", "admin")),
            app_user.c.status == "active",
        )
        .order_by(app_user.c.id)
    )
    return (await tx.execute(question)).mappings().all()


async def insert_viewing(tx: Transaction, row: Mapping[str, Any]) -> None:
    await tx.execute(sa.insert(viewing).values(**row))


async def viewing_by_id(
    read: ReadSession | Transaction, organisation_id: UUID, viewing_id: UUID
) -> sa.RowMapping | None:
    question = _SHOWN.where(viewing.c.id == viewing_id, viewing.c.organisation_id == organisation_id)
    return (await read.execute(question)).mappings().one_or_none()


async def viewings_before(
    read: ReadSession, organisation_id: UUID, *, before: UUID | None, limit: int
) -> Sequence[sa.RowMapping]:
    question = _SHOWN.where(viewing.c.organisation_id == organisation_id)
    if before is not None:
        question = question.where(viewing.c.id < before)
    return (await read.execute(question.order_by(viewing.c.id.desc()).limit(limit))).mappings().all()


async def end(tx: Transaction, viewing_id: UUID, now: datetime) -> None:
    """Keep the first moment."""
    change = sa.update(viewing).where(viewing.c.id == viewing_id, viewing.c.ended_at.is_(None))
    await tx.execute(change.values(ended_at=now))
