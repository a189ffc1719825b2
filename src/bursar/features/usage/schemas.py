"""What usage looks like from outside: cost and margin for operators only."""

from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from pydantic import BaseModel, Field

from bursar.core.payer import Outcome

SummaryBy = Literal["day", "model", "key", "project", "team", "provider"]
EndedHow = Outcome


OPERATORS_ONLY = "What it cost the operator; null for customers."


class UsageRow(BaseModel):
    """One attempt at one request (and its revision, when a crash was settled first and put right later)."""

    request_id: UUID
    attempt: int
    revision: int
    started_at: datetime
    finished_at: datetime
    api_key_id: UUID
    project_id: UUID | None = Field(description="Where the key was when the request was admitted.")
    team_id: UUID | None
    provider_id: UUID | None
    provider: str | None = Field(description="The provider's short name.")
    model: str
    provider_model: str
    endpoint: str
    dialect: str
    streamed: bool
    status: int
    outcome: str
    error_code: str | None
    quantities: dict[str, int] = Field(
        description="Disjoint classes of tokens and calls.", examples=[{"in_fresh": 12, "out_text": 30}]
    )
    input_tokens: int
    output_tokens: int
    estimated: bool
    flags: list[str]
    service_tier: str | None
    currency: str
    cost: str | None = Field(description=OPERATORS_ONLY)
    sale: str
    margin: str | None = Field(description=f"Sale less cost. {OPERATORS_ONLY}")
    own_key: bool = Field(
        description="It ran on the organisation's own credential: it cost us nothing, the sale is the fee."
    )
    list_cost: str | None = Field(
        description="With `own_key`: what the provider's list makes of it, exact. The provider bills it."
    )
    latency_ms: int
    first_byte_ms: int | None
    provider_request_id: str | None
    end_user: str | None
    posted: bool = Field(description="Burned from the wallet already; at the latest a second after it ended.")


class ExplainedAttempt(BaseModel):
    usage: UsageRow = Field(description="The attempt's last revision.")
    explanation: dict[str, Any] = Field(
        description="Each token class, its price id, the exact amount; rounded once."
    )


class ExplainedRequest(BaseModel):
    """Why a request cost what it cost."""

    request_id: UUID
    currency: str
    cost: str | None = Field(description=OPERATORS_ONLY)
    sale: str = Field(description="All attempts and revisions together.")
    attempts: list[ExplainedAttempt]


class SummaryItem(BaseModel):
    bucket: str = Field(
        description="A UTC day, a model, the id of a key, project or team, a provider's short name; empty: "
        "of none."
    )
    label: str | None = Field(default=None, description="The name of a key, project or team.")
    requests: int
    failed: int = Field(description="Attempts answered with a status of 400 or above.")
    input_tokens: int
    output_tokens: int
    quantities: dict[str, int]
    currency: str
    cost: str | None = Field(description=OPERATORS_ONLY)
    sale: str
    margin: str | None = Field(description=OPERATORS_ONLY)


class Summary(BaseModel):
    by: SummaryBy
    since: datetime
    until: datetime
    items: list[SummaryItem]
    truncated: bool = Field(description="There were more buckets than are shown.")
