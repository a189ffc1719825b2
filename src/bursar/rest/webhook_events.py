"""Asking for a webhook: the worker makes a message of the event for each endpoint that wants it."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from pydantic import BaseModel, ConfigDict

from bursar.core.webhooks import EventType
from bursar.db.engine import Transaction
from bursar.db.outbox import publish

TOPIC: Final = "webhook"


class WebhookAsked(BaseModel):
    """The event `webhook` of the outbox. `endpoint_id`: only there; absent: wherever the type is wanted."""

    model_config = ConfigDict(extra="forbid")

    type: EventType
    data: dict[str, Any]
    endpoint_id: UUID | None = None


async def ask_for_webhook(  # noqa: PLR0913 - an event has so many parts
    tx: Transaction,
    kind: EventType,
    about: Mapping[str, Any],
    *,
    organisation_id: UUID,
    now: datetime,
    endpoint_id: UUID | None = None,
) -> None:
    """Tell an organisation's own programs once this transaction commits.

    `about`: what docs/how-to/webhooks.md says of the type. Ids and names; never a secret.
    """
    asked = WebhookAsked(type=kind, data=dict(about), endpoint_id=endpoint_id)
    payload = asked.model_dump(mode="json", exclude_none=True)
    await publish(tx, TOPIC, payload, now=now, organisation_id=organisation_id)
