"""HTTP for those who were invited. The token travels in bodies, never in a URL that is logged."""

from fastapi import APIRouter, Depends

from bursar.features.members import invitations
from bursar.features.members.schemas import InvitationOffer, InvitationToken, Joined
from bursar.rest.callers import Calling, Public, SignedIn
from bursar.rest.control import Means
from bursar.rest.problems import responses
from bursar.rest.transactions import AccountsTx

router = APIRouter(prefix="/invitations", tags=["members"])


@router.post(
    "/look",
    responses=responses(404),
    dependencies=[Depends(Public("who was invited may have no account yet; the token is 238 random bits"))],
)
async def look_at_invitation(body: InvitationToken, control: Means) -> InvitationOffer:
    """Show what an invitation offers, to whoever holds its token."""
    async with control.database.read(accounts=True) as read:
        return await invitations.look(read, body.token, now=control.edge.now())


@router.post("/accept", responses=responses(404, 409), dependencies=[Depends(SignedIn())])
async def accept_invitation(
    body: InvitationToken, tx: AccountsTx, calling: Calling, control: Means
) -> Joined:
    """Become a member. You are signed in with the address that was invited."""
    return await invitations.accept(tx, body.token, calling=calling, now=control.edge.now())
