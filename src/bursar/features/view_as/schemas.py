"""What viewing as a customer looks like from outside."""

from datetime import datetime
from typing import Annotated, Final
from uuid import UUID

from pydantic import AfterValidator, BaseModel, Field, StringConstraints

from bursar.rest.fields import Body, printable

MINUTES_MAX: Final = 60
REASON_LENGTH_MAX: Final = 300

Reason = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=3, max_length=REASON_LENGTH_MAX),
    AfterValidator(printable),
]


class NewViewing(Body):
    reason: Reason = Field(description="Why; the customer reads it.", examples=["Ticket 4711: missing usage"])
    minutes: int = Field(default=30, ge=1, le=MINUTES_MAX, description="It ends by itself after so long.")


class Viewing(BaseModel):
    id: UUID
    organisation_id: UUID
    operator_id: UUID
    reason: str
    started_at: datetime
    until: datetime
    ended_at: datetime | None = Field(description="When it was ended before its time.")


class StartedViewing(Viewing):
    access_token: str = Field(
        description="Send as bearer token. It reads what the organisation's owner reads, and nothing else; "
        "it is not refreshed."
    )
