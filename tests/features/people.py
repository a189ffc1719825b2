"""People for tests: made and signed in directly, without a password's cost."""

from uuid import UUID

import httpx2
import sqlalchemy as sa
from control_client import Client
from one_api import api_with

from bursar.core.permissions import MemberRole, OperatorRole
from bursar.db.engine import Transaction
from bursar.db.tables import app_user, membership
from bursar.rest.control import Control
from bursar.rest.sign_ins import SignIn, open_session


async def make_person(
    control: Control,
    *,
    email: str | None = None,
    organisation_id: UUID | str | None = None,
    role: MemberRole = MemberRole.DEVELOPER,
    operator_role: OperatorRole | None = None,
) -> UUID:
    """Somebody with a verified address, a member of the organisation if one is named.

    An organisation has one owner: the first who is made a member gets one beside him, and a new owner makes
    the one before him an administrator.
    """
    user_id = control.edge.new_id()
    async with control.database.transaction(accounts=True) as tx:
        await _insert(tx, control, user_id, email=email, operator_role=operator_role)
        if organisation_id is not None:
            await _join(tx, control, UUID(str(organisation_id)), user_id, role)
    return user_id


async def _insert(
    tx: Transaction,
    control: Control,
    user_id: UUID,
    *,
    email: str | None = None,
    operator_role: OperatorRole | None = None,
) -> None:
    now = control.edge.now()
    await tx.execute(
        sa.insert(app_user).values(
            id=user_id,
            email=email or f"{user_id.hex}@people.example",
            name=f"Person {user_id.hex[-4:]}",
            created_at=now,
            email_verified_at=now,
            operator_role=None if operator_role is None else operator_role.value,
        )
    )


async def _join(
    tx: Transaction, control: Control, organisation_id: UUID, user_id: UUID, role: MemberRole
) -> None:
    owners = sa.and_(membership.c.organisation_id == organisation_id, membership.c.role == MemberRole.OWNER)
    roles = {user_id: role}
    if role is MemberRole.OWNER:
        await tx.execute(sa.update(membership).where(owners).values(role=MemberRole.ADMIN))
    elif (await tx.execute(sa.select(membership.c.user_id).where(owners))).first() is None:
        founder = control.edge.new_id()
        await _insert(tx, control, founder)
        roles[founder] = MemberRole.OWNER
    for one, its_role in roles.items():
        await tx.execute(
            sa.insert(membership).values(
                organisation_id=organisation_id, user_id=one, role=its_role, created_at=control.edge.now()
            )
        )


async def sign_in(control: Control, user_id: UUID, *, two_factor: bool = False) -> SignIn:
    async with control.database.transaction(accounts=True) as tx:
        return await open_session(tx, control, user_id, two_factor=two_factor)


def speaking_as(control: Control, signed_in: SignIn) -> Client:
    """A program's client, by bearer token."""
    transport = api_with(control)
    headers = {"authorization": f"Bearer {signed_in.access_token}"}
    return Client(
        httpx2.AsyncClient(transport=transport, base_url="http://test", headers=headers, timeout=60)
    )


async def member(control: Control, organisation_id: UUID | str, role: MemberRole) -> Client:
    """A client of a new member with this role."""
    user_id = await make_person(control, organisation_id=organisation_id, role=role)
    return speaking_as(control, await sign_in(control, user_id))


async def operator(control: Control, role: OperatorRole) -> Client:
    """A client of a new operator, signed in with a second factor."""
    user_id = await make_person(control, operator_role=role)
    return speaking_as(control, await sign_in(control, user_id, two_factor=True))
