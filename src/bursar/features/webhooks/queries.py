"""SQL of outgoing webhooks, as their organisation asks it. The worker's is in `waiting`."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from bursar.db.engine import ReadSession, Transaction
from bursar.db.tables import (
    organisation,
    webhook_attempt,
    webhook_delivery,
    webhook_endpoint,
    webhook_message,
    webhook_secret,
)

_DELIVERY = sa.select(
    webhook_delivery.c.id,
    webhook_delivery.c.endpoint_id,
    webhook_delivery.c.message_id,
    webhook_delivery.c.status,
    webhook_delivery.c.attempts,
    webhook_delivery.c.due_at,
    webhook_delivery.c.created_at,
    webhook_delivery.c.ended_at,
    webhook_message.c.type,
    webhook_message.c.body,
).join(
    webhook_message,
    sa.and_(
        webhook_message.c.organisation_id == webhook_delivery.c.organisation_id,
        webhook_message.c.id == webhook_delivery.c.message_id,
    ),
)


def _one(organisation_id: UUID, endpoint_id: UUID) -> sa.ColumnElement[bool]:
    return sa.and_(
        webhook_endpoint.c.organisation_id == organisation_id, webhook_endpoint.c.id == endpoint_id
    )


def _of_endpoint(organisation_id: UUID, endpoint_id: UUID) -> sa.ColumnElement[bool]:
    return sa.and_(
        webhook_delivery.c.organisation_id == organisation_id,
        webhook_delivery.c.endpoint_id == endpoint_id,
    )


async def organisation_exists(read: ReadSession | Transaction, organisation_id: UUID) -> bool:
    question = sa.select(organisation.c.id).where(organisation.c.id == organisation_id)
    return (await read.execute(question)).one_or_none() is not None


async def lock_endpoints(tx: Transaction, organisation_id: UUID) -> None:
    """Two additions at once would each find room for one."""
    await tx.execute(
        sa.text("SELECT pg_advisory_xact_lock(hashtextextended('bursar.webhooks:' || :organisation, 0))"),
        {"organisation": str(organisation_id)},
    )


async def endpoints_of(read: ReadSession | Transaction, organisation_id: UUID) -> Sequence[sa.RowMapping]:
    question = sa.select(webhook_endpoint).where(webhook_endpoint.c.organisation_id == organisation_id)
    return (await read.execute(question.order_by(webhook_endpoint.c.id))).mappings().all()


async def endpoint_by_id(
    read: ReadSession | Transaction, organisation_id: UUID, endpoint_id: UUID
) -> sa.RowMapping | None:
    question = sa.select(webhook_endpoint).where(_one(organisation_id, endpoint_id))
    return (await read.execute(question)).mappings().one_or_none()


async def locked_endpoint(tx: Transaction, organisation_id: UUID, endpoint_id: UUID) -> sa.RowMapping | None:
    """Two rotations of one secret come one after the other."""
    question = sa.select(webhook_endpoint).where(_one(organisation_id, endpoint_id)).with_for_update()
    return (await tx.execute(question)).mappings().one_or_none()


async def insert_endpoint(tx: Transaction, row: Mapping[str, Any]) -> None:
    await tx.execute(sa.insert(webhook_endpoint).values(**row))


async def update_endpoint(
    tx: Transaction, organisation_id: UUID, endpoint_id: UUID, changes: Mapping[str, Any]
) -> None:
    await tx.execute(sa.update(webhook_endpoint).where(_one(organisation_id, endpoint_id)).values(**changes))


async def delete_endpoint(tx: Transaction, organisation_id: UUID, endpoint_id: UUID) -> None:
    """With its secrets, its deliveries and their log."""
    await tx.execute(sa.delete(webhook_endpoint).where(_one(organisation_id, endpoint_id)))


async def insert_secret(tx: Transaction, row: Mapping[str, Any]) -> None:
    await tx.execute(sa.insert(webhook_secret).values(**row))


async def expire_secrets(
    tx: Transaction, organisation_id: UUID, endpoint_id: UUID, *, now: datetime, until: datetime
) -> None:
    """The one in force signs until then; the one before it no more, so that there are never three."""
    of_endpoint = sa.update(webhook_secret).where(
        webhook_secret.c.organisation_id == organisation_id, webhook_secret.c.endpoint_id == endpoint_id
    )
    await tx.execute(of_endpoint.where(webhook_secret.c.expires_at > now).values(expires_at=now))
    await tx.execute(of_endpoint.where(webhook_secret.c.expires_at.is_(None)).values(expires_at=until))


async def deliveries_before(  # noqa: PLR0913 - which of them is said in so many ways
    read: ReadSession,
    organisation_id: UUID,
    endpoint_id: UUID,
    *,
    status: str | None,
    before: UUID | None,
    limit: int,
) -> Sequence[sa.RowMapping]:
    question = (
        _DELIVERY.where(_of_endpoint(organisation_id, endpoint_id))
        .order_by(webhook_delivery.c.id.desc())
        .limit(limit)
    )
    if status is not None:
        question = question.where(webhook_delivery.c.status == status)
    if before is not None:
        question = question.where(webhook_delivery.c.id < before)
    return (await read.execute(question)).mappings().all()


async def delivery_by_id(
    read: ReadSession | Transaction, organisation_id: UUID, endpoint_id: UUID, delivery_id: UUID
) -> sa.RowMapping | None:
    question = _DELIVERY.where(
        _of_endpoint(organisation_id, endpoint_id), webhook_delivery.c.id == delivery_id
    )
    return (await read.execute(question)).mappings().one_or_none()


async def attempts_of(
    read: ReadSession | Transaction, organisation_id: UUID, delivery_id: UUID, *, limit: int
) -> Sequence[sa.RowMapping]:
    question = (
        sa.select(webhook_attempt)
        .where(
            webhook_attempt.c.organisation_id == organisation_id,
            webhook_attempt.c.delivery_id == delivery_id,
        )
        .order_by(webhook_attempt.c.number.desc())
        .limit(limit)
    )
    return (await read.execute(question)).mappings().all()


async def replay(
    tx: Transaction, organisation_id: UUID, endpoint_id: UUID, *, which: Any, now: datetime
) -> int:
    """Have deliveries tried now, and again by the whole schedule. Answers how many. `which`: their ids."""
    change = (
        sa.update(webhook_delivery)
        .where(_of_endpoint(organisation_id, endpoint_id), webhook_delivery.c.id.in_(which))
        .values(status="pending", tries=0, due_at=now, ended_at=None)
    )
    return (await tx.execute(change)).rowcount


def failed_since(organisation_id: UUID, endpoint_id: UUID, since: datetime, *, limit: int) -> sa.Select[Any]:
    return (
        sa.select(webhook_delivery.c.id)
        .where(
            _of_endpoint(organisation_id, endpoint_id),
            webhook_delivery.c.status == "failed",
            webhook_delivery.c.created_at >= since,
        )
        .order_by(webhook_delivery.c.id)
        .limit(limit)
    )
