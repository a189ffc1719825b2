"""SQL of what waits to be sent, as the worker asks it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from bursar.core.permissions import MemberRole
from bursar.db.engine import Transaction
from bursar.db.tables import (
    app_user,
    membership,
    organisation,
    webhook_attempt,
    webhook_delivery,
    webhook_endpoint,
    webhook_message,
    webhook_secret,
)

_CLAIM: Final = sa.text(
    """
    WITH RECURSIVE waiting AS (
        (SELECT endpoint_id FROM webhook_delivery WHERE status = 'pending' ORDER BY endpoint_id LIMIT 1)
        UNION ALL
        SELECT (SELECT d.endpoint_id FROM webhook_delivery AS d
            WHERE d.status = 'pending' AND d.endpoint_id > w.endpoint_id ORDER BY d.endpoint_id LIMIT 1)
        FROM waiting AS w WHERE w.endpoint_id IS NOT NULL
    ), due AS (
        SELECT id FROM (
            SELECT one.id, one.due_at,
                row_number() OVER (PARTITION BY e.organisation_id ORDER BY one.due_at) AS turn
            FROM waiting
            JOIN webhook_endpoint AS e ON e.id = waiting.endpoint_id AND e.status = 'active'
            CROSS JOIN LATERAL (
                SELECT d.id, d.due_at FROM webhook_delivery AS d
                WHERE d.endpoint_id = e.id AND d.status = 'pending' AND d.due_at <= :now
                ORDER BY d.due_at LIMIT :each FOR UPDATE SKIP LOCKED
            ) AS one
        ) AS taking_turns
        ORDER BY turn, due_at LIMIT :most
    )
    UPDATE webhook_delivery AS d SET due_at = :until, tries = tries + 1, attempts = attempts + 1
    FROM due WHERE d.id = due.id
    RETURNING d.id, d.organisation_id, d.endpoint_id, d.message_id, d.tries, d.attempts
    """
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Claimed:
    """A delivery that is ours until the claim ends. `secrets`: sealed, newest first."""

    id: UUID
    organisation_id: UUID
    endpoint_id: UUID
    message_id: UUID
    tries: int
    attempts: int
    url: str
    body: str
    secrets: tuple[bytes, ...]


async def claim(
    tx: Transaction, *, now: datetime, until: datetime, most: int, each: int
) -> Sequence[Claimed]:
    """Take deliveries that are due, `each` per endpoint, so that one that answers slowly holds up no other.

    Organisations take turns: one with many slow endpoints and much that waits does not hold up the others.
    Other workers pass them over, and after `until` take them again if we never said what became of them.
    Grows with how many endpoints have something waiting (one probe of an index each), not with how much.
    """
    values = {"now": now, "until": until, "most": most, "each": each}
    rows = (await tx.execute(_CLAIM, values)).mappings().all()
    if not rows:
        return []
    endpoints = {row["endpoint_id"] for row in rows}
    secrets = await _secrets_of(tx, endpoints, now)
    urls = await _values(tx, webhook_endpoint.c.id, webhook_endpoint.c.url, endpoints)
    messages = {row["message_id"] for row in rows}
    bodies = await _values(tx, webhook_message.c.id, webhook_message.c.body, messages)
    return [
        Claimed(
            **row,
            url=urls[row["endpoint_id"]],
            body=bodies[row["message_id"]],
            secrets=tuple(secrets.get(row["endpoint_id"], ())),
        )
        for row in rows
    ]


async def _secrets_of(tx: Transaction, endpoints: Iterable[UUID], now: datetime) -> dict[UUID, list[bytes]]:
    question = (
        sa.select(webhook_secret.c.endpoint_id, webhook_secret.c.sealed)
        .where(
            webhook_secret.c.endpoint_id.in_(list(endpoints)),
            sa.or_(webhook_secret.c.expires_at.is_(None), webhook_secret.c.expires_at > now),
        )
        .order_by(webhook_secret.c.created_at.desc(), webhook_secret.c.id.desc())
    )
    found: dict[UUID, list[bytes]] = {}
    for row in await tx.execute(question):
        found.setdefault(row.endpoint_id, []).append(bytes(row.sealed))
    return found


async def _values(
    tx: Transaction, key: sa.Column[Any], value: sa.Column[str], wanted: Iterable[UUID]
) -> dict[UUID, str]:
    rows = await tx.execute(sa.select(key, value).where(key.in_(list(wanted))))
    return {row[0]: row[1] for row in rows}


async def insert_attempt(tx: Transaction, row: dict[str, Any]) -> None:
    await tx.execute(insert(webhook_attempt).values(**row).on_conflict_do_nothing())


async def set_outcome(tx: Transaction, claimed: Claimed, **changes: Any) -> None:
    """Say what became of a delivery, unless another worker has taken it since, or it has ended."""
    change = sa.update(webhook_delivery).where(
        webhook_delivery.c.organisation_id == claimed.organisation_id,
        webhook_delivery.c.id == claimed.id,
        webhook_delivery.c.attempts == claimed.attempts,
        webhook_delivery.c.status == "pending",
    )
    await tx.execute(change.values(**changes))


async def mark_healthy(tx: Transaction, endpoint_id: UUID) -> None:
    change = sa.update(webhook_endpoint).where(
        webhook_endpoint.c.id == endpoint_id, webhook_endpoint.c.failing_since.is_not(None)
    )
    await tx.execute(change.values(failing_since=None))


async def mark_failing(tx: Transaction, endpoint_id: UUID, now: datetime) -> datetime | None:
    """Answers since when it fails; None when the endpoint is gone."""
    change = sa.update(webhook_endpoint).where(
        webhook_endpoint.c.id == endpoint_id, webhook_endpoint.c.failing_since.is_(None)
    )
    await tx.execute(change.values(failing_since=now))
    question = sa.select(webhook_endpoint.c.failing_since).where(webhook_endpoint.c.id == endpoint_id)
    since: datetime | None = (await tx.execute(question)).scalar_one_or_none()
    return since


async def disable(tx: Transaction, endpoint_id: UUID, reason: str) -> bool:
    """True for the one who did it."""
    change = (
        sa.update(webhook_endpoint)
        .where(webhook_endpoint.c.id == endpoint_id, webhook_endpoint.c.status == "active")
        .values(status="disabled", disabled_reason=reason)
        .returning(webhook_endpoint.c.id)
    )
    return (await tx.execute(change)).one_or_none() is not None


async def owner_of(tx: Transaction, organisation_id: UUID) -> sa.RowMapping | None:
    """Whom to tell: address, language, and the organisation's name."""
    question = (
        sa.select(app_user.c.email, app_user.c.locale, organisation.c.name.label("organisation"))
        .join(membership, membership.c.user_id == app_user.c.id)
        .join(organisation, organisation.c.id == membership.c.organisation_id)
        .where(
            organisation.c.id == organisation_id,
            membership.c.role == MemberRole.OWNER,
            app_user.c.status == "active",
        )
    )
    return (await tx.execute(question)).mappings().one_or_none()
