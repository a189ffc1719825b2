"""Who changes an organisation's members, looked at again once nobody else can change them."""

from dataclasses import dataclass, replace
from typing import Final
from uuid import UUID

from bursar.core.permissions import MemberRole, Permission, may_give, member_may
from bursar.db.engine import Transaction
from bursar.features.members import queries
from bursar.rest.callers import Caller, NoSuchOrganisation, PermissionDenied
from bursar.rest.problems import Conflict, Forbidden

MEMBERS_MAX: Final = 1_000
"""Of one organisation. A larger company is several organisations, or brings single sign-on."""


class RoleNotGiven(Forbidden):
    code = "role_not_given"

    def __init__(self, role: MemberRole) -> None:
        super().__init__(f"You can neither give nor take the role {role.value}.")
        self.members = {"role": role.value}


class OrganisationClosed(Conflict):
    code = "organisation_closed"

    def __init__(self) -> None:
        super().__init__("A closed organisation gets no new members.")


class OwnerMissing(Conflict):
    code = "owner_missing"

    def __init__(self) -> None:
        super().__init__("The first member of an organisation is its owner.")


class TooManyMembers(Conflict):
    code = "too_many_members"

    def __init__(self) -> None:
        super().__init__(f"An organisation has at most {MEMBERS_MAX} members.")
        self.members = {"limit": MEMBERS_MAX}


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """The organisation, locked, and what the caller is in it; `role` None: he acts as an operator."""

    organisation_id: UUID
    organisation_name: str
    is_closed: bool
    role: MemberRole | None = None

    def check_may_give(self, role: MemberRole) -> None:
        """Raises `RoleNotGiven`."""
        if not may_give(self.role, role):
            raise RoleNotGiven(role)


async def lock(tx: Transaction, organisation_id: UUID) -> Standing:
    """Nobody else changes the members until this transaction ends. Raises `NoSuchOrganisation`."""
    row = await queries.locked_organisation(tx, organisation_id)
    if row is None:
        raise NoSuchOrganisation
    return Standing(
        organisation_id=organisation_id, organisation_name=row["name"], is_closed=row["status"] == "closed"
    )


async def stand(tx: Transaction, organisation_id: UUID, calling: Caller, permission: Permission) -> Standing:
    """Lock, and ask once more what the route's policy asked: a role may have been taken away since.

    Raises:
        NoSuchOrganisation, PermissionDenied
    """
    standing = await lock(tx, organisation_id)
    if calling.operates(permission):
        return standing
    role = await queries.role_of(tx, organisation_id, calling.user_id)
    if role is None or not member_may(role, permission):
        raise PermissionDenied(permission)
    return replace(standing, role=role)


async def check_place(tx: Transaction, place: Standing, role: MemberRole) -> None:
    """That one more member with this role can be.

    Raises:
        OrganisationClosed, TooManyMembers
        RoleNotGiven: there is an owner already.
        OwnerMissing: there is none, and somebody else is to come first.
    """
    if place.is_closed:
        raise OrganisationClosed
    owner = await queries.owner_of(tx, place.organisation_id)
    if owner is not None and role is MemberRole.OWNER:
        raise RoleNotGiven(role)
    if owner is None and role is not MemberRole.OWNER:
        raise OwnerMissing
    if await queries.members_count(tx, place.organisation_id) >= MEMBERS_MAX:
        raise TooManyMembers


def may_invite(role: MemberRole | None, invited: MemberRole) -> bool:
    """Whether a member with this role may have such an invitation open."""
    return member_may(role, Permission.MEMBERS_MANAGE) and may_give(role, invited)
