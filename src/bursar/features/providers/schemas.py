"""What providers and their credentials look like from outside."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from pydantic import BaseModel, Field, SecretStr, StringConstraints

from bursar.features.providers.kinds import Kind
from bursar.rest.fields import Body, Name

Slug = Annotated[
    str,
    StringConstraints(min_length=1, max_length=40, pattern=r"^[a-z0-9][a-z0-9-]*$"),
    Field(description="Short name, used in commands.", examples=["openai"]),
]
Region = Annotated[
    str,
    StringConstraints(min_length=1, max_length=40, pattern=r"^[a-z0-9][a-z0-9-]*$"),
    Field(examples=["eu"]),
]
URL_LENGTH_MAX = 300
CREDENTIAL_LENGTH_MAX = 4096
HOUR_MS = 3_600_000
PRIORITY_MAX = 1_000_000

TimeoutMs = Annotated[int, Field(ge=1, le=HOUR_MS)]
BaseUrl = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=URL_LENGTH_MAX),
    Field(description="With the version, without an endpoint.", examples=["https://api.openai.com/v1"]),
]


class ProviderTimeouts(Body):
    """Milliseconds; absent ones are the gateway's own."""

    connect_ms: TimeoutMs | None = None
    first_byte_ms: TimeoutMs | None = None
    idle_ms: TimeoutMs | None = None


class BreakerSettings(Body):
    """When a deployment is left alone; absent ones are 50 % of at least 20 calls in 10 s, for 10 s."""

    failures_percent: int | None = Field(default=None, ge=1, le=100)
    calls_min: int | None = Field(default=None, ge=1, le=1_000_000, description="Fewer calls decide nothing.")
    window_ms: int | None = Field(default=None, ge=1_000, le=HOUR_MS)
    open_ms: TimeoutMs | None = Field(default=None, description="Until it is probed.")
    probes: int | None = Field(default=None, ge=1, le=100, description="Successes that close it again.")


TAKES_OWN_KEYS = (
    "Organisations may bring credentials of their own. Only where it bills the owner of a key: your own "
    "machines would serve any key for the platform fee."
)


class NewProvider(Body):
    slug: Slug
    name: Name | None = Field(default=None, description="Absent: the slug.")
    kind: Kind
    base_url: BaseUrl | None = Field(default=None, description="Absent: the maker's own, for its own kind.")
    aborts_stop_billing: bool | None = Field(
        default=None,
        description="Closing the connection stops its meter; otherwise a hang-up is read on. "
        "Absent: as is known of its kind.",
    )
    timeouts: ProviderTimeouts = Field(default_factory=ProviderTimeouts)
    region: Region | None = Field(default=None, description="Where it answers, for routes that name none.")
    breaker: BreakerSettings = Field(default_factory=BreakerSettings)
    takes_own_keys: bool | None = Field(default=None, description=TAKES_OWN_KEYS + " Absent: at its maker's.")


class ProviderChange(Body):
    """Only what is given changes; `null` clears `region`."""

    name: Name | None = None
    base_url: BaseUrl | None = None
    active: bool | None = None
    aborts_stop_billing: bool | None = None
    timeouts: ProviderTimeouts | None = None
    region: Region | None = None
    breaker: BreakerSettings | None = None
    takes_own_keys: bool | None = Field(default=None, description=TAKES_OWN_KEYS)


class Provider(BaseModel):
    id: UUID
    slug: str
    name: str
    kind: Kind
    base_url: str
    active: bool
    aborts_stop_billing: bool
    timeouts: dict[str, int]
    region: str | None
    breaker: dict[str, int]
    takes_own_keys: bool
    created_at: datetime


class NewCredential(Body):
    secret: SecretStr = Field(
        min_length=1, max_length=CREDENTIAL_LENGTH_MAX, description="Sealed when stored; never shown again."
    )
    priority: int = Field(default=100, ge=0, le=PRIORITY_MAX, description="Lower is tried first.")


class CredentialChange(Body):
    """Only what is given changes."""

    active: bool | None = None
    priority: int | None = Field(default=None, ge=0, le=PRIORITY_MAX)


class Credential(BaseModel):
    id: UUID
    provider_id: UUID
    hint: str = Field(description="Its last four characters.", examples=["…x7Qa"])
    active: bool
    priority: int
    created_at: datetime
