"""SQL of limits."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from bursar.db.engine import ReadSession, Transaction
from bursar.db.tables import (
    api_key,
    app_user,
    budget,
    budget_slice,
    member_limit,
    membership,
    organisation,
    project,
    provider,
    provider_credential,
    team,
)

Read = ReadSession | Transaction
_TABLES = {"project": project, "team": team}
_COLUMNS = {"member": budget.c.member_id, "project": budget.c.project_id, "team": budget.c.team_id}


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


async def member_limits(read: Read, organisation_id: UUID, member_id: UUID) -> Mapping[str, Any] | None:
    """None: he is no member, and no key is his."""
    is_member = sa.exists().where(
        membership.c.organisation_id == organisation_id, membership.c.user_id == member_id
    )
    has_keys = sa.exists().where(
        api_key.c.organisation_id == organisation_id, api_key.c.created_by == member_id
    )
    stored = sa.select(member_limit.c.limits).where(
        member_limit.c.organisation_id == organisation_id, member_limit.c.member_id == member_id
    )
    question = sa.select(
        sa.or_(is_member, has_keys).label("is_known"), stored.scalar_subquery().label("limits")
    )
    row = (await read.execute(question)).mappings().one()
    return (row["limits"] or {}) if row["is_known"] else None


async def member_by_email(read: Read, organisation_id: UUID, email: str) -> UUID | None:
    question = (
        sa.select(app_user.c.id)
        .join(membership, membership.c.user_id == app_user.c.id)
        .where(membership.c.organisation_id == organisation_id, app_user.c.email == email.lower())
    )
    return (await read.execute(question)).scalar_one_or_none()


async def group_limits(
    read: Read, kind: str, organisation_id: UUID, group_id: UUID
) -> Mapping[str, Any] | None:
    """Of a project or a team."""
    table = _TABLES[kind]
    question = sa.select(table.c.limits).where(
        table.c.organisation_id == organisation_id, table.c.id == group_id
    )
    return (await read.execute(question)).scalar_one_or_none()


async def group_by_name(read: Read, kind: str, organisation_id: UUID, name: str) -> UUID | None:
    """Of a project or a team that is not archived."""
    table = _TABLES[kind]
    question = sa.select(table.c.id).where(
        table.c.organisation_id == organisation_id, table.c.name == name, table.c.archived_at.is_(None)
    )
    return (await read.execute(question)).scalar_one_or_none()


async def set_member(
    tx: Transaction, organisation_id: UUID, member_id: UUID, limits: Mapping[str, Any]
) -> None:
    row = {"organisation_id": organisation_id, "member_id": member_id, "limits": limits}
    change = insert(member_limit).values(**row)
    keys = [member_limit.c.organisation_id, member_limit.c.member_id]
    await tx.execute(change.on_conflict_do_update(index_elements=keys, set_={"limits": limits}))


async def set_group(tx: Transaction, kind: str, group_id: UUID, limits: Mapping[str, Any]) -> None:
    table = _TABLES[kind]
    await tx.execute(sa.update(table).where(table.c.id == group_id).values(limits=limits))


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


async def budgets_of_organisation(read: Read, organisation_id: UUID) -> Sequence[sa.RowMapping]:
    """Those of all its keys together."""
    of_some = (budget.c.api_key_id, *_COLUMNS.values())
    return await _budgets(
        read, budget.c.organisation_id == organisation_id, *(one.is_(None) for one in of_some)
    )


async def budgets_of_key(read: Read, organisation_id: UUID, key_id: UUID) -> Sequence[sa.RowMapping]:
    """Also those of the keys it was rotated from."""
    return await _budgets(
        read, budget.c.organisation_id == organisation_id, budget.c.api_key_id.in_(_lineage(key_id))
    )


async def budgets_of_group(
    read: Read, kind: str, organisation_id: UUID, group_id: UUID
) -> Sequence[sa.RowMapping]:
    """Of a member, a project or a team."""
    return await _budgets(read, budget.c.organisation_id == organisation_id, _COLUMNS[kind] == group_id)


async def budgets_of_credential(read: Read, credential_id: UUID) -> Sequence[sa.RowMapping]:
    return await _budgets(read, budget.c.credential_id == credential_id)


async def _budgets(read: Read, *whose: sa.ColumnElement[bool]) -> Sequence[sa.RowMapping]:
    """Active ones, with the name of the provider they are narrowed to."""
    question = (
        sa.select(budget, provider.c.slug.label("provider"))
        .outerjoin(provider, provider.c.id == budget.c.provider_id)
        .where(budget.c.active, *whose)
        .order_by(budget.c.id)
    )
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
