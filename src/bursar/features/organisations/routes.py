"""HTTP of organisations."""

from collections.abc import AsyncIterator
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Query

from bursar.core.permissions import Permission
from bursar.db.engine import AsWhom, Transaction
from bursar.features.organisations import founding, service
from bursar.features.organisations.schemas import (
    Billing,
    FoundedOrganisation,
    NewOrganisation,
    Organisation,
    OrganisationChange,
)
from bursar.rest.callers import Calling, PermissionDenied, SignedIn, may
from bursar.rest.control import Means
from bursar.rest.edge import Occasion
from bursar.rest.fields import Name
from bursar.rest.idempotency import Once, OptionalKey
from bursar.rest.paging import Page, Paging
from bursar.rest.problems import responses
from bursar.rest.transactions import AccountsTx, OperatorRead, OperatorTx, OrganisationRead

router = APIRouter(prefix="/organisations", tags=["organisations"])
own_router = APIRouter(prefix="/me/organisations", tags=["organisations"])


@own_router.post("", status_code=201, responses=responses(409), dependencies=[Depends(SignedIn())])
async def found_organisation(
    body: FoundedOrganisation, tx: AccountsTx, calling: Calling, once: Once
) -> Organisation:
    """Make an organisation of your own, with an empty prepaid wallet."""
    return await once.answer(
        tx,
        Organisation,
        lambda: founding.found_organisation(tx, body, calling=calling, control=once.control),
    )


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


async def changing(control: Means, calling: Calling, organisation_id: UUID) -> AsyncIterator[Transaction]:
    """As the customer, whose session cannot change all there is to change; or as the operator."""
    as_whom = AsWhom(organisation=organisation_id, user=calling.user_id, actor=calling.as_actor())
    if calling.operates(Permission.CUSTOMERS_MANAGE):
        as_whom = AsWhom(operator=True, actor=calling.as_actor())
    async with control.database.transaction(**as_whom) as tx:
        yield tx


@router.patch(
    "/{organisation_id}", responses=responses(404), dependencies=may(Permission.ORGANISATION_CHANGE)
)
async def change_organisation(
    body: OrganisationChange,
    tx: Annotated[Transaction, Depends(changing, scope="function")],
    calling: Calling,
    control: Means,
    organisation_id: UUID,
) -> Organisation:
    """Rename an organisation, say where its invoices go and whether its answers are kept.

    Operators also suspend, close and reopen it.
    """
    if "status" in body.model_fields_set and not calling.operates(Permission.CUSTOMERS_MANAGE):
        raise PermissionDenied(Permission.CUSTOMERS_MANAGE)
    return await service.change_organisation(tx, organisation_id, body, now=control.edge.now())


@router.post(
    "/{organisation_id}/close", responses=responses(404), dependencies=may(Permission.ORGANISATION_CLOSE)
)
async def close_organisation(tx: AccountsTx, control: Means, organisation_id: UUID) -> Organisation:
    """Close an organisation for good: its keys are refused within a second. Only operators reopen it."""
    return await founding.close_organisation(tx, organisation_id, now=control.edge.now())


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
