"""The one table of roles: complete, and nobody gives more than he has."""

import pytest

from bursar.core.permissions import (
    MEANINGS,
    RIGHTS,
    MemberRole,
    OperatorRole,
    Permission,
    may_give,
    member_permissions,
)

OWNER, ADMIN, BILLING, DEVELOPER, VIEWER = MemberRole
READING = {permission for permission in Permission if permission.value.endswith(":read")}


class TestRights:
    def test_say_who_has_each_permission_and_what_it_means(self) -> None:
        assert set(RIGHTS) == set(MEANINGS) == set(Permission)
        assert len(set(MEANINGS.values())) == len(Permission)

    def test_leave_nothing_to_nobody(self) -> None:
        assert all(OperatorRole.SUPERADMIN in right.operators for right in RIGHTS.values())

    def test_let_support_only_read(self) -> None:
        support = {
            permission for permission, right in RIGHTS.items() if OperatorRole.SUPPORT in right.operators
        }
        assert support - READING == {Permission.VIEW_AS}

    def test_let_viewers_only_read(self) -> None:
        assert member_permissions(VIEWER) <= READING

    def test_give_members_nothing_of_the_platform(self) -> None:
        assert not member_permissions(OWNER) & {
            Permission.PLATFORM_READ,
            Permission.CUSTOMERS_READ,
            Permission.CUSTOMERS_MANAGE,
            Permission.MONEY_MANAGE,
            Permission.OPERATORS_MANAGE,
            Permission.VIEW_AS,
        }


class TestMayGive:
    @pytest.mark.parametrize("giver", [None, *MemberRole])
    def test_never_gives_ownership(self, giver: MemberRole | None) -> None:
        assert not may_give(giver, OWNER)

    def test_gives_as_much_as_one_has(self) -> None:
        given = {
            giver: {role for role in MemberRole if may_give(giver, role)} for giver in (None, *MemberRole)
        }
        everything = {ADMIN, BILLING, DEVELOPER, VIEWER}
        assert given[None] == given[OWNER] == given[ADMIN] == everything
        assert ADMIN not in given[BILLING] | given[DEVELOPER] | given[VIEWER]
        assert BILLING not in given[DEVELOPER]
        assert DEVELOPER not in given[BILLING]
