"""What exports and deletions look like from outside."""

from datetime import datetime
from typing import Literal
from uuid import UUID

from pydantic import BaseModel, Field

from bursar.rest.fields import Body, Email, Name

ExportState = Literal["queued", "ready", "failed", "expired"]
DeletionState = Literal["scheduled", "cancelled", "done"]


class DataExport(BaseModel):
    """One archive: a zip file with everything as JSON and as CSV."""

    id: UUID
    state: ExportState
    requested_at: datetime
    ended_at: datetime | None = Field(description="When it was made, or given up.")
    expires_at: datetime | None = Field(description="Until then it can be downloaded.")
    size_bytes: int | None


class DeleteOrganisation(Body):
    name: Name = Field(description="The organisation's name, so that nobody deletes the wrong one.")


class DeleteAccount(Body):
    email: Email = Field(description="The account's address, so that nobody deletes it by mistake.")


class Deletion(BaseModel):
    """A deletion: scheduled, taken back or done."""

    id: UUID
    state: DeletionState
    requested_at: datetime
    due_at: datetime = Field(description="Until then it can be taken back.")
    cancelled_at: datetime | None
    done_at: datetime | None
