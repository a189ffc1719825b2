"""SQL of the people who are operators."""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from bursar.db.engine import ReadSession, Transaction
from bursar.db.tables import app_user

_SHOWN = sa.select(
    app_user.c.id,
    app_user.c.email,
    app_user.c.name,
    app_user.c.operator_role.label("role"),
    app_user.c.totp_confirmed_at.is_not(None).label("has_second_factor"),
    app_user.c.operator_addresses.label("allowed_addresses"),
    app_user.c.created_at,
)


async def operators_before(read: ReadSession, *, before: UUID | None, limit: int) -> Sequence[sa.RowMapping]:
    question = _SHOWN.where(app_user.c.operator_role.is_not(None)).order_by(app_user.c.id.desc()).limit(limit)
    if before is not None:
        question = question.where(app_user.c.id < before)
    return (await read.execute(question)).mappings().all()


async def operator_by_id(read: ReadSession | Transaction, user_id: UUID) -> sa.RowMapping | None:
    question = _SHOWN.where(app_user.c.id == user_id, app_user.c.operator_role.is_not(None))
    return (await read.execute(question)).mappings().one_or_none()


async def person_by_email(tx: Transaction, email: str) -> sa.RowMapping | None:
    """An active person whose address is proven."""
    question = _SHOWN.where(
        app_user.c.email == email.lower(),
        app_user.c.email_verified_at.is_not(None),
        app_user.c.status == "active",
    )
    return (await tx.execute(question.with_for_update())).mappings().one_or_none()


async def locked_superadmins(tx: Transaction) -> set[UUID]:
    """Those who could still make others. Locked, so that two do not remove each other at once."""
    question = (
        sa.select(app_user.c.id)
        .where(
            app_user.c.operator_role == "superadmin",
            app_user.c.status == "active",
            app_user.c.totp_confirmed_at.is_not(None),
        )
        .order_by(app_user.c.id)
        .with_for_update()
    )
    return set((await tx.execute(question)).scalars())


async def update_operator(tx: Transaction, user_id: UUID, changes: Mapping[str, Any]) -> None:
    await tx.execute(sa.update(app_user).where(app_user.c.id == user_id).values(**changes))
