"""What mails look like to an operator. Never what they say: values may be secrets."""

from datetime import datetime
from typing import Literal
from uuid import UUID

from pydantic import BaseModel, Field

from bursar.core.messages import Language


class Message(BaseModel):
    """A line of the delivery log."""

    id: UUID
    template: str = Field(examples=["verify_email"])
    locale: Language
    recipient: str
    message_id: str = Field(description="As in its header; the same at every try.")
    state: Literal["waiting", "sent", "dead", "skipped"] = Field(
        description="`dead`: given up, may be retried. `skipped`: the recipient does not want this kind."
    )
    attempts: int
    due_at: datetime = Field(description="When it is, or was, to be tried.")
    server: str | None = Field(description="Which server answered last.", examples=["smtp.example.com:587"])
    said: str | None = Field(
        description="What it said, without addresses and links.", examples=["550 no such user"]
    )
    created_at: datetime
    ended_at: datetime | None


class Template(BaseModel):
    """A kind of mail."""

    name: str
    values: list[str] = Field(description="What it needs to know.")
    optional_values: list[str]
    choice: str | None = Field(description="The notification choice that turns it off; absent: none does.")


class Templates(BaseModel):
    items: list[Template]
    locales: list[Language]


class Preview(BaseModel):
    """A mail of this kind with invented values."""

    subject: str
    text: str
    html: str
