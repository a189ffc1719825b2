"""What models, their aliases and routes look like from outside."""

from datetime import date, datetime
from decimal import Decimal
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import BaseModel, Field, StringConstraints

from bursar.core.routing import Strategy
from bursar.core.service import UNSAID, Service
from bursar.rest.fields import Body, ModelName, Name

TOKENS_MAX = 2**31 - 1
PRIORITY_MAX = 1_000_000
WEIGHT_MAX = 1_000
ALIASES_MAX = 50
FALLBACKS_MAX = 8
# Above it a margin is a typing error; -100 % would be giving it away.
MARGIN_PERCENT_MAX = Decimal(10_000)
MARGIN_PERCENT_MIN = Decimal("-99.9999")

Status = Literal["active", "retired"]
Tokens = Annotated[int, Field(ge=1, le=TOKENS_MAX)]
MarginPercent = Annotated[
    Decimal,
    Field(
        ge=MARGIN_PERCENT_MIN,
        le=MARGIN_PERCENT_MAX,
        max_digits=9,
        decimal_places=4,
        allow_inf_nan=False,
        description="Sale price over cost, in percent, for this model's imported prices.",
    ),
]


Services = Annotated[
    list[Service],
    Field(
        min_length=1,
        max_length=len(Service),
        description="What it can be asked to do: this decides its endpoints and what must have a price.",
    ),
]


Fallbacks = Annotated[
    list[ModelName],
    Field(
        max_length=FALLBACKS_MAX,
        description="Models asked instead, first to last, when none of this one's providers answers. "
        "Each at its own price; one that a key may not use is passed over.",
    ),
]
MinMargin = Annotated[
    Decimal,
    Field(
        ge=MARGIN_PERCENT_MIN,
        le=MARGIN_PERCENT_MAX,
        max_digits=9,
        decimal_places=4,
        allow_inf_nan=False,
        description="Nothing is routed where any price sells for less than this over its cost, in percent.",
    ),
]
Lacks = Annotated[
    list[Literal["tools", "stream", "vision"]],
    Field(max_length=3, description="What it cannot do: such requests go to its fallbacks, or are refused."),
]
Region = Annotated[
    str,
    StringConstraints(min_length=1, max_length=40, pattern=r"^[a-z0-9][a-z0-9-]*$"),
    Field(examples=["eu"]),
]


class NewModel(Body):
    id: ModelName = Field(description="The name callers use.")
    display_name: Name | None = Field(default=None, description="Absent: the id.")
    context_window: Tokens | None = None
    output_tokens_max: Tokens | None = Field(
        default=None, description="Bounds what a request without max_tokens may cost. Absent: 16384."
    )
    margin_percent: MarginPercent | None = None
    min_margin_percent: MinMargin | None = None
    strategy: Strategy = Field(default=Strategy.PRIORITY, description="In which order its routes are tried.")
    fallbacks: Fallbacks = Field(default_factory=list)
    lacks: Lacks = Field(default_factory=list)
    services: Services = Field(default_factory=lambda: sorted(UNSAID))
    aliases: list[ModelName] = Field(default_factory=list, max_length=ALIASES_MAX)


class ModelChange(Body):
    """Only what is given changes; `null` clears what may be empty."""

    display_name: Name | None = None
    context_window: Tokens | None = None
    output_tokens_max: Tokens | None = None
    margin_percent: MarginPercent | None = None
    status: Status | None = None
    successor: ModelName | None = Field(default=None, description="Named to callers of a retired model.")
    min_margin_percent: MinMargin | None = None
    strategy: Strategy | None = None
    fallbacks: Fallbacks | None = None
    lacks: Lacks | None = None
    services: Services | None = None
    aliases: list[ModelName] | None = Field(
        default=None, max_length=ALIASES_MAX, description="All of them: those not named are removed."
    )


class NewRoute(Body):
    model_id: ModelName
    provider_id: UUID
    provider_model: ModelName | None = Field(default=None, description="Its name there. Absent: the same.")
    priority: int = Field(default=100, ge=0, le=PRIORITY_MAX, description="Lower is tried first.")
    weight: int = Field(default=1, ge=1, le=WEIGHT_MAX, description="Share among equal priorities.")
    credential_id: UUID | None = Field(
        default=None, description="The only credential of the provider's to use. Absent: any."
    )
    region: Region | None = Field(default=None, description="Where it answers. Absent: the provider's.")
    min_margin_percent: MinMargin | None = None


class RouteChange(Body):
    """Only what is given changes; `null` clears `min_margin_percent`."""

    priority: int | None = Field(default=None, ge=0, le=PRIORITY_MAX)
    weight: int | None = Field(default=None, ge=1, le=WEIGHT_MAX)
    active: bool | None = None
    min_margin_percent: MinMargin | None = None


class Route(BaseModel):
    id: UUID
    model_id: str
    provider_id: UUID
    provider: str = Field(description="The provider's short name.")
    provider_model: str
    priority: int
    weight: int
    credential_id: UUID | None
    region: str | None
    min_margin_percent: Decimal | None
    active: bool


class Model(BaseModel):
    id: str
    display_name: str
    context_window: int | None
    output_tokens_max: int | None
    status: Status
    successor: str | None
    margin_percent: Decimal | None
    min_margin_percent: Decimal | None
    strategy: Strategy
    fallbacks: list[str]
    lacks: list[str]
    services: list[str]
    capabilities: dict[str, Any]
    created_at: datetime
    aliases: list[str]
    routes: list[Route]


class CatalogueEntry(BaseModel):
    """One model of the shipped catalogue; see the file's own `about`."""

    id: str
    provider: str
    provider_model: str
    state: Literal["served", "planned", "retired"]
    context_window: int | None
    output_limit: int | None
    retired_on: date | None
    retires_on: date | None
    successor: str | None
    aliases: list[str]
    services: list[Service] = Field(default_factory=lambda: sorted(UNSAID))


class CatalogueProvider(BaseModel):
    name: str
    kind: str
    base_url: str
    state: Literal["served", "planned"]


class Catalogue(BaseModel):
    as_of: date
    about: list[str]
    providers: list[CatalogueProvider]
    models: list[CatalogueEntry]


class CatalogueLoad(Body):
    providers: dict[str, str] = Field(
        default_factory=dict,
        max_length=20,
        description="Catalogue provider → short name of the registered one. Absent ones: the same name.",
        examples=[{"openai": "simulated-openai"}],
    )


class Loaded(BaseModel):
    """What a load did. Models that exist are left as they are, but for retirements that have come."""

    added: list[str]
    routed: list[str] = Field(description="`model → provider` routes added.")
    retired: list[str]
    unchanged: int
    planned: list[str] = Field(description="Not loaded: no adapter of this version speaks to their provider.")
    unrouted: list[str] = Field(description="Loaded without a route: their provider is not registered.")


class RoutingRules(Body):
    """What holds for every model."""

    min_margin_percent: MinMargin | None = Field(
        default=None, description="The margin floor of models and routes that set none. `null`: no floor."
    )
