"""HTTP of limits."""

from typing import Annotated, NamedTuple
from uuid import UUID

from fastapi import APIRouter, Depends, Query

from bursar.core.permissions import Permission
from bursar.db.engine import ReadSession
from bursar.features.limits import service
from bursar.features.limits.schemas import KeyLimits, Limits
from bursar.rest.callers import may
from bursar.rest.control import Control, Means
from bursar.rest.limit_fields import Rates
from bursar.rest.problems import Invalid, responses
from bursar.rest.transactions import OperatorRead, OperatorTx, OrganisationRead, OrganisationTx

router = APIRouter(tags=["limits"])

OF_ORGANISATION = "/organisations/{organisation_id}/limits"
OF_KEY = "/organisations/{organisation_id}/keys/{key_id}/limits"
OF_MEMBER = "/organisations/{organisation_id}/members/{member_id}/limits"
OF_PROJECT = "/organisations/{organisation_id}/projects/{project_id}/limits"
OF_TEAM = "/organisations/{organisation_id}/teams/{team_id}/limits"
OF_CREDENTIAL = "/providers/{provider_id}/credentials/{credential_id}/limits"


class Whose(NamedTuple):
    """What of an organisation; nothing: the organisation itself."""

    key: UUID | None
    member: UUID | None
    project: UUID | None
    team: UUID | None


def whose(
    *,
    key_id: Annotated[UUID | None, Query(description="Of this key of the organisation.")] = None,
    member_id: Annotated[UUID | None, Query(description="Of the keys this member made.")] = None,
    project_id: Annotated[UUID | None, Query(description="Of the keys in this project.")] = None,
    team_id: Annotated[UUID | None, Query(description="Of the keys in this team's projects.")] = None,
) -> Whose:
    return Whose(key_id, member_id, project_id, team_id)


@router.get("/limits", responses=responses(404), dependencies=may(Permission.PLATFORM_READ))
async def list_limits(  # noqa: PLR0913 - one for each subject
    read: OperatorRead,
    control: Means,
    whose: Annotated[Whose, Depends(whose)],
    *,
    organisation_id: Annotated[UUID | None, Query(description="Whose limits.")] = None,
    provider_id: Annotated[UUID | None, Query(description="With `credential_id`.")] = None,
    credential_id: Annotated[UUID | None, Query(description="With `provider_id`: this credential's.")] = None,
) -> Limits:
    """Show limits and budgets as they stand: limit, used, and when they start anew (UTC)."""
    match (organisation_id, provider_id, credential_id):
        case (UUID(), None, None):
            return await _standing(read, control, organisation_id, whose)
        case (None, UUID(), UUID()) if not any(whose):
            return await service.credential_standing(read, provider_id, credential_id, control=control)
    raise Invalid("Name an organisation, one and its key, or a provider and its credential.")


@router.get(OF_ORGANISATION + "/standing", responses=responses(404), dependencies=may(Permission.LIMITS_READ))
async def list_organisation_limits(
    organisation_id: UUID, read: OrganisationRead, control: Means, whose: Annotated[Whose, Depends(whose)]
) -> Limits:
    """Show an organisation's limits and budgets as they stand, or those of something of it."""
    return await _standing(read, control, organisation_id, whose)


async def _standing(read: ReadSession, control: Control, organisation_id: UUID, whose: Whose) -> Limits:
    """Raises `Invalid` and what the service raises."""
    match whose:
        case Whose(None, None, None, None):
            return await service.organisation_standing(read, organisation_id, control=control)
        case Whose(UUID() as key_id, None, None, None):
            return await service.key_standing(read, organisation_id, key_id, control=control)
        case Whose(None, UUID() as member_id, None, None):
            group = service.Group("member", organisation_id, member_id)
        case Whose(None, None, UUID() as project_id, None):
            group = service.Group("project", organisation_id, project_id)
        case Whose(None, None, None, UUID() as team_id):
            group = service.Group("team", organisation_id, team_id)
        case _:
            raise Invalid("Name one key, member, project or team.")
    return await service.group_standing(read, group, control=control)


@router.get(OF_ORGANISATION, responses=responses(404), dependencies=may(Permission.LIMITS_READ))
async def get_organisation_limits(organisation_id: UUID, read: OrganisationRead) -> Rates:
    """Show what limits all of an organisation's keys together."""
    return await service.organisation_limits(read, organisation_id)


@router.put(OF_ORGANISATION, responses=responses(404), dependencies=may(Permission.CUSTOMERS_MANAGE))
async def set_organisation_limits(organisation_id: UUID, body: Rates, tx: OperatorTx) -> Rates:
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


@router.get(OF_MEMBER, responses=responses(404), dependencies=may(Permission.LIMITS_READ))
async def get_member_limits(organisation_id: UUID, member_id: UUID, read: OrganisationRead) -> Rates:
    """Show what limits all keys this member made together."""
    return await service.group_limits(read, service.Group("member", organisation_id, member_id))


@router.put(OF_MEMBER, responses=responses(404), dependencies=may(Permission.LIMITS_MANAGE))
async def set_member_limits(organisation_id: UUID, member_id: UUID, body: Rates, tx: OrganisationTx) -> Rates:
    """Limit all keys this member made together; what is left out is not limited."""
    return await service.set_group_limits(tx, service.Group("member", organisation_id, member_id), body)


@router.get(OF_PROJECT, responses=responses(404), dependencies=may(Permission.LIMITS_READ))
async def get_project_limits(organisation_id: UUID, project_id: UUID, read: OrganisationRead) -> Rates:
    """Show what limits all keys in a project together."""
    return await service.group_limits(read, service.Group("project", organisation_id, project_id))


@router.put(OF_PROJECT, responses=responses(404), dependencies=may(Permission.LIMITS_MANAGE))
async def set_project_limits(
    organisation_id: UUID, project_id: UUID, body: Rates, tx: OrganisationTx
) -> Rates:
    """Limit all keys in a project together; what is left out is not limited."""
    return await service.set_group_limits(tx, service.Group("project", organisation_id, project_id), body)


@router.get(OF_TEAM, responses=responses(404), dependencies=may(Permission.LIMITS_READ))
async def get_team_limits(organisation_id: UUID, team_id: UUID, read: OrganisationRead) -> Rates:
    """Show what limits all keys in a team's projects together."""
    return await service.group_limits(read, service.Group("team", organisation_id, team_id))


@router.put(OF_TEAM, responses=responses(404), dependencies=may(Permission.LIMITS_MANAGE))
async def set_team_limits(organisation_id: UUID, team_id: UUID, body: Rates, tx: OrganisationTx) -> Rates:
    """Limit all keys in a team's projects together; what is left out is not limited."""
    return await service.set_group_limits(tx, service.Group("team", organisation_id, team_id), body)


@router.get(OF_CREDENTIAL, responses=responses(404), dependencies=may(Permission.PLATFORM_READ))
async def get_credential_limits(provider_id: UUID, credential_id: UUID, read: OperatorRead) -> Rates:
    """Show what limits a provider's credential."""
    return await service.credential_limits(read, provider_id, credential_id)


@router.put(OF_CREDENTIAL, responses=responses(404), dependencies=may(Permission.PLATFORM_MANAGE))
async def set_credential_limits(provider_id: UUID, credential_id: UUID, body: Rates, tx: OperatorTx) -> Rates:
    """Limit a provider's credential: at its limit, requests go elsewhere."""
    return await service.set_credential_limits(tx, provider_id, credential_id, body)
