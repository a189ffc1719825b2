"""HTTP of API keys. Everything runs as the organisation itself: row-level security sees no other's keys."""

from typing import Final
from uuid import UUID

from fastapi import APIRouter

from bursar.core.permissions import Permission
from bursar.features.keys import service
from bursar.features.keys.schemas import IssuedKey, Key, KeyChange, NewKey, Rotation
from bursar.rest.callers import Calling, may
from bursar.rest.control import Means
from bursar.rest.idempotency import Once
from bursar.rest.paging import Page, Paging
from bursar.rest.problems import responses
from bursar.rest.throttles import at_most
from bursar.rest.transactions import OrganisationRead, OrganisationTx

router = APIRouter(prefix="/organisations/{organisation_id}/keys", tags=["keys"])

CHANGES_PER_HOUR: Final = 600
"""Made, rotated and revoked keys of one organisation: more than twice what a thousand busy people's
organisations do. Each is told to every gateway, mailed and sent to webhooks."""

CHANGES_AT_ONCE: Final = 60
"""A script that gives every program of a company its key; a longer one waits as `Retry-After` says."""

CHANGES = [
    *may(Permission.KEYS_MANAGE),
    *at_most("key_changes", per_hour=CHANGES_PER_HOUR, burst=CHANGES_AT_ONCE),
]


@router.post("", status_code=201, responses=responses(404, 409, 429), dependencies=CHANGES)
async def create_key(
    organisation_id: UUID, body: NewKey, tx: OrganisationTx, calling: Calling, once: Once
) -> IssuedKey:
    """Make a key. The secret is shown in this answer and never again.

    More requests a minute than the installation's default need limits:manage.
    """
    return await once.answer(
        tx,
        IssuedKey,
        lambda: service.create_key(
            tx,
            organisation_id,
            body,
            control=once.control,
            sets_limits=calling.may(Permission.LIMITS_MANAGE),
            created_by=calling.user_id,
        ),
    )


@router.get("", responses=responses(404), dependencies=may(Permission.KEYS_READ))
async def list_keys(organisation_id: UUID, read: OrganisationRead, paging: Paging) -> Page[Key]:
    """List keys, newest first, without their secrets."""
    return await service.list_keys(read, organisation_id, paging)


@router.get("/{key_id}", responses=responses(404), dependencies=may(Permission.KEYS_READ))
async def get_key(organisation_id: UUID, key_id: UUID, read: OrganisationRead) -> Key:
    """Show one key, without its secret."""
    return await service.get_key(read, organisation_id, key_id)


@router.patch("/{key_id}", responses=responses(404, 409), dependencies=may(Permission.KEYS_MANAGE))
async def change_key(  # noqa: PLR0913 - who changes what of which key
    *,
    organisation_id: UUID,
    key_id: UUID,
    body: KeyChange,
    tx: OrganisationTx,
    calling: Calling,
    control: Means,
) -> Key:
    """Rename a key or change what it may do.

    More requests a minute than the installation's default, if it does not have them, need limits:manage.
    """
    sets_limits = calling.may(Permission.LIMITS_MANAGE)
    return await service.change_key(
        tx, organisation_id, key_id, body, control=control, sets_limits=sets_limits
    )


@router.post("/{key_id}/revoke", responses=responses(404, 429), dependencies=CHANGES)
async def revoke_key(organisation_id: UUID, key_id: UUID, tx: OrganisationTx, control: Means) -> Key:
    """Stop a key for good, within a second."""
    return await service.revoke_key(tx, organisation_id, key_id, edge=control.edge)


@router.post(
    "/{key_id}/rotate",
    status_code=201,
    responses=responses(404, 409, 429),
    dependencies=CHANGES,
)
async def rotate_key(  # noqa: PLR0913 - who turns which key how
    *,
    organisation_id: UUID,
    key_id: UUID,
    body: Rotation,
    tx: OrganisationTx,
    calling: Calling,
    once: Once,
) -> IssuedKey:
    """Make a successor with the same rights; the old key works until the grace period ends."""
    return await once.answer(
        tx,
        IssuedKey,
        lambda: service.rotate_key(
            tx, organisation_id, key_id, body, control=once.control, created_by=calling.user_id
        ),
    )
