"""HTTP of viewing as a customer."""

from uuid import UUID

from fastapi import APIRouter

from bursar.core.permissions import Permission
from bursar.features.view_as import service
from bursar.features.view_as.schemas import NewViewing, StartedViewing, Viewing
from bursar.rest.callers import Calling, may
from bursar.rest.control import Means
from bursar.rest.paging import Page, Paging
from bursar.rest.problems import responses
from bursar.rest.transactions import AccountsTx, OrganisationRead

router = APIRouter(prefix="/organisations/{organisation_id}/view-as", tags=["view as"])


@router.post("", status_code=201, responses=responses(404), dependencies=may(Permission.VIEW_AS))
async def start_viewing(
    organisation_id: UUID, body: NewViewing, tx: AccountsTx, calling: Calling, control: Means
) -> StartedViewing:
    """See what this organisation's owner sees, for an hour at most. Its owners and admins are told."""
    return await service.start(tx, organisation_id, body, viewer=calling, control=control)


@router.get("", responses=responses(404), dependencies=may(Permission.MEMBERS_READ))
async def list_viewings(organisation_id: UUID, read: OrganisationRead, paging: Paging) -> Page[Viewing]:
    """List who of the operators viewed as this organisation, when and why, newest first."""
    return await service.list_viewings(read, organisation_id, paging)


@router.post("/{viewing_id}/end", responses=responses(404), dependencies=may(Permission.VIEW_AS))
async def end_viewing(organisation_id: UUID, viewing_id: UUID, tx: AccountsTx, control: Means) -> Viewing:
    """End a viewing before its time."""
    return await service.end(tx, organisation_id, viewing_id, edge=control.edge)
