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

    @property
    def is_read(self) -> bool:
        return self.value.endswith(":read")


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

MEANINGS: Final[Mapping[Permission, str]] = {
    Permission.ORGANISATION_READ: "See the organisation and how it is set up",
    Permission.ORGANISATION_CHANGE: "Rename it, say where invoices go and whether answers are kept",
    Permission.ORGANISATION_CLOSE: "Close it for good",
    Permission.OWNERSHIP_TRANSFER: "Make another member its owner",
    Permission.MEMBERS_READ: "See members and invitations",
    Permission.MEMBERS_MANAGE: "Invite and remove members, change their roles",
    Permission.PROJECTS_READ: "See teams and projects",
    Permission.PROJECTS_MANAGE: "Make, change and archive teams and projects",
    Permission.KEYS_READ: "See API keys, without their secrets",
    Permission.KEYS_MANAGE: "Make, change, rotate and revoke API keys; their limits up to the default",
    Permission.OWN_KEYS_READ: "See which provider credentials of its own it has",
    Permission.OWN_KEYS_MANAGE: "Add, change and remove provider credentials of its own",
    Permission.ROUTING_READ: "See which providers and regions it allows",
    Permission.ROUTING_MANAGE: "Say which providers and regions it allows",
    Permission.LIMITS_READ: "See rate limits",
    Permission.LIMITS_MANAGE: "Set rate limits, and lift them",
    Permission.BUDGETS_READ: "See budgets and how much of them is used",
    Permission.BUDGETS_MANAGE: "Set budgets",
    Permission.WALLET_READ: "See balance, credits and transactions",
    Permission.USAGE_READ: "See what was used and what it cost",
    Permission.WEBHOOKS_READ: "See webhooks and their deliveries",
    Permission.WEBHOOKS_MANAGE: "Add, change and replay webhooks",
    Permission.SSO_READ: "See single sign-on",
    Permission.SSO_MANAGE: "Set single sign-on up",
    Permission.AUDIT_READ: "See and export the organisation's audit log",
    Permission.DATA_EXPORT: "Export all of the organisation's data",
    Permission.PLATFORM_READ: "See providers, models, prices and health",
    Permission.PLATFORM_MANAGE: "Change providers, credentials, models, routes and prices",
    Permission.CUSTOMERS_READ: "List all organisations",
    Permission.CUSTOMERS_MANAGE: "Make organisations; suspend, close and reopen them",
    Permission.MONEY_MANAGE: "Top up, refund, correct; set how an organisation pays and what it may owe",
    Permission.OPERATORS_READ: "See operators and their tokens",
    Permission.OPERATORS_MANAGE: "Make and revoke operators and their tokens",
    Permission.PLATFORM_AUDIT_READ: "See, export and verify the whole audit log",
    Permission.MAIL_READ: "See what was mailed, and how the mails look",
    Permission.MAIL_MANAGE: "Send failed mails again",
    Permission.ABUSE_READ: "See who is suspected of abuse",
    Permission.ABUSE_MANAGE: "Decide on suspects: clear or suspend them",
    Permission.VIEW_AS: "See, for a limited time and announced, what a customer sees",
}
"""What having a permission means, for people; a test wants one for each."""


def member_may(role: MemberRole | None, permission: Permission) -> bool:
    return role is not None and role in RIGHTS[permission].members


def operator_may(role: OperatorRole | None, permission: Permission) -> bool:
    return role is not None and role in RIGHTS[permission].operators


def member_permissions(role: MemberRole) -> frozenset[Permission]:
    return frozenset(permission for permission, right in RIGHTS.items() if role in right.members)


def may_give(giver: MemberRole | None, role: MemberRole) -> bool:
    """Whether a member may give this role, or take it away: nobody gives more than he has, or ownership.

    `giver` None: an operator, who gives what can be given.
    """
    if role not in GIVEN_ROLES:
        return False
    return giver is None or member_permissions(role) <= member_permissions(giver)


def operator_may_give(giver: OperatorRole | None, given: OperatorRole) -> bool:
    """Nobody gives more than he has; finance and support are no part of each other."""
    return giver in {OperatorRole.SUPERADMIN, given}
