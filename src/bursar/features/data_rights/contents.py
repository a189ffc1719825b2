"""What is in an archive: one question per file, written out so that nothing internal slips in.

Secrets and hashes are left out by rule (`_open`); what we paid and whom we bought from is not the customer's.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import BYTEA

from bursar.db.tables import (
    api_key,
    app_user,
    audit_entry,
    budget,
    credit_lot,
    invitation,
    ledger_transaction,
    linked_identity,
    mail,
    member_limit,
    membership,
    organisation,
    own_credential,
    platform_fee,
    project,
    session,
    sign_up,
    sso_connection,
    sso_domain,
    team,
    usage,
    viewing,
    wallet,
    webhook_endpoint,
)

STAFF: Final = ("operator", "token", "cli", "database")

OPERATORS: Final = ("operator_id", "operator_token_id")
"""Which of them it was, is told nobody."""

USAGE_HIDDEN: Final = frozenset(
    {
        "wallet_id",
        "lease_id",
        "credential_id",
        "provider_id",
        "provider_model",
        "provider_request_id",
        "posting",
        "cost",
        "from_mark",
        "late",
        "content_hash",
        "price_ids",
        "raw_usage",
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class File:
    """`name`.json and `name`.csv: the rows of a question."""

    name: str
    question: sa.Select[Any]


def of_organisation(organisation_id: UUID) -> list[File]:
    """Everything an organisation has here."""

    def own(table: sa.Table, *hidden: str, column: str = "organisation_id") -> sa.Select[Any]:
        return _rows(table, {column: organisation_id}, *hidden)

    return [
        File(name="organisation", question=own(organisation, "outcome_policy", column="id")),
        File(name="members", question=_members(organisation_id)),
        File(name="invitations", question=own(invitation, *OPERATORS)),
        File(name="teams", question=own(team)),
        File(name="projects", question=own(project)),
        File(name="member_limits", question=own(member_limit)),
        File(name="api_keys", question=own(api_key)),
        File(name="own_credentials", question=own(own_credential)),
        File(name="budgets", question=own(budget, "credential_id")),
        File(name="sso_connections", question=own(sso_connection)),
        File(name="sso_domains", question=own(sso_domain)),
        File(name="webhook_endpoints", question=own(webhook_endpoint)),
        File(name="platform_fees", question=own(platform_fee)),
        File(name="wallets", question=own(wallet)),
        File(name="credit_lots", question=own(credit_lot, "cost_basis")),
        File(name="transactions", question=own(ledger_transaction)),
        File(name="usage", question=own(usage, *USAGE_HIDDEN)),
        File(name="support_viewings", question=own(viewing, "user_id", "session_id")),
        File(name="audit", question=_audit_of(organisation_id)),
    ]


def of_person(user_id: UUID, email: str) -> list[File]:
    """Everything kept of a person."""
    return [
        File(name="profile", question=_rows(app_user, {"id": user_id})),
        File(name="sign_up", question=_rows(sign_up, {"user_id": user_id})),
        File(name="memberships", question=_memberships(user_id)),
        File(name="sessions", question=_rows(session, {"user_id": user_id})),
        File(name="linked_identities", question=_rows(linked_identity, {"user_id": user_id})),
        File(name="invitations", question=_rows(invitation, {"email": email}, "invited_by", *OPERATORS)),
        File(name="mails", question=_rows(mail, {"recipient": email}, "intent", "claim", "server", "said")),
        File(name="changes_by_me", question=_audit_by(user_id)),
        File(name="changes_of_me", question=_audit_about(user_id)),
    ]


def _open(table: sa.Table, hidden: frozenset[str]) -> list[sa.Column[Any]]:
    """The columns that are no secret."""
    return [
        column
        for column in table.c
        if column.name not in hidden
        and not isinstance(column.type, BYTEA)
        and not column.name.endswith(("_hash", "_sealed"))
    ]


def _rows(table: sa.Table, match: Mapping[str, object], *hidden: str) -> sa.Select[Any]:
    columns = _open(table, frozenset(hidden))
    wheres = [table.c[name] == value for name, value in match.items()]
    order = [table.c[name] for name in ("started_at", "created_at", "id") if name in table.c]
    return sa.select(*columns).where(*wheres).order_by(*order)


def _members(organisation_id: UUID) -> sa.Select[Any]:
    return (
        sa.select(
            membership.c.user_id,
            app_user.c.email,
            app_user.c.name,
            membership.c.role,
            membership.c.created_at,
        )
        .join(app_user, app_user.c.id == membership.c.user_id)
        .where(membership.c.organisation_id == organisation_id)
        .order_by(membership.c.created_at, membership.c.user_id)
    )


def _memberships(user_id: UUID) -> sa.Select[Any]:
    return (
        sa.select(
            membership.c.organisation_id,
            organisation.c.name.label("organisation"),
            membership.c.role,
            membership.c.created_at,
        )
        .join(organisation, organisation.c.id == membership.c.organisation_id)
        .where(membership.c.user_id == user_id)
        .order_by(membership.c.created_at)
    )


_ENTRY: Final = (
    audit_entry.c.id,
    audit_entry.c.at,
    audit_entry.c.organisation_id,
    audit_entry.c.action,
    audit_entry.c.subject,
    audit_entry.c.subject_id,
)


def _audit_of(organisation_id: UUID) -> sa.Select[Any]:
    """As members see it: not which operator it was."""
    staff = audit_entry.c.actor_kind.in_(STAFF)
    return (
        sa.select(
            *_ENTRY,
            sa.case((staff, "operator"), else_=audit_entry.c.actor_kind).label("actor_kind"),
            sa.case((~staff, audit_entry.c.actor_id)).label("actor_id"),
            sa.case((~staff, audit_entry.c.actor_part)).label("actor"),
            audit_entry.c.changes,
            audit_entry.c.row_part.label("personal_changes"),
            audit_entry.c.seq,
            sa.func.encode(audit_entry.c.hash, "hex").label("hash"),
        )
        .where(audit_entry.c.organisation_id == organisation_id, ~audit_entry.c.internal)
        .order_by(audit_entry.c.id)
    )


def _audit_by(user_id: UUID) -> sa.Select[Any]:
    """That he did it, and where from; what was changed belongs to the organisation."""
    return (
        sa.select(*_ENTRY, audit_entry.c.actor_part.label("actor"))
        .where(audit_entry.c.actor_id == user_id)
        .order_by(audit_entry.c.id)
    )


def _audit_about(user_id: UUID) -> sa.Select[Any]:
    return (
        sa.select(*_ENTRY, audit_entry.c.changes, audit_entry.c.row_part.label("personal_changes"))
        .where(audit_entry.c.person_id == user_id, ~audit_entry.c.internal)
        .order_by(audit_entry.c.id)
    )
