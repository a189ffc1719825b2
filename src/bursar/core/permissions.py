"""Who may do what: the one table of roles and permissions (docs/permissions.md is generated from it).

A member's role holds in one organisation; an operator's in all of them, and for what belongs to none.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class MemberRole(StrEnum):
    """What somebody is in an organisation."""

    OWNER = "owner"
    ADMIN = "admin"
    BILLING = "billing"
    DEVELOPER = "developer"
    VIEWER = "viewer"


class OperatorRole(StrEnum):
    """What somebody is to the whole installation. `SUPPORT` reads only, and sees personal data masked."""

    SUPERADMIN = "superadmin"
    FINANCE = "finance"
    SUPPORT = "support"


class Permission(StrEnum):
    """What a route asks of its caller: `subject:verb`. `platform:*`, `customers:*`, … are the operators'."""

    ORGANISATION_READ = "organisation:read"
    ORGANISATION_CHANGE = "organisation:change"
    ORGANISATION_CLOSE = "organisation:close"
    OWNERSHIP_TRANSFER = "ownership:transfer"
    MEMBERS_READ = "members:read"
    MEMBERS_MANAGE = "members:manage"
    PROJECTS_READ = "projects:read"
    PROJECTS_MANAGE = "projects:manage"
    KEYS_READ = "keys:read"
    KEYS_MANAGE = "keys:manage"
    OWN_KEYS_READ = "own_keys:read"
    OWN_KEYS_MANAGE = "own_keys:manage"
    ROUTING_READ = "routing:read"
    ROUTING_MANAGE = "routing:manage"
    LIMITS_READ = "limits:read"
    LIMITS_MANAGE = "limits:manage"
    BUDGETS_READ = "budgets:read"
    BUDGETS_MANAGE = "budgets:manage"
    WALLET_READ = "wallet:read"
    USAGE_READ = "usage:read"
    WEBHOOKS_READ = "webhooks:read"
    WEBHOOKS_MANAGE = "webhooks:manage"
    SSO_READ = "sso:read"
    SSO_MANAGE = "sso:manage"
    AUDIT_READ = "audit:read"
    DATA_EXPORT = "data:export"

    PLATFORM_READ = "platform:read"
    PLATFORM_MANAGE = "platform:manage"
    CUSTOMERS_READ = "customers:read"
    CUSTOMERS_MANAGE = "customers:manage"
    MONEY_MANAGE = "money:manage"
    OPERATORS_READ = "operators:read"
    OPERATORS_MANAGE = "operators:manage"
    PLATFORM_AUDIT_READ = "platform_audit:read"
    MAIL_READ = "mail:read"
    MAIL_MANAGE = "mail:manage"
    ABUSE_READ = "abuse:read"
    ABUSE_MANAGE = "abuse:manage"
    VIEW_AS = "view_as:use"


@dataclass(frozen=True, slots=True, kw_only=True)
class Right:
    """Who has a permission."""

    members: frozenset[MemberRole] = frozenset()
    operators: frozenset[OperatorRole] = frozenset()


OWNER, ADMIN, BILLING, DEVELOPER, VIEWER = MemberRole
SUPERADMIN, FINANCE, SUPPORT = OperatorRole


def _right(*roles: MemberRole | OperatorRole) -> Right:
    """Superadmins may do everything."""
    return Right(
        members=frozenset(role for role in roles if isinstance(role, MemberRole)),
        operators=frozenset({SUPERADMIN, *(role for role in roles if isinstance(role, OperatorRole))}),
    )


RIGHTS: Final[Mapping[Permission, Right]] = {
    Permission.ORGANISATION_READ: _right(OWNER, ADMIN, BILLING, DEVELOPER, VIEWER, FINANCE, SUPPORT),
    Permission.ORGANISATION_CHANGE: _right(OWNER, ADMIN),
    Permission.ORGANISATION_CLOSE: _right(OWNER),
    Permission.OWNERSHIP_TRANSFER: _right(OWNER),
    Permission.MEMBERS_READ: _right(OWNER, ADMIN, BILLING, DEVELOPER, VIEWER, FINANCE, SUPPORT),
    Permission.MEMBERS_MANAGE: _right(OWNER, ADMIN),
    Permission.PROJECTS_READ: _right(OWNER, ADMIN, BILLING, DEVELOPER, VIEWER, FINANCE, SUPPORT),
    Permission.PROJECTS_MANAGE: _right(OWNER, ADMIN),
    Permission.KEYS_READ: _right(OWNER, ADMIN, DEVELOPER, VIEWER, SUPPORT),
    Permission.KEYS_MANAGE: _right(OWNER, ADMIN, DEVELOPER),
    Permission.OWN_KEYS_READ: _right(OWNER, ADMIN, DEVELOPER, VIEWER, SUPPORT),
    Permission.OWN_KEYS_MANAGE: _right(OWNER, ADMIN),
    Permission.ROUTING_READ: _right(OWNER, ADMIN, DEVELOPER, VIEWER, SUPPORT),
    Permission.ROUTING_MANAGE: _right(OWNER, ADMIN),
    Permission.LIMITS_READ: _right(OWNER, ADMIN, BILLING, DEVELOPER, VIEWER, FINANCE, SUPPORT),
    Permission.LIMITS_MANAGE: _right(OWNER, ADMIN),
    Permission.BUDGETS_READ: _right(OWNER, ADMIN, BILLING, DEVELOPER, VIEWER, FINANCE, SUPPORT),
    Permission.BUDGETS_MANAGE: _right(OWNER, ADMIN, BILLING),
    Permission.WALLET_READ: _right(OWNER, ADMIN, BILLING, VIEWER, FINANCE, SUPPORT),
    Permission.USAGE_READ: _right(OWNER, ADMIN, BILLING, DEVELOPER, VIEWER, FINANCE, SUPPORT),
    Permission.WEBHOOKS_READ: _right(OWNER, ADMIN, DEVELOPER, SUPPORT),
    Permission.WEBHOOKS_MANAGE: _right(OWNER, ADMIN, DEVELOPER),
    Permission.SSO_READ: _right(OWNER, ADMIN, SUPPORT),
    Permission.SSO_MANAGE: _right(OWNER, ADMIN),
    Permission.AUDIT_READ: _right(OWNER, ADMIN, SUPPORT),
    Permission.DATA_EXPORT: _right(OWNER),
    Permission.PLATFORM_READ: _right(FINANCE, SUPPORT),
    Permission.PLATFORM_MANAGE: _right(),
    Permission.CUSTOMERS_READ: _right(FINANCE, SUPPORT),
    Permission.CUSTOMERS_MANAGE: _right(),
    Permission.MONEY_MANAGE: _right(FINANCE),
    Permission.OPERATORS_READ: _right(),
    Permission.OPERATORS_MANAGE: _right(),
    Permission.PLATFORM_AUDIT_READ: _right(FINANCE),
    Permission.MAIL_READ: _right(SUPPORT),
    Permission.MAIL_MANAGE: _right(),
    Permission.ABUSE_READ: _right(FINANCE, SUPPORT),
    Permission.ABUSE_MANAGE: _right(),
    Permission.VIEW_AS: _right(SUPPORT),
}

GIVEN_ROLES: Final = frozenset(MemberRole) - {MemberRole.OWNER}
"""What an invitation or a change of role may give; owners are made by a transfer of ownership only."""


def member_may(role: MemberRole | None, permission: Permission) -> bool:
    return role is not None and role in RIGHTS[permission].members


def operator_may(role: OperatorRole | None, permission: Permission) -> bool:
    return role is not None and role in RIGHTS[permission].operators
