"""After-effects, written in the transaction of the change and carried out after it.

Delivery is at least once, in the order of writing among those that are due. A handler that raises is tried
again after a growing pause; after ATTEMPTS_MAX the event is parked for a person. A handler's own writes
and the mark that it is done commit together; what it does outside the database may happen twice.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

import sqlalchemy as sa
import structlog

from bursar.db.engine import Database, Transaction
from bursar.db.tables import outbox

log = structlog.get_logger()

ATTEMPTS_MAX: Final = 12
"""The last pause is over an hour; whatever still fails then needs a person."""

FIRST_PAUSE_S: Final = 2
PER_ROUND_MAX: Final = 100
KEPT_FOR: Final = timedelta(days=7)
"""Handled events, for whoever asks what became of one: as long as a week of nobody looking."""

PURGED_PER_ROUND: Final = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something that happened. ``payload`` is JSON."""

    id: int
    topic: str
    organisation_id: UUID | None
    payload: Mapping[str, Any]
    attempts: int


Handler = Callable[[Transaction, Event], Awaitable[None]]


async def publish(
    tx: Transaction,
    topic: str,
    payload: Mapping[str, Any],
    *,
    now: datetime,
    organisation_id: UUID | None = None,
) -> None:
    """Announce what this transaction changes; nobody hears of it unless it commits."""
    # inline: no RETURNING, which some who may announce could not read
    await tx.execute(
        outbox.insert()
        .inline()
        .values(
            topic=topic, payload=dict(payload), organisation_id=organisation_id, created_at=now, due_at=now
        )
    )


async def deliver(database: Database, handlers: Mapping[str, Handler], now: datetime) -> int:
    """Carry out what is due, each event in a transaction of its own; answer how many succeeded.

    Events of topics without a handler stay. Two deliverers share the work. Grows with what is due, at most
    PER_ROUND_MAX a round.
    """
    done = 0
    for _ in range(PER_ROUND_MAX):
        outcome = await deliver_one(database, handlers, now)
        if outcome is None:
            break
        done += outcome
    return done


async def deliver_one(database: Database, handlers: Mapping[str, Handler], now: datetime) -> bool | None:
    """Carry out the next event; False when its handler failed, None when nothing is due."""
    async with database.transaction() as tx:
        event = await _next_due(tx, list(handlers), now)
        if event is None:
            return None
        try:
            async with tx.begin_nested():
                await handlers[event.topic](tx, event)
        except Exception as error:
            log.exception("outbox.handler_failed", event_id=event.id, topic=event.topic)
            await _postpone(tx, event, now, error)
            return False
        await tx.execute(outbox.update().where(outbox.c.id == event.id).values(handled_at=now))
        return True


async def purge(tx: Transaction, now: datetime) -> int:
    """Delete events handled long ago, a bounded number; the caller asks again while there are so many.

    Parked ones stay until a person has looked. Linear in what is deleted, by an index: the table holds a
    week's events and what is parked.
    """
    old = (
        sa.select(outbox.c.id)
        .where(outbox.c.handled_at < now - KEPT_FOR)
        .order_by(outbox.c.handled_at)
        .limit(PURGED_PER_ROUND)
        .with_for_update(skip_locked=True)
    )
    gone = await tx.execute(sa.delete(outbox).where(outbox.c.id.in_(old)).returning(outbox.c.id))
    return len(gone.all())


async def _next_due(tx: Transaction, topics: list[str], now: datetime) -> Event | None:
    question = (
        sa.select(outbox.c.id, outbox.c.topic, outbox.c.organisation_id, outbox.c.payload, outbox.c.attempts)
        .where(
            outbox.c.handled_at.is_(None),
            outbox.c.parked_at.is_(None),
            outbox.c.due_at <= now,
            outbox.c.topic.in_(topics),
        )
        .order_by(outbox.c.due_at, outbox.c.id)
        .limit(1)
        .with_for_update(skip_locked=True)
    )
    row = (await tx.execute(question)).mappings().one_or_none()
    return None if row is None else Event(**row)


async def _postpone(tx: Transaction, event: Event, now: datetime, error: Exception) -> None:
    attempts = event.attempts + 1
    pause = timedelta(seconds=FIRST_PAUSE_S * 2**event.attempts)
    await tx.execute(
        outbox.update()
        .where(outbox.c.id == event.id)
        .values(
            attempts=attempts,
            last_error=f"{type(error).__name__}: {error}"[:1000],
            due_at=now + pause,
            parked_at=now if attempts >= ATTEMPTS_MAX else None,
        )
    )
