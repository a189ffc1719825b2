"""What wallets and their movements look like from outside. Amounts are decimal strings in `currency`."""

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from pydantic import BaseModel, Field

from bursar.rest.fields import AmountText, Body, Moment, Text
from bursar.rest.paging import BIGINT_MAX

TopUpKind = Literal["manual", "purchase", "promo"]
MovementType = Literal[
    "top_up",
    "grant",
    "usage",
    "usage_refund",
    "usage_revision",
    "top_up_refund",
    "expiry",
    "credit_limit",
]
ScopeClass = Literal["text", "image", "video", "audio"]
MovementId = Annotated[int, Field(ge=1, le=BIGINT_MAX)]
ATTEMPT_MAX = 2**15 - 1


class Wallet(BaseModel):
    id: UUID
    organisation_id: UUID
    currency: str
    balance: str = Field(description="Posted, less owed, less usage not posted yet. Negative: a debt.")
    spendable: str = Field(
        description="What new requests may still take: credit in force and the credit limit, less debts and "
        "what running requests hold."
    )
    posted: str
    held: str = Field(description="Set aside for requests under way.")
    owed: str
    unposted: str = Field(description="Usage of the last second or so.")
    overrun: str = Field(description="Facts beyond the funds. Above zero blocks new requests.")
    credit_limit: str


class Movement(BaseModel):
    """One transaction of a wallet."""

    id: int
    type: MovementType
    amount: str = Field(description="Change of the balance.")
    balance_after: str
    currency: str
    description: str
    reference: str | None
    request_id: UUID | None
    corrects: int | None = Field(description="The transaction that this one takes back, in part or whole.")
    occurred_at: datetime


class TopUp(Body):
    amount: AmountText
    kind: TopUpKind = Field(
        default="manual", description="manual and purchase are money received; promo is given away."
    )
    description: Text = ""
    reference: Text | None = Field(default=None, description="Of the payment, say; searchable.")
    scope_class: ScopeClass | None = Field(default=None, description="Absent: spends on anything.")
    expires_at: Moment | None = Field(default=None, description="Absent: never.")


class TopUpRefund(Body):
    amount: AmountText | None = Field(default=None, description="Absent: all that is unspent and free.")
    description: Text = ""
    reference: Text | None = None


class UsageRefund(Body):
    amount: AmountText | None = Field(default=None, description="Absent: what is left of the sale.")
    attempt: int | None = Field(
        default=None, ge=0, le=ATTEMPT_MAX, description="Absent: the last one that was sold."
    )
    description: Text = ""
    reference: Text | None = None
