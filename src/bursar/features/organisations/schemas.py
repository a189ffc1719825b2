"""What organisations look like from outside."""

from datetime import datetime
from typing import Literal
from uuid import UUID

from pydantic import BaseModel, Field

from bursar.rest.fields import AmountText, Body, Email, Name

BillingType = Literal["prepaid", "postpaid"]
Status = Literal["active", "suspended", "closed"]
Currency = Literal["USD", "EUR", "CNY", "KRW", "JPY"]


class NewOrganisation(Body):
    name: Name
    billing_email: Email | None = None
    billing_type: BillingType = "prepaid"
    currency: Currency = Field(default="USD", description="Asset of its wallet; cannot be changed later.")
    credit_limit: AmountText | None = Field(
        default=None, description="Postpaid only: the most it may owe. Default 500 major units."
    )


class FoundedOrganisation(Body):
    """What a person says of an organisation of his own. It is prepaid."""

    name: Name
    billing_email: Email | None = Field(default=None, description="Where invoices go. Absent: to you.")
    currency: Currency = Field(default="USD", description="Asset of its wallet; cannot be changed later.")


class OrganisationChange(Body):
    """Only what is given changes."""

    name: Name | None = None
    billing_email: Email | None = None
    status: Status | None = Field(default=None, description="For operators only.")
    store_responses: bool | None = Field(
        default=None,
        description="Keep answers of the Responses API for 30 days, unless a request says `store: false`.",
    )


class Billing(Body):
    """How it pays. Postpaid is a credit limit above zero."""

    billing_type: BillingType
    credit_limit: AmountText | None = Field(
        default=None, description="Postpaid only: the most it may owe. Default 500 major units."
    )


class Organisation(BaseModel):
    id: UUID
    name: str
    billing_email: str | None
    billing_type: BillingType
    currency: str
    status: Status
    store_responses: bool
    wallet_id: UUID
    created_at: datetime
