"""What prices look like from outside."""

from datetime import datetime
from decimal import Decimal
from typing import Annotated, Literal
from uuid import UUID

from pydantic import BaseModel, Field

from bursar.core.usage import Meter
from bursar.rest.fields import Body, ModelName, Moment, PriceText
from bursar.rest.paging import BIGINT_MAX

Currency = Literal["USD", "EUR", "CNY", "KRW", "JPY"]
Per = Literal["unit", "thousand", "million"]
MODELS_AT_ONCE_MAX = 500
# As the column keeps it: numeric(9, 4).
MarginPercent = Annotated[
    Decimal, Field(gt=-100, le=10_000, max_digits=9, decimal_places=4, allow_inf_nan=False)
]


class NewPrice(Body):
    provider_id: UUID
    model: ModelName = Field(description="The model's name at the provider.")
    meter: Meter
    currency: Currency = "USD"
    tier_from: int = Field(
        default=0,
        ge=0,
        le=BIGINT_MAX,
        description="0: the base price. Otherwise: for requests with more input tokens than this.",
    )
    cost: PriceText | None = Field(
        default=None, description="What the provider charges. Absent: as now in force."
    )
    sale: PriceText = Field(description="What the customer pays.")
    per: Per = Field(default="million", description="How many units `cost` and `sale` are for.")
    effective_from: Moment | None = Field(default=None, description="Absent: now.")


class Price(BaseModel):
    id: int
    provider_id: UUID
    model: str
    meter: str
    currency: str
    tier_from: int
    effective_from: datetime
    cost: str = Field(description="Per ONE unit, exact.", examples=["0.0000025"])
    sale: str = Field(description="Per ONE unit, exact.", examples=["0.000003"])
    cost_per_million: str = Field(examples=["2.5"])
    sale_per_million: str = Field(examples=["3"])
    source: str = Field(description="`operator`, or the price list it was imported from.")


class PriceSet(BaseModel):
    price: Price
    warnings: list[str] = Field(description="Such as a sale price below cost.")


class ImportAsked(Body):
    provider_ids: list[UUID] | None = Field(
        default=None, max_length=100, description="Absent: every active provider."
    )
    source: str | None = Field(
        default=None,
        max_length=60,
        pattern=r"^[a-z0-9_-]+$",
        description="Whose list to read, by its id at genai-prices. Absent: found by base URL, then by kind.",
    )
    margin_percent: MarginPercent | None = Field(
        default=None, description="For models without a margin of their own. Absent: the setting."
    )
    overrule_operator: bool = Field(default=False, description="Also where the newest price was set by hand.")
    dry_run: bool = Field(default=False, description="Say what would be added and add nothing.")


class Margin(Body):
    """Sale over cost for imported prices of models without a margin of their own; used by the next import."""

    margin_percent: MarginPercent


class AddedPrice(BaseModel):
    provider: str
    model: str
    meter: str
    tier_from: int
    effective_from: datetime
    cost_per_million: str
    sale_per_million: str


class NotExpressible(BaseModel):
    """Something in the price list that the book cannot express; the standard price was taken."""

    what: str = Field(examples=["variant service_tier=priority", "time-of-day price 16:30-00:30"])
    models: list[str]


class Imported(BaseModel):
    source: str = Field(examples=["genai-prices 0.2.3"])
    added: int
    models: int = Field(description="Models whose list was compared.")
    prices: list[AddedPrice] = Field(description="The rows added, at most 1000 of them shown.")
    pinned: list[str] = Field(description="`provider/model meter`: set by hand and left alone.")
    not_listed: list[str] = Field(description="`provider/model`: not in the price list.")
    no_list: list[str] = Field(description="Providers for which no price list is known.")
    unsupported: list[NotExpressible]
