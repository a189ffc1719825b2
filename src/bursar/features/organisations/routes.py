"""HTTP of organisations."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query

from bursar.core.permissions import Permission
from bursar.features.organisations import service
from bursar.features.organisations.schemas import (
    Billing,
    NewOrganisation,
    Organisation,
    OrganisationChange,
)
from bursar.rest.callers import may
from bursar.rest.control import Means
from bursar.rest.edge import Occasion
from bursar.rest.fields import Name
from bursar.rest.idempotency import Once, OptionalKey
from bursar.rest.paging import Page, Paging
from bursar.rest.problems import responses
from bursar.rest.transactions import OperatorRead, OperatorTx, OrganisationRead

router = APIRouter(prefix="/organisations", tags=["organisations"])


@router.post("", status_code=201, responses=responses(409), dependencies=may(Permission.CUSTOMERS_MANAGE))
async def create_organisation(body: NewOrganisation, tx: OperatorTx, once: Once) -> Organisation:
    """Create an organisation and its empty wallet."""
    return await once.answer(
        tx, Organisation, lambda: service.create_organisation(tx, body, edge=once.control.edge)
    )


@router.get("", dependencies=may(Permission.CUSTOMERS_READ))
async def list_organisations(
    read: OperatorRead,
    paging: Paging,
    name: Annotated[Name | None, Query(description="Only names that contain this.")] = None,
) -> Page[Organisation]:
    """List organisations, newest first."""
    return await service.list_organisations(read, paging, name_contains=name)


@router.get("/{organisation_id}", responses=responses(404), dependencies=may(Permission.ORGANISATION_READ))
async def get_organisation(read: OrganisationRead, organisation_id: UUID) -> Organisation:
    """Show one organisation."""
    return await service.get_organisation(read, organisation_id)


@router.patch("/{organisation_id}", responses=responses(404), dependencies=may(Permission.CUSTOMERS_MANAGE))
async def change_organisation(
    body: OrganisationChange, tx: OperatorTx, organisation_id: UUID
) -> Organisation:
    """Rename, suspend, close or reopen an organisation; say whether its answers are kept."""
    return await service.change_organisation(tx, organisation_id, body)


@router.put(
    "/{organisation_id}/billing", responses=responses(404, 409), dependencies=may(Permission.MONEY_MANAGE)
)
async def set_billing(
    body: Billing, tx: OperatorTx, control: Means, organisation_id: UUID, key: OptionalKey
) -> Organisation:
    """Make an organisation prepaid or postpaid, and say what it may owe."""
    return await service.set_billing(
        tx, organisation_id, body, Occasion(control.edge, key or str(control.edge.new_id()))
    )
