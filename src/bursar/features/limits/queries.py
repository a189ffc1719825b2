"""SQL of limits."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from bursar.db.engine import ReadSession, Transaction
from bursar.db.tables import api_key, budget, budget_slice, organisation, provider, provider_credential

Read = ReadSession | Transaction


async def organisation_limits(read: Read, organisation_id: UUID) -> sa.RowMapping | None:
    question = sa.select(organisation.c.id, organisation.c.limits).where(organisation.c.id == organisation_id)
    return (await read.execute(question)).mappings().one_or_none()


async def key_limits(read: Read, organisation_id: UUID, key_id: UUID) -> sa.RowMapping | None:
    question = sa.select(
        api_key.c.id, api_key.c.organisation_id, api_key.c.limits, api_key.c.allowed_addresses
    ).where(api_key.c.organisation_id == organisation_id, api_key.c.id == key_id)
    return (await read.execute(question)).mappings().one_or_none()


async def credential_limits(read: Read, provider_id: UUID, credential_id: UUID) -> sa.RowMapping | None:
    question = sa.select(provider_credential.c.id, provider_credential.c.limits).where(
        provider_credential.c.provider_id == provider_id, provider_credential.c.id == credential_id
    )
    return (await read.execute(question)).mappings().one_or_none()


async def set_organisation(tx: Transaction, organisation_id: UUID, limits: Mapping[str, Any]) -> None:
    change = sa.update(organisation).where(organisation.c.id == organisation_id).values(limits=limits)
    await tx.execute(change)


async def set_key(
    tx: Transaction, key_id: UUID, limits: Mapping[str, Any], allowed_addresses: Sequence[str] | None
) -> None:
    changes = {"limits": limits, "allowed_addresses": allowed_addresses}
    await tx.execute(sa.update(api_key).where(api_key.c.id == key_id).values(**changes))


async def set_credential(tx: Transaction, credential_id: UUID, limits: Mapping[str, Any]) -> None:
    change = sa.update(provider_credential).where(provider_credential.c.id == credential_id)
    await tx.execute(change.values(limits=limits))


async def known_slugs(read: Read, slugs: Sequence[str]) -> set[str]:
    return set((await read.execute(sa.select(provider.c.slug).where(provider.c.slug.in_(slugs)))).scalars())


async def provider_ids(read: Read, slugs: Sequence[str]) -> dict[str, UUID]:
    question = sa.select(provider.c.slug, provider.c.id).where(provider.c.slug.in_(slugs))
    return {row.slug: row.id for row in (await read.execute(question)).all()}


async def budgets_of(
    read: Read, *, organisation_id: UUID | None, key_id: UUID | None, credential_id: UUID | None
) -> Sequence[sa.RowMapping]:
    """Active budgets of an organisation (not its keys'), a key or a credential, with the provider's name.

    A key has those of the keys it was rotated from, too.
    """
    question = (
        sa.select(budget, provider.c.slug.label("provider"))
        .outerjoin(provider, provider.c.id == budget.c.provider_id)
        .where(budget.c.active)
        .order_by(budget.c.id)
    )
    if credential_id is not None:
        question = question.where(budget.c.credential_id == credential_id)
    else:
        whose = budget.c.api_key_id.is_(None) if key_id is None else budget.c.api_key_id.in_(_lineage(key_id))
        question = question.where(budget.c.organisation_id == organisation_id, whose)
    return (await read.execute(question)).mappings().all()


def _lineage(key_id: UUID) -> sa.Select[tuple[UUID]]:
    """This key and those it was rotated from."""
    line = sa.select(api_key.c.id, api_key.c.rotated_from).where(api_key.c.id == key_id).cte(recursive=True)
    older = sa.select(api_key.c.id, api_key.c.rotated_from).where(api_key.c.id == line.c.rotated_from)
    return sa.select(line.union(older).c.id)


async def used_since(read: Read, budget_id: UUID, start: datetime) -> int:
    """What processes said they used of a budget in the period that starts then."""
    question = sa.select(sa.func.coalesce(sa.func.sum(budget_slice.c.spent), 0)).where(
        budget_slice.c.budget_id == budget_id, budget_slice.c.period_start == start
    )
    return int((await read.execute(question)).scalar_one())
