"""Messages made of events, and old ones forgotten."""

from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

import orjson
import sqlalchemy as sa
import structlog

from bursar.core.webhooks import PAYLOAD_VERSION, message_name
from bursar.db.engine import Transaction
from bursar.db.outbox import Event, Handler
from bursar.db.tables import outbox, webhook_delivery, webhook_endpoint, webhook_message, webhook_secret
from bursar.rest.edge import Edge
from bursar.rest.webhook_events import WebhookAsked

log = structlog.get_logger()

KEPT_FOR: Final = timedelta(days=30)
FORGOTTEN_PER_ROUND: Final = 500


class NobodysEvent(ValueError):
    """A webhook was asked for and no organisation named: nobody could receive it."""


def fanning_out(edge: Edge) -> Handler:
    """What makes one message of an event, and a delivery of it for each endpoint that wants its type."""

    async def fan_out(tx: Transaction, event: Event) -> None:
        """Safe to run twice: what it wrote and the mark that it ran commit together, or neither does.

        Raises:
            pydantic.ValidationError: no type there is. NobodysEvent. Either is parked for a person.
        """
        asked = WebhookAsked.model_validate(event.payload)
        if event.organisation_id is None:
            raise NobodysEvent(asked.type)
        endpoints = await _that_want(tx, event.organisation_id, asked)
        if not endpoints:
            log.debug("webhook.nobody_wants", type=asked.type, organisation_id=str(event.organisation_id))
            return
        message_id, now = edge.new_id(), edge.now()
        row = {
            "id": message_id,
            "organisation_id": event.organisation_id,
            "type": asked.type,
            "body": payload_of(asked, message_id, event.organisation_id, await _happened_at(tx, event)),
            "created_at": now,
        }
        await tx.execute(sa.insert(webhook_message).values(**row))
        deliveries = [
            {
                "id": edge.new_id(),
                "organisation_id": event.organisation_id,
                "endpoint_id": endpoint_id,
                "message_id": message_id,
                "due_at": now,
                "created_at": now,
            }
            for endpoint_id in endpoints
        ]
        await tx.execute(sa.insert(webhook_delivery), deliveries)

    return fan_out


def payload_of(asked: WebhookAsked, message_id: UUID, organisation_id: UUID, at: datetime) -> str:
    """The body: the very characters that are signed."""
    return orjson.dumps(
        {
            "id": message_name(message_id),
            "type": asked.type,
            "version": PAYLOAD_VERSION,
            "timestamp": at.isoformat().replace("+00:00", "Z"),
            "organisation_id": str(organisation_id),
            "data": asked.data,
        }
    ).decode()


async def _that_want(tx: Transaction, organisation_id: UUID, asked: WebhookAsked) -> list[UUID]:
    question = sa.select(webhook_endpoint.c.id).where(
        webhook_endpoint.c.organisation_id == organisation_id,
        webhook_endpoint.c.status == "active",
    )
    if asked.endpoint_id is not None:
        question = question.where(webhook_endpoint.c.id == asked.endpoint_id)
    else:
        question = question.where(
            sa.or_(
                webhook_endpoint.c.event_types.is_(None),
                sa.literal(asked.type.value) == sa.any_(webhook_endpoint.c.event_types),
            )
        )
    return list((await tx.execute(question)).scalars())


async def _happened_at(tx: Transaction, event: Event) -> datetime:
    question = sa.select(outbox.c.created_at).where(outbox.c.id == event.id)
    at: datetime = (await tx.execute(question)).scalar_one()
    return at


async def forget(tx: Transaction, now: datetime) -> int:
    """Delete old messages with their deliveries and log, and secrets that sign no more.

    Answers how many messages went. Grows with what is old, at most FORGOTTEN_PER_ROUND messages a call.
    """
    old = (
        sa.select(webhook_message.c.id)
        .where(webhook_message.c.created_at < now - KEPT_FOR)
        .order_by(webhook_message.c.created_at)
        .limit(FORGOTTEN_PER_ROUND)
        .with_for_update(skip_locked=True)
    )
    await tx.execute(sa.delete(webhook_secret).where(webhook_secret.c.expires_at < now))
    gone = await tx.execute(sa.delete(webhook_message).where(webhook_message.c.id.in_(old)))
    return gone.rowcount
