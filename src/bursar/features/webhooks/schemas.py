"""What outgoing webhooks look like from outside."""

from datetime import datetime
from typing import Annotated, Any, Final, Literal
from uuid import UUID

from pydantic import BaseModel, Field, StringConstraints

from bursar.core.webhooks import URL_LENGTH_MAX, EventType
from bursar.rest.fields import Body, Moment, Text

OVERLAP_S_DEFAULT: Final = 24 * 3600
OVERLAP_S_MAX: Final = 7 * 24 * 3600

EndpointStatus = Literal["active", "paused", "disabled"]
DeliveryStatus = Literal["pending", "delivered", "failed"]
Url = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=URL_LENGTH_MAX),
    Field(description="https, at an address of the internet.", examples=["https://example.com/hooks"]),
]
EventTypes = Annotated[
    list[EventType], Field(min_length=1, max_length=len(EventType), description="Absent: all of them.")
]


class NewWebhook(Body):
    url: Url
    description: Text = ""
    event_types: EventTypes | None = None


class WebhookChange(Body):
    """Only what is given changes; `event_types: null` asks for all of them."""

    url: Url | None = None
    description: Text | None = None
    event_types: EventTypes | None = None
    status: Literal["active", "paused"] | None = Field(
        default=None, description="`active` also enables one that was disabled; what waits is sent then."
    )


class SecretRotated(Body):
    overlap_s: int = Field(
        default=OVERLAP_S_DEFAULT,
        ge=0,
        le=OVERLAP_S_MAX,
        description="How long messages are signed with the old secret too, in seconds.",
    )


class Webhook(BaseModel):
    id: UUID
    organisation_id: UUID
    url: str
    description: str
    event_types: list[str] | None
    status: EndpointStatus
    disabled_reason: Literal["failing", "gone"] | None = Field(
        description="`failing`: for days; `gone`: it answered 410."
    )
    failing_since: datetime | None = Field(description="No delivery succeeded since then.")
    created_at: datetime


class WebhookWithSecret(Webhook):
    secret: str = Field(description="What messages are signed with. Shown this once.")


class Delivery(BaseModel):
    """A message on its way to one endpoint."""

    id: UUID
    endpoint_id: UUID
    message_id: str = Field(description="The header `webhook-id`; the same at each try.")
    type: str
    status: DeliveryStatus
    attempts: int
    created_at: datetime
    next_attempt_at: datetime | None
    ended_at: datetime | None


class Attempt(BaseModel):
    number: int
    at: datetime
    duration_ms: int
    status: int | None = Field(description="Of the answer; null when none came.")
    error: str | None
    answer: str = Field(description="How the answer's body begins.")


class DeliveryWithAttempts(Delivery):
    body: dict[str, Any] = Field(description="What is sent.")
    attempts_made: list[Attempt] = Field(description="Newest first, at most 100.")


class ReplayOfFailed(Body):
    since: Moment = Field(description="Deliveries that failed and were made since then, oldest first.")


class Replayed(BaseModel):
    replayed: int = Field(description="At most 1,000 at a time; ask again for the rest.")


class TestAsked(BaseModel):
    """An event `webhook.test` is on its way."""

    type: Literal[EventType.WEBHOOK_TEST] = EventType.WEBHOOK_TEST
