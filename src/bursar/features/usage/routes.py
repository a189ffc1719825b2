"""HTTP of usage. What it cost us is for operators; customers' sessions could not even read it."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Query

from bursar.core.permissions import Permission
from bursar.features.usage import service
from bursar.features.usage.schemas import EndedHow, ExplainedRequest, Summary, SummaryBy, UsageRow
from bursar.features.usage.service import Filters
from bursar.rest.callers import Calling, may
from bursar.rest.control import Means
from bursar.rest.fields import ModelName, Moment
from bursar.rest.paging import Page, Paging
from bursar.rest.problems import responses
from bursar.rest.transactions import OrganisationOrOperatorRead

router = APIRouter(prefix="/organisations/{organisation_id}/usage", tags=["usage"])

HTTP_STATUS_MAX = 999


def filters(  # noqa: PLR0913, PLR0917 - each is one filter of the listing
    since: Annotated[Moment | None, Query(description="Absent: 31 days before `until`.")] = None,
    until: Annotated[Moment | None, Query(description="Absent: now. Not included.")] = None,
    model: ModelName | None = None,
    api_key_id: UUID | None = None,
    project_id: UUID | None = None,
    team_id: UUID | None = None,
    provider_id: UUID | None = None,
    outcome: EndedHow | None = None,
    status: Annotated[int | None, Query(ge=0, le=HTTP_STATUS_MAX)] = None,
    streamed: bool | None = None,  # noqa: FBT001 - FastAPI names it
) -> Filters:
    return Filters(
        since=since,
        until=until,
        model=model,
        api_key_id=api_key_id,
        project_id=project_id,
        team_id=team_id,
        provider_id=provider_id,
        outcome=outcome,
        status=status,
        streamed=streamed,
    )


Narrowed = Annotated[Filters, Depends(filters)]


@router.get("", responses=responses(404), dependencies=may(Permission.USAGE_READ))
async def list_usage(  # noqa: PLR0913 - who asks for what of whom
    *,
    organisation_id: UUID,
    read: OrganisationOrOperatorRead,
    control: Means,
    calling: Calling,
    narrowed: Narrowed,
    paging: Paging,
) -> Page[UsageRow]:
    """List requests, newest first."""
    wanted = narrowed.wanted(organisation_id, control.edge.now())
    return await service.list_usage(read, wanted, paging, with_cost=calling.is_operator)


@router.get("/summary", responses=responses(404), dependencies=may(Permission.USAGE_READ))
async def summarise_usage(  # noqa: PLR0913 - who asks for what of whom
    *,
    organisation_id: UUID,
    read: OrganisationOrOperatorRead,
    control: Means,
    calling: Calling,
    narrowed: Narrowed,
    by: SummaryBy = "day",
) -> Summary:
    """Add up requests by day, model, key, project, team or provider."""
    wanted = narrowed.wanted(organisation_id, control.edge.now())
    return await service.summarise(read, wanted, by=by, with_cost=calling.is_operator)


@router.get("/{request_id}", responses=responses(404), dependencies=may(Permission.USAGE_READ))
async def explain_usage(
    organisation_id: UUID, request_id: UUID, read: OrganisationOrOperatorRead, calling: Calling
) -> ExplainedRequest:
    """Explain a request's cost: each token class, its price, the exact amount."""
    return await service.explain_usage(read, organisation_id, request_id, with_cost=calling.is_operator)
