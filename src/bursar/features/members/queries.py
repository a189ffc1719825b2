"""SQL of members and invitations. The organisation is always an argument."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from bursar.core.permissions import MemberRole, OperatorRole
from bursar.db.engine import ReadSession, Transaction
from bursar.db.tables import app_user, invitation, membership, operator_token, organisation

_MEMBER = sa.select(
    membership.c.user_id,
    membership.c.role,
    membership.c.created_at.label("joined_at"),
    app_user.c.name,
    app_user.c.email,
    app_user.c.totp_confirmed_at.is_not(None).label("two_factor"),
).join(app_user, app_user.c.id == membership.c.user_id)

_INVITATION = sa.select(
    invitation.c.id,
    invitation.c.organisation_id,
    invitation.c.email,
    invitation.c.role,
    invitation.c.invited_by,
    invitation.c.created_at,
    invitation.c.sent_at,
    invitation.c.sent_count,
    invitation.c.expires_at,
    invitation.c.accepted_at,
    invitation.c.revoked_at,
)

_OPEN = sa.and_(invitation.c.accepted_at.is_(None), invitation.c.revoked_at.is_(None))


def _member(organisation_id: UUID, user_id: UUID | None) -> sa.ColumnElement[bool]:
    return sa.and_(membership.c.organisation_id == organisation_id, membership.c.user_id == user_id)


def _invitation(organisation_id: UUID, invitation_id: UUID) -> sa.ColumnElement[bool]:
    return sa.and_(invitation.c.organisation_id == organisation_id, invitation.c.id == invitation_id)


async def organisation_there(read: ReadSession | Transaction, organisation_id: UUID) -> bool:
    question = sa.select(organisation.c.id).where(organisation.c.id == organisation_id)
    return (await read.execute(question)).one_or_none() is not None


async def organisation_name(read: ReadSession | Transaction, organisation_id: UUID) -> str:
    question = sa.select(organisation.c.name).where(organisation.c.id == organisation_id)
    return str((await read.execute(question)).scalar_one())


async def locked_organisation(tx: Transaction, organisation_id: UUID) -> sa.RowMapping | None:
    """Changes of one organisation's members come one after the other."""
    question = sa.select(organisation.c.id, organisation.c.name, organisation.c.status).where(
        organisation.c.id == organisation_id
    )
    return (await tx.execute(question.with_for_update(key_share=True))).mappings().one_or_none()


async def role_of(tx: Transaction, organisation_id: UUID, user_id: UUID | None) -> MemberRole | None:
    question = sa.select(membership.c.role).where(_member(organisation_id, user_id))
    role = (await tx.execute(question)).scalar_one_or_none()
    return None if role is None else MemberRole(role)


async def owner_of(tx: Transaction, organisation_id: UUID) -> UUID | None:
    question = sa.select(membership.c.user_id).where(
        membership.c.organisation_id == organisation_id, membership.c.role == MemberRole.OWNER
    )
    return (await tx.execute(question)).scalar_one_or_none()


async def members_count(tx: Transaction, organisation_id: UUID) -> int:
    question = sa.select(sa.func.count()).where(membership.c.organisation_id == organisation_id)
    return int((await tx.execute(question)).scalar_one())


async def member_by_id(
    read: ReadSession | Transaction, organisation_id: UUID, user_id: UUID
) -> sa.RowMapping | None:
    return (await read.execute(_MEMBER.where(_member(organisation_id, user_id)))).mappings().one_or_none()


async def member_with_email(tx: Transaction, organisation_id: UUID, email: str) -> sa.RowMapping | None:
    question = _MEMBER.where(membership.c.organisation_id == organisation_id, app_user.c.email == email)
    return (await tx.execute(question)).mappings().one_or_none()


async def members_after(
    read: ReadSession, organisation_id: UUID, *, after: UUID | None, limit: int
) -> Sequence[sa.RowMapping]:
    """Oldest accounts first."""
    question = (
        _MEMBER.where(membership.c.organisation_id == organisation_id)
        .order_by(membership.c.user_id)
        .limit(limit)
    )
    if after is not None:
        question = question.where(membership.c.user_id > after)
    return (await read.execute(question)).mappings().all()


async def insert_member(
    tx: Transaction, organisation_id: UUID, user_id: UUID, role: MemberRole, now: datetime
) -> None:
    row = {"organisation_id": organisation_id, "user_id": user_id, "role": role, "created_at": now}
    await tx.execute(sa.insert(membership).values(**row))


async def set_role(tx: Transaction, organisation_id: UUID, user_id: UUID, role: MemberRole) -> None:
    await tx.execute(sa.update(membership).where(_member(organisation_id, user_id)).values(role=role))


async def delete_member(tx: Transaction, organisation_id: UUID, user_id: UUID) -> None:
    await tx.execute(sa.delete(membership).where(_member(organisation_id, user_id)))


async def person(read: ReadSession | Transaction, user_id: UUID | None) -> sa.RowMapping | None:
    question = sa.select(
        app_user.c.id, app_user.c.name, app_user.c.email, app_user.c.email_verified_at, app_user.c.locale
    ).where(app_user.c.id == user_id)
    return (await read.execute(question)).mappings().one_or_none()


async def insert_invitation(tx: Transaction, row: Mapping[str, Any]) -> None:
    await tx.execute(sa.insert(invitation).values(**row))


async def update_invitation(
    tx: Transaction, organisation_id: UUID, invitation_id: UUID, changes: Mapping[str, Any]
) -> None:
    await tx.execute(
        sa.update(invitation).where(_invitation(organisation_id, invitation_id)).values(**changes)
    )


async def revoke_open(  # noqa: PLR0913 - which ones
    tx: Transaction,
    organisation_id: UUID,
    now: datetime,
    *,
    email: str | None = None,
    invited_by: UUID | None = None,
    roles: Collection[MemberRole] = frozenset(MemberRole),
) -> None:
    """Withdraw the open invitations to an address, or those that a member gave to some roles."""
    change = sa.update(invitation).where(
        invitation.c.organisation_id == organisation_id, _OPEN, invitation.c.role.in_(roles)
    )
    if email is not None:
        change = change.where(invitation.c.email == email)
    if invited_by is not None:
        change = change.where(invitation.c.invited_by == invited_by)
    await tx.execute(change.values(revoked_at=now))


async def invitation_by_id(
    read: ReadSession | Transaction, organisation_id: UUID, invitation_id: UUID
) -> sa.RowMapping | None:
    question = _INVITATION.where(_invitation(organisation_id, invitation_id))
    return (await read.execute(question)).mappings().one_or_none()


async def open_invitation_to(tx: Transaction, organisation_id: UUID, email: str) -> sa.RowMapping | None:
    question = _INVITATION.where(
        invitation.c.organisation_id == organisation_id, invitation.c.email == email, _OPEN
    )
    return (await tx.execute(question)).mappings().one_or_none()


async def invitation_by_digest(read: ReadSession | Transaction, digest: bytes) -> sa.RowMapping | None:
    """Whatever became of it; with which operator gave it."""
    question = _INVITATION.add_columns(invitation.c.operator_id, invitation.c.operator_token_id).where(
        invitation.c.token_hash == digest
    )
    return (await read.execute(question)).mappings().one_or_none()


async def operator_role(tx: Transaction, user_id: UUID) -> OperatorRole | None:
    """What he is to the installation, if his account is open."""
    question = sa.select(app_user.c.operator_role).where(
        app_user.c.id == user_id, app_user.c.status == "active"
    )
    role = (await tx.execute(question)).scalar_one_or_none()
    return None if role is None else OperatorRole(role)


async def token_role(tx: Transaction, token_id: UUID, now: datetime) -> OperatorRole | None:
    """What an operator's token may, if it still opens something."""
    question = sa.select(operator_token.c.role).where(
        operator_token.c.id == token_id,
        operator_token.c.revoked_at.is_(None),
        sa.or_(operator_token.c.expires_at.is_(None), operator_token.c.expires_at > now),
    )
    role = (await tx.execute(question)).scalar_one_or_none()
    return None if role is None else OperatorRole(role)


async def invitations_before(
    read: ReadSession, organisation_id: UUID, *, before: UUID | None, limit: int
) -> Sequence[sa.RowMapping]:
    """Newest first."""
    question = (
        _INVITATION.where(invitation.c.organisation_id == organisation_id)
        .order_by(invitation.c.id.desc())
        .limit(limit)
    )
    if before is not None:
        question = question.where(invitation.c.id < before)
    return (await read.execute(question)).mappings().all()


async def mails_since(tx: Transaction, organisation_id: UUID, since: datetime) -> int:
    """Mails asked for with invitations that were last sent since then: at least as many as were."""
    question = sa.select(sa.func.coalesce(sa.func.sum(invitation.c.sent_count), 0)).where(
        invitation.c.organisation_id == organisation_id, invitation.c.sent_at > since
    )
    return int((await tx.execute(question)).scalar_one())


async def claim(tx: Transaction, organisation_id: UUID, invitation_id: UUID, row: Mapping[str, Any]) -> bool:
    """Use an invitation up; False when somebody just did."""
    change = (
        sa.update(invitation)
        .where(_invitation(organisation_id, invitation_id), _OPEN)
        .values(**row)
        .returning(invitation.c.id)
    )
    return (await tx.execute(change)).one_or_none() is not None
