"""How providers are doing, as the gateways reported it within the last minute."""

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Final, Literal
from uuid import UUID

import sqlalchemy as sa
from pydantic import BaseModel, Field

from bursar.db.engine import ReadSession
from bursar.db.tables import credential_refusal, provider, provider_credential, provider_health

FRESH: Final = timedelta(seconds=60)
"""Gateways report every 10 s; what is older was said by one that is gone or has nothing to say."""
ROWS_MAX: Final = 5_000

State = Literal["healthy", "degraded", "down", "unknown"]


class DeploymentHealth(BaseModel):
    """One route with one credential, all gateways together."""

    route_id: UUID
    credential_id: UUID
    model: str
    breaker: Literal["closed", "open", "half_open"] = Field(description="The worst that any gateway has.")
    calls: int = Field(description="Within its breaker's window.")
    failures: int
    latency_ms: int | None = Field(description="The slowest gateway's recent average.")
    cooling_until: datetime | None
    gateways: int


class RefusedCredential(BaseModel):
    """A credential the provider refuses: out of rotation until it is changed or long has passed."""

    credential_id: UUID
    hint: str | None
    kind: Literal["auth", "billing"]
    upstream_status: int
    first_at: datetime
    last_at: datetime


class ProviderHealth(BaseModel):
    provider_id: UUID
    slug: str
    state: State = Field(description="unknown: nobody asked it within the last minute.")
    calls: int
    failures: int
    deployments: list[DeploymentHealth]
    refused: list[RefusedCredential]


class ProvidersHealth(BaseModel):
    items: list[ProviderHealth]


async def providers_health(read: ReadSession, *, now: datetime) -> ProvidersHealth:
    """Every active provider. Grows with deployments in use, at most `ROWS_MAX`."""
    deployments = defaultdict[UUID, list[DeploymentHealth]](list)
    for row in await _deployments(read, since=now - FRESH):
        deployments[row["provider_id"]].append(DeploymentHealth.model_validate(dict(row)))
    refused = defaultdict[UUID, list[RefusedCredential]](list)
    for row in await _refusals(read):
        refused[row["provider_id"]].append(RefusedCredential.model_validate(dict(row)))
    found = await read.execute(
        sa.select(provider.c.id, provider.c.slug).where(provider.c.active).order_by(provider.c.slug)
    )
    return ProvidersHealth(
        items=[
            _shown(row["id"], row["slug"], deployments[row["id"]], refused[row["id"]])
            for row in found.mappings()
        ]
    )


def _shown(
    provider_id: UUID, slug: str, deployments: list[DeploymentHealth], refused: list[RefusedCredential]
) -> ProviderHealth:
    return ProviderHealth(
        provider_id=provider_id,
        slug=slug,
        state=state_of(deployments, refused),
        calls=sum(one.calls for one in deployments),
        failures=sum(one.failures for one in deployments),
        deployments=deployments,
        refused=refused,
    )


def state_of(deployments: Sequence[DeploymentHealth], refused: Sequence[RefusedCredential]) -> State:
    """Down: nothing it offers is used as it should be. Degraded: something is not."""
    out = {one.credential_id for one in refused}
    troubled = [
        one.breaker != "closed" or one.cooling_until is not None or one.credential_id in out
        for one in deployments
    ]
    if not deployments:
        return "down" if refused else "unknown"
    if all(troubled):
        return "down"
    return "degraded" if any(troubled) or refused else "healthy"


async def _deployments(read: ReadSession, *, since: datetime) -> Sequence[sa.RowMapping]:
    said = provider_health.c
    worst: Any = sa.case(
        (sa.func.bool_or(said.breaker == "open"), "open"),
        (sa.func.bool_or(said.breaker == "half_open"), "half_open"),
        else_="closed",
    )
    question = (
        sa.select(
            said.provider_id,
            said.route_id,
            said.credential_id,
            said.model,
            worst.label("breaker"),
            sa.func.sum(said.calls).label("calls"),
            sa.func.sum(said.failures).label("failures"),
            sa.func.max(said.latency_ms).label("latency_ms"),
            sa.func.max(said.cooling_until).label("cooling_until"),
            sa.func.count().label("gateways"),
        )
        .where(said.reported_at > since)
        .group_by(said.provider_id, said.route_id, said.credential_id, said.model)
        .order_by(said.model, said.route_id, said.credential_id)
        .limit(ROWS_MAX)
    )
    return (await read.execute(question)).mappings().all()


async def _refusals(read: ReadSession) -> Sequence[sa.RowMapping]:
    refusal = credential_refusal.c
    question = (
        sa.select(
            refusal.credential_id,
            refusal.provider_id,
            provider_credential.c.hint,
            refusal.kind,
            refusal.upstream_status,
            refusal.first_at,
            refusal.last_at,
        )
        .outerjoin(provider_credential, provider_credential.c.id == refusal.credential_id)
        .where(refusal.ended_at.is_(None), provider_credential.c.active.is_not(False))
        .order_by(refusal.first_at)
        .limit(ROWS_MAX)
    )
    return (await read.execute(question)).mappings().all()
