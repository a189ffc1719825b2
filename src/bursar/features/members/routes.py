"""HTTP of members: what happens in one organisation, as a customer's session."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Query

from bursar.core.permissions import Permission
from bursar.features.members import invitations, service
from bursar.features.members.schemas import (
    Invitation,
    Member,
    NewInvitation,
    Removed,
    RoleChange,
    Transfer,
)
from bursar.rest.callers import Calling, SignedIn, may
from bursar.rest.control import Means
from bursar.rest.idempotency import Once
from bursar.rest.paging import Page, Paging
from bursar.rest.problems import responses
from bursar.rest.transactions import OrganisationRead, OrganisationTx

router = APIRouter(prefix="/organisations/{organisation_id}", tags=["members"])

WithKeys = Annotated[
    bool,
    Query(
        description="Also revoke the API keys he made. Otherwise they work on: they are the organisation's."
    ),
]


@router.get("/members", responses=responses(404), dependencies=may(Permission.MEMBERS_READ))
async def list_members(organisation_id: UUID, read: OrganisationRead, paging: Paging) -> Page[Member]:
    """List members, the oldest accounts first."""
    return await service.list_members(read, organisation_id, paging)


@router.get("/members/{user_id}", responses=responses(404), dependencies=may(Permission.MEMBERS_READ))
async def get_member(organisation_id: UUID, user_id: UUID, read: OrganisationRead) -> Member:
    """Show one member."""
    return await service.get_member(read, organisation_id, user_id)


@router.patch(
    "/members/{user_id}", responses=responses(404, 409), dependencies=may(Permission.MEMBERS_MANAGE)
)
async def change_member_role(  # noqa: PLR0913 - who changes whom to what, where and when
    *,
    organisation_id: UUID,
    user_id: UUID,
    body: RoleChange,
    tx: OrganisationTx,
    calling: Calling,
    control: Means,
) -> Member:
    """Give a member another role, which counts at once. No more than your own, and never ownership."""
    return await service.change_role(
        tx, organisation_id, user_id, body.role, calling=calling, now=control.edge.now()
    )


@router.delete(
    "/members/{user_id}", responses=responses(404, 409), dependencies=may(Permission.MEMBERS_MANAGE)
)
async def remove_member(  # noqa: PLR0913 - who removes whom, with what, where and when
    *,
    organisation_id: UUID,
    user_id: UUID,
    tx: OrganisationTx,
    calling: Calling,
    control: Means,
    revoke_keys: WithKeys = False,
) -> Removed:
    """Remove a member, at once."""
    return await service.remove_member(
        tx, organisation_id, user_id, with_keys=revoke_keys, calling=calling, now=control.edge.now()
    )


@router.post("/leave", responses=responses(404, 409), dependencies=[Depends(SignedIn())])
async def leave_organisation(
    *,
    organisation_id: UUID,
    tx: OrganisationTx,
    calling: Calling,
    control: Means,
    revoke_keys: WithKeys = False,
) -> Removed:
    """Leave an organisation. Its owner transfers the ownership first."""
    return await service.leave(
        tx, organisation_id, with_keys=revoke_keys, calling=calling, now=control.edge.now()
    )


@router.post("/ownership", responses=responses(404), dependencies=may(Permission.OWNERSHIP_TRANSFER))
async def transfer_ownership(
    organisation_id: UUID, body: Transfer, tx: OrganisationTx, calling: Calling, control: Means
) -> Member:
    """Make another member the owner; the owner before him becomes an administrator."""
    return await service.transfer_ownership(
        tx, organisation_id, body.user_id, calling=calling, now=control.edge.now()
    )


@router.post(
    "/invitations",
    status_code=201,
    responses=responses(404, 409, 429),
    dependencies=may(Permission.MEMBERS_MANAGE),
)
async def invite_member(
    organisation_id: UUID, body: NewInvitation, tx: OrganisationTx, calling: Calling, once: Once
) -> Invitation:
    """Invite somebody by mail. The link works once, for seven days, for that address only."""
    return await once.answer(
        tx,
        Invitation,
        lambda: invitations.invite(tx, organisation_id, body, calling=calling, control=once.control),
    )


@router.get("/invitations", responses=responses(404), dependencies=may(Permission.MEMBERS_READ))
async def list_invitations(
    organisation_id: UUID, read: OrganisationRead, paging: Paging, control: Means
) -> Page[Invitation]:
    """List invitations, newest first, whatever became of them."""
    return await invitations.list_invitations(read, organisation_id, paging, now=control.edge.now())


@router.post(
    "/invitations/{invitation_id}/resend",
    responses=responses(404, 409, 429),
    dependencies=may(Permission.MEMBERS_MANAGE),
)
async def resend_invitation(
    organisation_id: UUID, invitation_id: UUID, tx: OrganisationTx, calling: Calling, control: Means
) -> Invitation:
    """Mail a new link in your name; the old one opens nothing any more."""
    return await invitations.resend(tx, organisation_id, invitation_id, calling=calling, control=control)


@router.post(
    "/invitations/{invitation_id}/revoke",
    responses=responses(404, 409),
    dependencies=may(Permission.MEMBERS_MANAGE),
)
async def revoke_invitation(
    organisation_id: UUID, invitation_id: UUID, tx: OrganisationTx, calling: Calling, control: Means
) -> Invitation:
    """Withdraw an invitation that was not accepted yet."""
    return await invitations.revoke(
        tx, organisation_id, invitation_id, calling=calling, now=control.edge.now()
    )
