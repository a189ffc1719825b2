"""What organisations' own credentials, their routing rules and platform fees look like from outside."""

from datetime import datetime
from decimal import Decimal
from typing import Annotated, Literal
from uuid import UUID

from pydantic import BaseModel, Field, SecretStr, StringConstraints

from bursar.rest.fields import Body, Moment, Name, PriceText

Currency = Literal["USD", "EUR", "CNY", "KRW", "JPY"]
CREDENTIAL_LENGTH_MAX = 4096
PRIORITY_MAX = 1_000_000
# One list is for one contract; the database keeps no longer one either.
ALLOWED_MAX = 100
# As the column keeps it: numeric(9, 4). More than ten times the list cost is a slip of the pen.
FeePercent = Annotated[Decimal, Field(ge=0, le=1000, max_digits=9, decimal_places=4, allow_inf_nan=False)]
Secret = Annotated[
    SecretStr,
    Field(
        min_length=1, max_length=CREDENTIAL_LENGTH_MAX, description="Sealed when stored; never shown again."
    ),
]
Region = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9-]{0,39}$"), Field(examples=["eu"])]


class NewOwnCredential(Body):
    provider_id: UUID
    name: Name | None = Field(default=None, description="To tell several apart. Absent: the provider's.")
    secret: Secret
    priority: int = Field(default=100, ge=0, le=PRIORITY_MAX, description="Lower is tried first.")


class OwnCredentialChange(Body):
    """Only what is given changes."""

    name: Name | None = None
    active: bool | None = None
    priority: int | None = Field(default=None, ge=0, le=PRIORITY_MAX)


class SecretRotation(Body):
    secret: Secret


class OwnCredential(BaseModel):
    id: UUID
    organisation_id: UUID
    provider_id: UUID
    provider: str = Field(description="The provider's short name.")
    name: str
    hint: str = Field(description="Its last four characters.", examples=["…x7Qa"])
    active: bool = Field(description="While one is active, requests for this provider's models run on it.")
    priority: int
    created_at: datetime
    rotated_at: datetime | None


class RoutingRules(BaseModel):
    """Where an organisation's requests may go."""

    own_keys_fall_back: bool = Field(
        description="A request that fails on the organisation's own credentials may be served, and priced, "
        "with the operator's."
    )
    allowed_providers: list[UUID] | None = Field(description="`null`: every provider.")
    allowed_regions: list[str] | None = Field(
        description="`null`: everywhere. A deployment whose region nobody entered is outside every list."
    )


class RoutingRulesChange(Body):
    """Only what is given changes; `null` lifts a restriction."""

    own_keys_fall_back: bool | None = None
    allowed_providers: Annotated[list[UUID], Field(min_length=1, max_length=ALLOWED_MAX)] | None = None
    allowed_regions: Annotated[list[Region], Field(min_length=1, max_length=ALLOWED_MAX)] | None = None


class NewPlatformFee(Body):
    organisation_id: UUID | None = Field(
        default=None, description="Absent: of all that have none of their own."
    )
    currency: Currency = "USD"
    percent: FeePercent = Field(description="Of the provider's list cost of each request.", examples=["5"])
    per_request: PriceText = Field(default="0", description="Fixed, per request, in major units, exact.")
    effective_from: Moment | None = Field(default=None, description="Absent: now.")


class PlatformFee(BaseModel):
    """What a request on an own credential is sold for."""

    id: int
    organisation_id: UUID | None
    currency: str
    percent: str = Field(examples=["5"])
    per_request: str = Field(examples=["0.0005"])
    effective_from: datetime
    created_at: datetime
