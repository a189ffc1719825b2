"""SQL of sources, single sign-on and linked identities. What is sealed is read as accounts only."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from bursar.core.permissions import MemberRole
from bursar.db.engine import ReadSession, Transaction
from bursar.db.tables import (
    app_user,
    identity_provider,
    linked_identity,
    membership,
    organisation,
    session,
    sso_connection,
    sso_domain,
)

Reading = ReadSession | Transaction
_PROVIDER = sa.select(*(column for column in identity_provider.c if column.name != "sealed"))
_ACCOUNT = sa.select(
    app_user.c.id,
    app_user.c.email,
    app_user.c.status,
    app_user.c.email_verified_at,
    app_user.c.operator_role,
    app_user.c.totp_confirmed_at,
)


async def providers(read: Reading) -> Sequence[sa.RowMapping]:
    """The operator's further issuers: a handful."""
    return (await read.execute(_PROVIDER.order_by(identity_provider.c.slug))).mappings().all()


async def provider_by_id(read: Reading, provider_id: UUID) -> sa.RowMapping | None:
    return (
        (await read.execute(_PROVIDER.where(identity_provider.c.id == provider_id))).mappings().one_or_none()
    )


async def open_provider(read: Reading, slug: str) -> sa.RowMapping | None:
    """With what is sealed; those that are switched off are not there."""
    question = sa.select(identity_provider).where(
        identity_provider.c.slug == slug, identity_provider.c.active
    )
    return (await read.execute(question)).mappings().one_or_none()


async def insert_provider(tx: Transaction, row: Mapping[str, Any]) -> bool:
    """False when the slug is taken."""
    made = insert(identity_provider).values(**row).on_conflict_do_nothing().returning(identity_provider.c.id)
    return (await tx.execute(made)).one_or_none() is not None


async def update_provider(tx: Transaction, provider_id: UUID, changes: Mapping[str, Any]) -> None:
    await tx.execute(
        sa.update(identity_provider).where(identity_provider.c.id == provider_id).values(**changes)
    )


async def delete_provider(tx: Transaction, provider_id: UUID) -> None:
    await tx.execute(sa.delete(identity_provider).where(identity_provider.c.id == provider_id))


async def open_connection(read: Reading, connection_id: UUID) -> sa.RowMapping | None:
    """With what is sealed; switched off or of a closed organisation it is not there."""
    question = (
        sa.select(sso_connection)
        .join(organisation, organisation.c.id == sso_connection.c.organisation_id)
        .where(
            sso_connection.c.id == connection_id, sso_connection.c.active, organisation.c.status != "closed"
        )
    )
    return (await read.execute(question)).mappings().one_or_none()


async def domains_of_connection(read: Reading, connection_id: UUID) -> frozenset[str]:
    """The verified ones."""
    question = sa.select(sso_domain.c.domain).where(
        sso_domain.c.connection_id == connection_id, sso_domain.c.verified_at.is_not(None)
    )
    return frozenset((await read.execute(question)).scalars())


async def linked_account(tx: Transaction, source: str, subject: str) -> sa.RowMapping | None:
    question = _ACCOUNT.join(linked_identity, linked_identity.c.user_id == app_user.c.id).where(
        linked_identity.c.source == source, linked_identity.c.subject == subject
    )
    return (await tx.execute(question)).mappings().one_or_none()


async def account_by_email(tx: Transaction, email: str) -> sa.RowMapping | None:
    return (await tx.execute(_ACCOUNT.where(app_user.c.email == email))).mappings().one_or_none()


async def account_of_session(tx: Transaction, session_id: UUID, now: datetime) -> sa.RowMapping | None:
    """Who is signed in by it still."""
    question = _ACCOUNT.join(session, session.c.user_id == app_user.c.id).where(
        session.c.id == session_id, session.c.revoked_at.is_(None), session.c.expires_at > now
    )
    return (await tx.execute(question)).mappings().one_or_none()


async def account_by_id(tx: Transaction, user_id: UUID) -> sa.RowMapping | None:
    return (await tx.execute(_ACCOUNT.where(app_user.c.id == user_id))).mappings().one_or_none()


async def addressee(tx: Transaction, user_id: UUID) -> sa.RowMapping:
    """Whom a mail goes to."""
    question = sa.select(app_user.c.email, app_user.c.name, app_user.c.locale)
    return (await tx.execute(question.where(app_user.c.id == user_id))).mappings().one()


async def insert_person(tx: Transaction, row: Mapping[str, Any]) -> bool:
    """False when somebody has the address by now."""
    made = insert(app_user).values(**row).on_conflict_do_nothing().returning(app_user.c.id)
    return (await tx.execute(made)).one_or_none() is not None


async def link(tx: Transaction, row: Mapping[str, Any]) -> UUID:
    """Whom the subject is linked to now: this person, unless another was first."""
    await tx.execute(
        insert(linked_identity)
        .values(**row)
        .on_conflict_do_update(constraint="linked_identity_source_key", set_={"used_at": row["used_at"]})
    )
    question = sa.select(linked_identity.c.user_id).where(
        linked_identity.c.source == row["source"], linked_identity.c.subject == row["subject"]
    )
    found: UUID = (await tx.execute(question)).scalar_one()
    return found


async def identities_of(read: Reading, user_id: UUID) -> Sequence[sa.RowMapping]:
    question = sa.select(linked_identity).where(linked_identity.c.user_id == user_id)
    return (await read.execute(question.order_by(linked_identity.c.created_at))).mappings().all()


async def provider_slugs(read: Reading) -> Mapping[UUID, str]:
    question = sa.select(identity_provider.c.id, identity_provider.c.slug)
    return {row.id: row.slug for row in await read.execute(question)}


async def unlink(tx: Transaction, user_id: UUID, identity_id: UUID) -> sa.RowMapping | None:
    """What was taken away; None when he has none such."""
    gone = (
        sa.delete(linked_identity)
        .where(linked_identity.c.id == identity_id, linked_identity.c.user_id == user_id)
        .returning(linked_identity)
    )
    return (await tx.execute(gone)).mappings().one_or_none()


async def role_in(tx: Transaction, organisation_id: UUID, user_id: UUID) -> MemberRole | None:
    question = sa.select(membership.c.role).where(
        membership.c.organisation_id == organisation_id, membership.c.user_id == user_id
    )
    found = (await tx.execute(question)).scalar_one_or_none()
    return None if found is None else MemberRole(found)


async def lock_members(tx: Transaction, organisation_id: UUID) -> bool:
    """Nobody else changes the members until this transaction ends. False: there is no owner among them."""
    await tx.execute(
        sa.select(organisation.c.id)
        .where(organisation.c.id == organisation_id)
        .with_for_update(key_share=True)
    )
    owners = sa.select(membership.c.user_id).where(
        membership.c.organisation_id == organisation_id, membership.c.role == MemberRole.OWNER.value
    )
    return (await tx.execute(owners)).first() is not None


async def put_member(
    tx: Transaction, organisation_id: UUID, user_id: UUID, role: MemberRole, now: datetime
) -> None:
    """Make him a member, or change what he is. Owners stay owners, whatever is asked."""
    await tx.execute(
        insert(membership)
        .values(organisation_id=organisation_id, user_id=user_id, role=role.value, created_at=now)
        .on_conflict_do_update(
            index_elements=[membership.c.organisation_id, membership.c.user_id],
            set_={"role": role.value},
            where=membership.c.role != MemberRole.OWNER.value,
        )
    )
