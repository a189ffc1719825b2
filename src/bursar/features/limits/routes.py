"""HTTP of limits."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query

from bursar.core.permissions import Permission
from bursar.features.limits import service
from bursar.features.limits.schemas import KeyLimits, Limits
from bursar.rest.callers import may
from bursar.rest.control import Means
from bursar.rest.limit_fields import Rates
from bursar.rest.problems import Invalid, responses
from bursar.rest.transactions import OperatorRead, OperatorTx, OrganisationRead, OrganisationTx

router = APIRouter(tags=["limits"])

OF_ORGANISATION = "/organisations/{organisation_id}/limits"
OF_KEY = "/organisations/{organisation_id}/keys/{key_id}/limits"
OF_CREDENTIAL = "/providers/{provider_id}/credentials/{credential_id}/limits"


@router.get("/limits", responses=responses(404), dependencies=may(Permission.PLATFORM_READ))
async def list_limits(  # noqa: PLR0913 - one for each subject
    read: OperatorRead,
    control: Means,
    *,
    organisation_id: Annotated[UUID | None, Query(description="Whose limits.")] = None,
    key_id: Annotated[UUID | None, Query(description="With `organisation_id`: this key's.")] = None,
    provider_id: Annotated[UUID | None, Query(description="With `credential_id`.")] = None,
    credential_id: Annotated[UUID | None, Query(description="With `provider_id`: this credential's.")] = None,
) -> Limits:
    """Show limits and budgets as they stand: limit, used, and when they start anew (UTC)."""
    match (organisation_id, key_id, provider_id, credential_id):
        case (UUID(), None, None, None):
            return await service.organisation_standing(read, organisation_id, control=control)
        case (UUID(), UUID(), None, None):
            return await service.key_standing(read, organisation_id, key_id, control=control)
        case (None, None, UUID(), UUID()):
            return await service.credential_standing(read, provider_id, credential_id, control=control)
    raise Invalid("Name an organisation, an organisation and its key, or a provider and its credential.")


@router.get(OF_ORGANISATION, responses=responses(404), dependencies=may(Permission.LIMITS_READ))
async def get_organisation_limits(organisation_id: UUID, read: OrganisationRead) -> Rates:
    """Show what limits all of an organisation's keys together."""
    return await service.organisation_limits(read, organisation_id)


@router.put(OF_ORGANISATION, responses=responses(404), dependencies=may(Permission.CUSTOMERS_MANAGE))
async def set_organisation_limits(organisation_id: UUID, body: Rates, tx: OrganisationTx) -> Rates:
    """Limit all of an organisation's keys together; what is left out is not limited."""
    return await service.set_organisation_limits(tx, organisation_id, body)


@router.get(OF_KEY, responses=responses(404), dependencies=may(Permission.LIMITS_READ))
async def get_key_limits(organisation_id: UUID, key_id: UUID, read: OrganisationRead) -> KeyLimits:
    """Show what limits a key."""
    return await service.key_limits(read, organisation_id, key_id)


@router.put(OF_KEY, responses=responses(404), dependencies=may(Permission.LIMITS_MANAGE))
async def set_key_limits(
    organisation_id: UUID, key_id: UUID, body: KeyLimits, tx: OrganisationTx
) -> KeyLimits:
    """Limit a key; what is left out is not limited."""
    return await service.set_key_limits(tx, organisation_id, key_id, body)


@router.get(OF_CREDENTIAL, responses=responses(404), dependencies=may(Permission.PLATFORM_READ))
async def get_credential_limits(provider_id: UUID, credential_id: UUID, read: OperatorRead) -> Rates:
    """Show what limits a provider's credential."""
    return await service.credential_limits(read, provider_id, credential_id)


@router.put(OF_CREDENTIAL, responses=responses(404), dependencies=may(Permission.PLATFORM_MANAGE))
async def set_credential_limits(provider_id: UUID, credential_id: UUID, body: Rates, tx: OperatorTx) -> Rates:
    """Limit a provider's credential: at its limit, requests go elsewhere."""
    return await service.set_credential_limits(tx, provider_id, credential_id, body)
