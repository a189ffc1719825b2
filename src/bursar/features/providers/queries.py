"""SQL of providers and their credentials. The sealed secret is written here and read by gateways only."""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from bursar.db.engine import ReadSession, Transaction
from bursar.db.tables import provider, provider_credential

_CREDENTIAL = sa.select(
    provider_credential.c.id,
    provider_credential.c.provider_id,
    provider_credential.c.hint,
    provider_credential.c.active,
    provider_credential.c.priority,
    provider_credential.c.created_at,
)


async def provider_by_id(read: ReadSession | Transaction, provider_id: UUID) -> sa.RowMapping | None:
    return (
        (await read.execute(sa.select(provider).where(provider.c.id == provider_id))).mappings().one_or_none()
    )


async def provider_by_slug(read: ReadSession | Transaction, slug: str) -> sa.RowMapping | None:
    return (await read.execute(sa.select(provider).where(provider.c.slug == slug))).mappings().one_or_none()


async def providers_after(
    read: ReadSession | Transaction, *, after: str | None, limit: int
) -> Sequence[sa.RowMapping]:
    question = sa.select(provider).order_by(provider.c.slug).limit(limit)
    if after is not None:
        question = question.where(provider.c.slug > after)
    return (await read.execute(question)).mappings().all()


async def insert_provider(tx: Transaction, row: Mapping[str, Any]) -> bool:
    """False when the slug is taken."""
    adding = insert(provider).values(**row).on_conflict_do_nothing().returning(provider.c.id)
    return (await tx.execute(adding)).one_or_none() is not None


async def update_provider(tx: Transaction, provider_id: UUID, changes: Mapping[str, Any]) -> None:
    await tx.execute(sa.update(provider).where(provider.c.id == provider_id).values(**changes))


async def insert_credential(tx: Transaction, row: Mapping[str, Any]) -> None:
    await tx.execute(sa.insert(provider_credential).values(**row))


async def credentials_of(read: ReadSession | Transaction, provider_id: UUID) -> Sequence[sa.RowMapping]:
    question = _CREDENTIAL.where(provider_credential.c.provider_id == provider_id)
    order = question.order_by(provider_credential.c.priority, provider_credential.c.id)
    return (await read.execute(order)).mappings().all()


async def credential_by_id(
    read: ReadSession | Transaction, provider_id: UUID, credential_id: UUID
) -> sa.RowMapping | None:
    question = _CREDENTIAL.where(
        provider_credential.c.provider_id == provider_id, provider_credential.c.id == credential_id
    )
    return (await read.execute(question)).mappings().one_or_none()


async def update_credential(tx: Transaction, credential_id: UUID, changes: Mapping[str, Any]) -> None:
    change = sa.update(provider_credential).where(provider_credential.c.id == credential_id)
    await tx.execute(change.values(**changes))
