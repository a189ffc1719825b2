"""What limits look like from outside."""

from datetime import datetime
from typing import Annotated, Final, Literal
from uuid import UUID

from pydantic import BaseModel, Field, StringConstraints

from bursar.rest.fields import MODEL_LENGTH_MAX, Network
from bursar.rest.limit_fields import Rates

# A key is for one program; more than this is better said with a pattern or another key.
NARROWED_MAX: Final = 50
ADDRESSES_MAX: Final = 200

Pattern = Annotated[
    str,
    StringConstraints(
        min_length=1, max_length=MODEL_LENGTH_MAX, pattern=r"^[A-Za-z0-9*?][A-Za-z0-9._:/@+*?-]*$"
    ),
]
Slug = Annotated[str, StringConstraints(min_length=1, max_length=MODEL_LENGTH_MAX)]


class KeyLimits(Rates):
    models: Annotated[dict[Pattern, Rates], Field(max_length=NARROWED_MAX)] = Field(
        default_factory=dict, description="By model, alias or pattern such as `claude-*`, within this key."
    )
    providers: Annotated[dict[Slug, Rates], Field(max_length=NARROWED_MAX)] = Field(
        default_factory=dict, description="By the provider's short name, within this key."
    )
    allowed_addresses: Annotated[list[Network], Field(max_length=ADDRESSES_MAX)] | None = Field(
        default=None, description="Networks this key may be used from; absent: from everywhere."
    )


class Limit(BaseModel):
    """How one limit stands."""

    subject: Literal["organisation", "key", "member", "project", "team", "credential"]
    subject_id: UUID
    scope: str = Field(description="The subject, or what it is narrowed to, such as `model gpt-*`.")
    kind: str = Field(
        description="`requests_per_min`, `tokens_per_min`, `concurrent`; or a budget's unit and period, "
        "such as `money_month`."
    )
    name: str | None = Field(description="A budget's name.")
    limit: str = Field(description="A number; of money in major units of `currency`.")
    used: str | None = Field(description="`null`: counted in each gateway, see its `/v1/limits`.")
    currency: str | None
    resets_at: datetime | None = Field(
        description="When nothing of it is used any more, or its next period starts (UTC). `null`: never, or "
        "nobody knows."
    )
    counted_in: Literal["redis", "gateways", "books"]


class Limits(BaseModel):
    items: list[Limit]
