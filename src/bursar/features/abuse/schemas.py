"""What suspects of abuse look like to operators."""

from datetime import datetime
from typing import Literal
from uuid import UUID

from pydantic import BaseModel, Field

from bursar.rest.fields import Body, Name, Text

SuspectStatus = Literal["open", "suspended", "cleared", "closed"]
Decision = Literal["clear", "suspend", "close"]


class Finding(BaseModel):
    rule: str = Field(description="See docs/abuse-rules.md.")
    value: int
    points: int
    organisations: list[UUID] = Field(description="Some of those it shares a network, card, … with.")


class Suspect(BaseModel):
    id: UUID
    organisation_id: UUID
    organisation: str = Field(description="Its name.")
    organisation_status: str
    status: SuspectStatus
    score: int = Field(description="0 to 100.")
    findings: list[Finding]
    first_seen_at: datetime
    last_seen_at: datetime
    suspended_at: datetime | None
    decided_at: datetime | None
    decided_by: UUID | None = Field(description="An operator or his token; null: on the command line.")
    reason: str | None


class SuspectsAsked(Body):
    status: SuspectStatus | None = None


class NewDecision(Body):
    decision: Decision = Field(
        description="`clear`: nothing is wrong, and a suspension is lifted. `suspend`: its keys are refused. "
        "`close`: for good."
    )
    reason: Name = Field(description="Kept. With `suspend` the customer is told.")
    note: Text = Field(default="", description="Kept beside it, and told to nobody.")
