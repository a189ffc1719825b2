"""What operators and their tokens look like from outside."""

from datetime import datetime
from typing import Annotated, Final
from uuid import UUID

from pydantic import BaseModel, Field

from bursar.core.permissions import OperatorRole
from bursar.rest.fields import Body, Email, Moment, Name, Network

ADDRESSES_MAX: Final = 50
"""Offices and VPN exits; more is a mistake."""

Addresses = Annotated[
    Annotated[list[Network], Field(max_length=ADDRESSES_MAX)] | None,
    Field(description="Networks to work from, within what the settings allow. Absent or empty: everywhere."),
]


class NewToken(Body):
    name: Name = Field(description="Whose token it is.", examples=["ana"])
    expires_at: Moment | None = Field(default=None, description="Absent: never.")
    role: OperatorRole | None = Field(default=None, description="No more than your own. Absent: your own.")
    allowed_addresses: Addresses = None


class Token(BaseModel):
    id: UUID
    name: str
    visible: str = Field(description="The first 13 characters, to recognise it by.")
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None
    role: OperatorRole
    allowed_addresses: list[str] | None


class IssuedToken(Token):
    secret: str = Field(description="The token itself. Shown this once; only its hash is kept.")


class NewOperator(Body):
    """Somebody with an account becomes an operator."""

    email: Email
    role: OperatorRole
    allowed_addresses: Addresses = None


class OperatorChange(Body):
    """Only what is given changes."""

    role: OperatorRole | None = None
    allowed_addresses: Addresses = None


class Operator(BaseModel):
    id: UUID
    email: str
    name: str
    role: OperatorRole
    has_second_factor: bool = Field(description="Without one he has no powers.")
    allowed_addresses: list[str] | None
    created_at: datetime = Field(description="When the account was made.")
