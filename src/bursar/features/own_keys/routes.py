"""HTTP of own credentials, routing rules and platform fees.

What belongs to an organisation runs as the organisation itself: row-level security sees no other's rows.
"""

from uuid import UUID

from fastapi import APIRouter

from bursar.core.permissions import Permission
from bursar.features.own_keys import fees, service
from bursar.features.own_keys.schemas import (
    NewOwnCredential,
    NewPlatformFee,
    OwnCredential,
    OwnCredentialChange,
    PlatformFee,
    RoutingRules,
    RoutingRulesChange,
    SecretRotation,
)
from bursar.rest.callers import may
from bursar.rest.control import Means
from bursar.rest.idempotency import Once
from bursar.rest.paging import Page, Paging
from bursar.rest.problems import responses
from bursar.rest.transactions import OperatorRead, OperatorTx, OrganisationRead, OrganisationTx

router = APIRouter(tags=["own keys"])
OF_ORGANISATION = "/organisations/{organisation_id}"
OWN = OF_ORGANISATION + "/own-credentials"


@router.post(
    OWN, status_code=201, responses=responses(404, 409), dependencies=may(Permission.OWN_KEYS_MANAGE)
)
async def add_own_credential(
    organisation_id: UUID, body: NewOwnCredential, tx: OrganisationTx, once: Once
) -> OwnCredential:
    """Add an organisation's own credential at a provider. It is sealed and never shown again."""
    return await once.answer(
        tx,
        OwnCredential,
        lambda: service.add_credential(tx, organisation_id, body, control=once.control),
    )


@router.get(OWN, responses=responses(404), dependencies=may(Permission.OWN_KEYS_READ))
async def list_own_credentials(organisation_id: UUID, read: OrganisationRead) -> list[OwnCredential]:
    """List own credentials by provider, in the order they are tried: at most 50, hints only."""
    return await service.list_credentials(read, organisation_id)


@router.get(OWN + "/{credential_id}", responses=responses(404), dependencies=may(Permission.OWN_KEYS_READ))
async def get_own_credential(
    organisation_id: UUID, credential_id: UUID, read: OrganisationRead
) -> OwnCredential:
    """Show one own credential: its hint, never its secret."""
    return await service.get_credential(read, organisation_id, credential_id)


@router.patch(
    OWN + "/{credential_id}", responses=responses(404), dependencies=may(Permission.OWN_KEYS_MANAGE)
)
async def change_own_credential(
    organisation_id: UUID, credential_id: UUID, body: OwnCredentialChange, tx: OrganisationTx
) -> OwnCredential:
    """Rename an own credential, switch it off or on, or change its place."""
    return await service.change_credential(tx, organisation_id, credential_id, body)


@router.post(
    OWN + "/{credential_id}/rotate", responses=responses(404), dependencies=may(Permission.OWN_KEYS_MANAGE)
)
async def rotate_own_credential(
    organisation_id: UUID, credential_id: UUID, body: SecretRotation, tx: OrganisationTx, control: Means
) -> OwnCredential:
    """Put a new secret in the place of the old one; gateways use it within a second."""
    return await service.rotate_credential(tx, organisation_id, credential_id, body, control=control)


@router.delete(
    OWN + "/{credential_id}", responses=responses(404), dependencies=may(Permission.OWN_KEYS_MANAGE)
)
async def delete_own_credential(
    organisation_id: UUID, credential_id: UUID, tx: OrganisationTx
) -> OwnCredential:
    """Forget an own credential and its secret."""
    return await service.delete_credential(tx, organisation_id, credential_id)


@router.get(OF_ORGANISATION + "/routing", responses=responses(404), dependencies=may(Permission.ROUTING_READ))
async def get_routing_rules(organisation_id: UUID, read: OrganisationRead) -> RoutingRules:
    """Show where an organisation's requests may go."""
    return await service.get_rules(read, organisation_id)


@router.patch(
    OF_ORGANISATION + "/routing", responses=responses(404), dependencies=may(Permission.ROUTING_MANAGE)
)
async def change_routing_rules(
    organisation_id: UUID, body: RoutingRulesChange, tx: OrganisationTx
) -> RoutingRules:
    """Say which providers and regions may be asked, and whether own credentials may fall back."""
    return await service.change_rules(tx, organisation_id, body)


@router.get(
    OF_ORGANISATION + "/platform-fee", responses=responses(404), dependencies=may(Permission.OWN_KEYS_READ)
)
async def get_platform_fee(organisation_id: UUID, read: OrganisationRead, control: Means) -> PlatformFee:
    """Show what an organisation's requests on its own credentials are sold for now."""
    return await fees.fee_of(read, organisation_id, edge=control.edge)


@router.post(
    "/platform-fees",
    status_code=201,
    responses=responses(404, 409),
    dependencies=may(Permission.PLATFORM_MANAGE),
)
async def set_platform_fee(body: NewPlatformFee, tx: OperatorTx, once: Once) -> PlatformFee:
    """Add a dated platform fee. Nothing is changed: what is booked keeps its fee."""
    return await once.answer(tx, PlatformFee, lambda: fees.set_fee(tx, body, edge=once.control.edge))


@router.get("/platform-fees", dependencies=may(Permission.PLATFORM_READ))
async def list_platform_fees(
    read: OperatorRead, paging: Paging, organisation_id: UUID | None = None
) -> Page[PlatformFee]:
    """List platform fees with their history, newest first."""
    return await fees.list_fees(read, paging, organisation_id=organisation_id)
