"""What budgets look like from outside."""

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from pydantic import BaseModel, Field, StringConstraints

from bursar.rest.fields import MODEL_LENGTH_MAX, Body, Name

AMOUNT_DIGITS_MAX = 18
Unit = Literal["money", "requests", "tokens"]
Period = Literal["once", "day", "week", "month"]
Amount = Annotated[
    str,
    StringConstraints(max_length=AMOUNT_DIGITS_MAX + 10, pattern=r"^[0-9]{1,15}(\.[0-9]+)?$"),
    Field(
        description="Of money a decimal string in major units; of requests and tokens a whole number.",
        examples=["25.00"],
    ),
]
Pattern = Annotated[
    str,
    StringConstraints(
        min_length=1, max_length=MODEL_LENGTH_MAX, pattern=r"^[A-Za-z0-9*?][A-Za-z0-9._:/@+*?-]*$"
    ),
    Field(description="Only these models: a name, an alias or a pattern such as `gpt-*`."),
]


class NewCredentialBudget(Body):
    name: Name
    unit: Unit = "money"
    amount: Amount
    period: Period = "month"
    currency: Annotated[str, StringConstraints(min_length=3, max_length=3)] | None = Field(
        default=None, description="Of money: requests paid in another one do not count. Absent: USD."
    )


class NewBudget(Body):
    name: Name
    unit: Unit = "money"
    amount: Amount
    period: Period = "month"
    key_id: UUID | None = Field(
        default=None, description="Of one key. No key, member, project or team: of all keys together."
    )
    member_id: UUID | None = Field(default=None, description="Of all keys this member made.")
    project_id: UUID | None = Field(default=None, description="Of all keys in this project.")
    team_id: UUID | None = Field(default=None, description="Of all keys in this team's projects.")
    model: Pattern | None = Field(default=None, description="Within the key.")
    provider_id: UUID | None = Field(default=None, description="Within the key.")


class BudgetChange(Body):
    """Only what is given changes."""

    name: Name | None = None
    amount: Amount | None = None
    active: bool | None = None


class Budget(BaseModel):
    id: UUID
    organisation_id: UUID | None
    key_id: UUID | None
    member_id: UUID | None
    project_id: UUID | None
    team_id: UUID | None
    credential_id: UUID | None
    provider_id: UUID | None
    model: str | None
    name: str
    unit: Unit
    amount: str
    currency: str | None
    period: Period
    active: bool
    created_at: datetime
    used: str = Field(description="In the period that runs now, as gateways last said: a second ago.")
    left: str = Field(description="Never below zero; what gateways hold for requests under way is in it.")
    starts_at: datetime | None = Field(description="Of the period that runs now, UTC; `null`: for good.")
    resets_at: datetime | None
