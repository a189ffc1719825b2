"""Members: listed, given other roles, removed, gone; and whose the organisation is."""

from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from bursar.core.permissions import MemberRole, Permission
from bursar.core.webhooks import EventType
from bursar.db.engine import ReadSession, Transaction
from bursar.db.keys import revoke_keys_of
from bursar.features.members import queries
from bursar.features.members.schemas import Member, Removed
from bursar.features.members.standing import lock, may_invite, stand
from bursar.rest.callers import Caller, NoSuchOrganisation
from bursar.rest.paging import Page, PageAsked, cut_page, uuid_key
from bursar.rest.problems import Conflict, NotFound
from bursar.rest.webhook_events import ask_for_webhook


class MemberNotFound(NotFound):
    code = "member_not_found"

    def __init__(self) -> None:
        super().__init__("This organisation has no member with this id.")


class OwnerStays(Conflict):
    code = "owner_stays"

    def __init__(self) -> None:
        super().__init__("The owner stays: transfer the ownership first, or close the organisation.")


async def list_members(read: ReadSession, organisation_id: UUID, asked: PageAsked) -> Page[Member]:
    """Raises `NoSuchOrganisation`."""
    if not await queries.organisation_there(read, organisation_id):
        raise NoSuchOrganisation
    rows = await queries.members_after(
        read, organisation_id, after=asked.after(uuid_key), limit=asked.limit + 1
    )
    return cut_page(rows, asked.limit, lambda row: row["user_id"], show)


async def get_member(read: ReadSession | Transaction, organisation_id: UUID, user_id: UUID) -> Member:
    """Raises `MemberNotFound`."""
    row = await queries.member_by_id(read, organisation_id, user_id)
    if row is None:
        raise MemberNotFound
    return show(row)


async def find_member(tx: Transaction, organisation_id: UUID, named: str) -> UUID:
    """Of a member named by his mail address or his id. Raises `MemberNotFound`."""
    row = await queries.member_with_email(tx, organisation_id, named.lower())
    if row is not None:
        return UUID(str(row["user_id"]))
    try:
        return UUID(named)
    except ValueError as error:
        raise MemberNotFound from error


async def change_role(  # noqa: PLR0913 - who changes whom to what, where and when
    tx: Transaction,
    organisation_id: UUID,
    user_id: UUID,
    role: MemberRole,
    *,
    calling: Caller,
    now: datetime,
) -> Member:
    """Give a member another role; it counts from his next request on.

    Raises:
        MemberNotFound, OwnerStays
        RoleNotGiven: his old role or the new one is more than the caller may give.
    """
    standing = await stand(tx, organisation_id, calling, Permission.MEMBERS_MANAGE)
    old = await _role_not_owner(tx, organisation_id, user_id)
    standing.check_may_give(old)
    standing.check_may_give(role)
    await _set_role(tx, organisation_id, user_id, role, now)
    return await get_member(tx, organisation_id, user_id)


async def remove_member(  # noqa: PLR0913 - who removes whom, with what, where and when
    tx: Transaction,
    organisation_id: UUID,
    user_id: UUID,
    *,
    with_keys: bool,
    calling: Caller,
    now: datetime,
) -> Removed:
    """Take a member out: the organisation does not exist for him from his next request on.

    Raises:
        MemberNotFound, OwnerStays
        RoleNotGiven: his role is more than the caller may take.
    """
    standing = await stand(tx, organisation_id, calling, Permission.MEMBERS_MANAGE)
    standing.check_may_give(await _role_not_owner(tx, organisation_id, user_id))
    return await _take_out(tx, organisation_id, user_id, with_keys=with_keys, now=now)


async def leave(
    tx: Transaction, organisation_id: UUID, *, with_keys: bool, calling: Caller, now: datetime
) -> Removed:
    """Raises `MemberNotFound`: the caller is none; `OwnerStays`."""
    await lock(tx, organisation_id)
    if calling.user_id is None:
        raise MemberNotFound
    await _role_not_owner(tx, organisation_id, calling.user_id)
    return await _take_out(tx, organisation_id, calling.user_id, with_keys=with_keys, now=now)


async def transfer_ownership(
    tx: Transaction, organisation_id: UUID, user_id: UUID, *, calling: Caller, now: datetime
) -> Member:
    """Make a member the owner; the owner before him becomes an administrator. Twice is no error.

    Raises:
        MemberNotFound
    """
    await stand(tx, organisation_id, calling, Permission.OWNERSHIP_TRANSFER)
    role = await queries.role_of(tx, organisation_id, user_id)
    if role is None:
        raise MemberNotFound
    owner = await queries.owner_of(tx, organisation_id)
    if owner is not None and owner != user_id:
        await _set_role(tx, organisation_id, owner, MemberRole.ADMIN, now)
        await _set_role(tx, organisation_id, user_id, MemberRole.OWNER, now)
    return await get_member(tx, organisation_id, user_id)


async def _role_not_owner(tx: Transaction, organisation_id: UUID, user_id: UUID) -> MemberRole:
    role = await queries.role_of(tx, organisation_id, user_id)
    if role is None:
        raise MemberNotFound
    if role is MemberRole.OWNER:
        raise OwnerStays
    return role


async def _set_role(
    tx: Transaction, organisation_id: UUID, user_id: UUID, role: MemberRole, now: datetime
) -> None:
    """What he invited others to with a role he has no more is withdrawn."""
    await queries.set_role(tx, organisation_id, user_id, role)
    too_much = {invited for invited in MemberRole if not may_invite(role, invited)}
    await queries.revoke_open(tx, organisation_id, now, invited_by=user_id, roles=too_much)
    await tell(tx, EventType.MEMBER_CHANGED, organisation_id, now, user_id=str(user_id), role=role.value)


async def _take_out(
    tx: Transaction, organisation_id: UUID, user_id: UUID, *, with_keys: bool, now: datetime
) -> Removed:
    await queries.delete_member(tx, organisation_id, user_id)
    await queries.revoke_open(tx, organisation_id, now, invited_by=user_id)
    revoked = await revoke_keys_of(tx, organisation_id, user_id, now) if with_keys else 0
    await tell(tx, EventType.MEMBER_REMOVED, organisation_id, now, user_id=str(user_id))
    return Removed(user_id=user_id, keys_revoked=revoked)


async def tell(tx: Transaction, kind: EventType, organisation_id: UUID, now: datetime, **about: Any) -> None:
    await ask_for_webhook(tx, kind, about, organisation_id=organisation_id, now=now)


def show(row: sa.RowMapping) -> Member:
    return Member.model_validate(dict(row))
