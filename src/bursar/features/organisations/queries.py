"""SQL of organisations. Each has one wallet, in its currency."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from bursar.core.permissions import MemberRole
from bursar.db.engine import ReadSession, Transaction
from bursar.db.tables import app_user, membership, organisation, wallet

_SHOWN = sa.select(
    organisation.c.id,
    organisation.c.name,
    organisation.c.billing_email,
    organisation.c.billing_type,
    organisation.c.currency,
    organisation.c.status,
    organisation.c.store_responses,
    organisation.c.created_at,
    wallet.c.id.label("wallet_id"),
).join(
    wallet, sa.and_(wallet.c.organisation_id == organisation.c.id, wallet.c.asset == organisation.c.currency)
)


async def organisation_by_id(read: ReadSession | Transaction, organisation_id: UUID) -> sa.RowMapping | None:
    return (await read.execute(_SHOWN.where(organisation.c.id == organisation_id))).mappings().one_or_none()


async def organisations_before(
    read: ReadSession, *, before: UUID | None, name_contains: str | None, limit: int
) -> Sequence[sa.RowMapping]:
    """Newest first: ids are UUIDv7, so they sort by the time of creation."""
    question = _SHOWN.order_by(organisation.c.id.desc()).limit(limit)
    if before is not None:
        question = question.where(organisation.c.id < before)
    if name_contains:
        question = question.where(organisation.c.name.icontains(name_contains, autoescape=True))
    return (await read.execute(question)).mappings().all()


async def organisations_named(read: ReadSession | Transaction, name: str) -> Sequence[UUID]:
    """At most two: more would say no more."""
    question = sa.select(organisation.c.id).where(organisation.c.name == name).limit(2)
    return (await read.execute(question)).scalars().all()


async def insert_organisation(tx: Transaction, row: Mapping[str, Any]) -> None:
    await tx.execute(sa.insert(organisation).values(**row))


async def insert_wallet(tx: Transaction, row: Mapping[str, Any]) -> None:
    await tx.execute(sa.insert(wallet).values(**row))


async def update_organisation(tx: Transaction, organisation_id: UUID, changes: Mapping[str, Any]) -> bool:
    """True when there is such an organisation."""
    change = (
        sa.update(organisation)
        .where(organisation.c.id == organisation_id)
        .values(**changes)
        .returning(organisation.c.id)
    )
    return (await tx.execute(change)).one_or_none() is not None


async def locked_person(tx: Transaction, user_id: UUID) -> sa.RowMapping | None:
    """Two organisations that one person makes at once are made one after the other."""
    question = sa.select(app_user.c.id, app_user.c.email, app_user.c.email_verified_at).where(
        app_user.c.id == user_id
    )
    return (await tx.execute(question.with_for_update())).mappings().one_or_none()


async def owned_by(tx: Transaction, user_id: UUID, *, or_made_since: datetime) -> int:
    """How many organisations a person owns; closed ones only when they were made since then."""
    question = (
        sa.select(sa.func.count())
        .select_from(membership.join(organisation, organisation.c.id == membership.c.organisation_id))
        .where(
            membership.c.user_id == user_id,
            membership.c.role == MemberRole.OWNER,
            sa.or_(organisation.c.status != "closed", organisation.c.created_at >= or_made_since),
        )
    )
    return int((await tx.execute(question)).scalar_one())


async def insert_owner(tx: Transaction, organisation_id: UUID, user_id: UUID, now: datetime) -> None:
    """Its first member; who joins later is the members' business."""
    row = {
        "organisation_id": organisation_id,
        "user_id": user_id,
        "role": MemberRole.OWNER,
        "created_at": now,
    }
    await tx.execute(sa.insert(membership).values(**row))
