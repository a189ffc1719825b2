"""What operator tokens look like from outside."""

from datetime import datetime
from uuid import UUID

from pydantic import BaseModel, Field

from bursar.rest.fields import Body, Moment, Name


class NewToken(Body):
    name: Name = Field(description="Whose token it is.", examples=["ana"])
    expires_at: Moment | None = Field(default=None, description="Absent: never.")


class Token(BaseModel):
    id: UUID
    name: str
    visible: str = Field(description="The first 13 characters, to recognise it by.")
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None


class IssuedToken(Token):
    secret: str = Field(description="The token itself. Shown this once; only its hash is kept.")
