"""SQL of own credentials, routing rules and platform fees. What is sealed is written here, read elsewhere."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from bursar.db.engine import ReadSession, Transaction
from bursar.db.tables import organisation, own_credential, platform_fee, provider, route

_CREDENTIAL = sa.select(
    *(column for column in own_credential.c if column.name != "sealed"), provider.c.slug.label("provider")
).join(provider, provider.c.id == own_credential.c.provider_id)


async def organisation_by_id(read: ReadSession | Transaction, organisation_id: UUID) -> sa.RowMapping | None:
    question = sa.select(
        organisation.c.status,
        organisation.c.currency,
        organisation.c.own_keys_fall_back,
        organisation.c.allowed_providers,
        organisation.c.allowed_regions,
    ).where(organisation.c.id == organisation_id)
    return (await read.execute(question)).mappings().one_or_none()


async def update_organisation(tx: Transaction, organisation_id: UUID, changes: Mapping[str, Any]) -> None:
    await tx.execute(sa.update(organisation).where(organisation.c.id == organisation_id).values(**changes))


async def provider_by_id(read: ReadSession | Transaction, provider_id: UUID) -> sa.RowMapping | None:
    question = sa.select(provider.c.id, provider.c.name, provider.c.base_url, provider.c.takes_own_keys)
    return (await read.execute(question.where(provider.c.id == provider_id))).mappings().one_or_none()


async def known_providers(read: Transaction, provider_ids: Iterable[UUID]) -> set[UUID]:
    question = sa.select(provider.c.id).where(provider.c.id.in_(list(provider_ids)))
    return set((await read.execute(question)).scalars())


async def known_regions(read: Transaction, regions: Iterable[str]) -> set[str]:
    """Those that some provider or deployment is in."""
    wanted = list(regions)
    question = sa.union(
        sa.select(provider.c.region).where(provider.c.region.in_(wanted)),
        sa.select(route.c.region).where(route.c.region.in_(wanted)),
    )
    return set((await read.execute(question)).scalars())


async def lock_credentials(tx: Transaction, organisation_id: UUID) -> None:
    """Two additions at once would each find room for one."""
    await tx.execute(
        sa.text(
            "SELECT pg_advisory_xact_lock(hashtextextended('bursar.own_credential:' || :organisation, 0))"
        ),
        {"organisation": str(organisation_id)},
    )


async def credentials_of(read: ReadSession | Transaction, organisation_id: UUID) -> Sequence[sa.RowMapping]:
    question = _CREDENTIAL.where(own_credential.c.organisation_id == organisation_id)
    order = question.order_by(provider.c.slug, own_credential.c.priority, own_credential.c.id)
    return (await read.execute(order)).mappings().all()


async def credential_by_id(
    read: ReadSession | Transaction, organisation_id: UUID, credential_id: UUID
) -> sa.RowMapping | None:
    question = _CREDENTIAL.where(*_one(organisation_id, credential_id))
    return (await read.execute(question)).mappings().one_or_none()


async def insert_credential(tx: Transaction, row: Mapping[str, Any]) -> None:
    await tx.execute(sa.insert(own_credential).values(**row))


async def update_credential(
    tx: Transaction, organisation_id: UUID, credential_id: UUID, changes: Mapping[str, Any]
) -> None:
    change = sa.update(own_credential).where(*_one(organisation_id, credential_id))
    await tx.execute(change.values(**changes))


async def delete_credential(tx: Transaction, organisation_id: UUID, credential_id: UUID) -> None:
    await tx.execute(sa.delete(own_credential).where(*_one(organisation_id, credential_id)))


def _one(organisation_id: UUID, credential_id: UUID) -> tuple[sa.ColumnElement[bool], ...]:
    return own_credential.c.organisation_id == organisation_id, own_credential.c.id == credential_id


async def insert_fee(tx: Transaction, row: Mapping[str, Any]) -> int | None:
    """Its number, or None when a fee begins at that very moment already."""
    adding = insert(platform_fee).values(**row).on_conflict_do_nothing().returning(platform_fee.c.id)
    number: int | None = (await tx.execute(adding)).scalar_one_or_none()
    return number


async def fee_by_id(read: Transaction, fee_id: int) -> sa.RowMapping:
    return (await read.execute(sa.select(platform_fee).where(platform_fee.c.id == fee_id))).mappings().one()


async def fees_before(
    read: ReadSession, *, organisation_id: UUID | None, before: int | None, limit: int
) -> Sequence[sa.RowMapping]:
    question = sa.select(platform_fee).order_by(platform_fee.c.id.desc()).limit(limit)
    if organisation_id is not None:
        question = question.where(platform_fee.c.organisation_id == organisation_id)
    if before is not None:
        question = question.where(platform_fee.c.id < before)
    return (await read.execute(question)).mappings().all()


async def fee_in_force(
    read: ReadSession, organisation_id: UUID, currency: str, now: datetime
) -> sa.RowMapping | None:
    """The organisation's newest, else everybody's: as `bursar.core.fees.FeeBook` chooses."""
    question = (
        sa.select(platform_fee)
        .where(
            sa.or_(
                platform_fee.c.organisation_id == organisation_id, platform_fee.c.organisation_id.is_(None)
            ),
            platform_fee.c.currency == currency,
            platform_fee.c.effective_from <= now,
        )
        .order_by(platform_fee.c.organisation_id.is_(None), platform_fee.c.effective_from.desc())
        .limit(1)
    )
    return (await read.execute(question)).mappings().one_or_none()
