"""SQL of budgets. The organisation is always an argument; a credential's belong to none."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from bursar.db.engine import ReadSession, Transaction
from bursar.db.tables import (
    api_key,
    app_user,
    budget,
    budget_notice,
    budget_slice,
    membership,
    organisation,
    project,
    provider,
    provider_credential,
    team,
)

Read = ReadSession | Transaction
SUBJECTS: Final = {
    "key": api_key.c.id,
    "member": membership.c.user_id,
    "project": project.c.id,
    "team": team.c.id,
}
"""What of an organisation may have a budget, and where its id is found."""


async def currency_of(read: Read, organisation_id: UUID) -> str | None:
    question = sa.select(organisation.c.currency).where(organisation.c.id == organisation_id)
    return (await read.execute(question)).scalar_one_or_none()


async def is_of(read: Read, organisation_id: UUID, name: str, subject_id: UUID) -> bool:
    """Whether it is the organisation's; `name` is one of SUBJECTS."""
    column = SUBJECTS[name]
    whose = column.table.c.organisation_id == organisation_id
    return bool((await read.execute(sa.select(sa.exists().where(whose, column == subject_id)))).scalar_one())


async def is_provider(read: Read, provider_id: UUID) -> bool:
    question = sa.select(provider.c.id).where(provider.c.id == provider_id)
    return (await read.execute(question)).scalar_one_or_none() is not None


async def is_credential_of(read: Read, provider_id: UUID, credential_id: UUID) -> bool:
    question = sa.select(provider_credential.c.id).where(
        provider_credential.c.provider_id == provider_id, provider_credential.c.id == credential_id
    )
    return (await read.execute(question)).scalar_one_or_none() is not None


def _of(organisation_id: UUID | None, credential_id: UUID | None) -> sa.ColumnElement[bool]:
    if credential_id is not None:
        return budget.c.credential_id == credential_id
    return budget.c.organisation_id == organisation_id


async def budget_by_id(
    read: Read, budget_id: UUID, *, organisation_id: UUID | None = None, credential_id: UUID | None = None
) -> sa.RowMapping | None:
    question = sa.select(budget).where(budget.c.id == budget_id, _of(organisation_id, credential_id))
    return (await read.execute(question)).mappings().one_or_none()


async def budgets_before(
    read: Read,
    *,
    organisation_id: UUID | None = None,
    credential_id: UUID | None = None,
    before: UUID | None,
    limit: int,
) -> Sequence[sa.RowMapping]:
    """Newest first."""
    question = sa.select(budget).where(_of(organisation_id, credential_id))
    if before is not None:
        question = question.where(budget.c.id < before)
    return (await read.execute(question.order_by(budget.c.id.desc()).limit(limit))).mappings().all()


async def count_active(read: Read, organisation_id: UUID | None, credential_id: UUID | None) -> int:
    question = sa.select(sa.func.count()).where(_of(organisation_id, credential_id), budget.c.active)
    return int((await read.execute(question)).scalar_one())


async def used_since(read: Read, starts: Mapping[UUID, datetime]) -> dict[UUID, int]:
    """What processes said they used of each budget in the period that starts at its moment."""
    question = (
        sa.select(budget_slice.c.budget_id, sa.func.sum(budget_slice.c.spent))
        .where(sa.tuple_(budget_slice.c.budget_id, budget_slice.c.period_start).in_(list(starts.items())))
        .group_by(budget_slice.c.budget_id)
    )
    return {budget_id: int(used) for budget_id, used in (await read.execute(question)).all()}


async def budgets_reaching(
    tx: Transaction, starts: Mapping[str, datetime], percent: int, *, limit: int
) -> Sequence[sa.RowMapping]:
    """Active budgets of organisations so much of which is used, and nobody was told so in this period.

    `starts`: when the period that runs began, by kind. Linear in budgets that are used now.
    """
    start = sa.case(*((budget.c.period == kind, moment) for kind, moment in starts.items()))
    used = sa.func.sum(budget_slice.c.spent)
    was_told = sa.exists().where(
        budget_notice.c.budget_id == budget.c.id,
        budget_notice.c.period_start == start,
        budget_notice.c.percent >= percent,
    )
    question = (
        sa.select(budget, organisation.c.name.label("organisation"), used.label("used"))
        .join(organisation, organisation.c.id == budget.c.organisation_id)
        .join(
            budget_slice,
            sa.and_(budget_slice.c.budget_id == budget.c.id, budget_slice.c.period_start == start),
        )
        .where(budget.c.active, budget.c.amount > 0, organisation.c.status == "active", ~was_told)
        .group_by(budget.c.id, organisation.c.id)
        .having(used * 100 >= sa.cast(budget.c.amount, sa.Numeric) * percent)
        .order_by(budget.c.id)
        .limit(limit)
    )
    return (await tx.execute(question)).mappings().all()


async def insert_notice(tx: Transaction, row: Mapping[str, Any]) -> bool:
    """False: another worker was first."""
    made = insert(budget_notice).values(**row).on_conflict_do_nothing().returning(budget_notice.c.budget_id)
    return (await tx.execute(made)).scalar_one_or_none() is not None


async def people_to_tell(
    tx: Transaction, organisation_id: UUID, roles: Iterable[str], member_id: UUID | None
) -> Sequence[sa.RowMapping]:
    """Members with one of these roles, and the one whose budget it is."""
    question = (
        sa.select(app_user.c.id, app_user.c.email, app_user.c.locale)
        .join(membership, membership.c.user_id == app_user.c.id)
        .where(
            membership.c.organisation_id == organisation_id,
            app_user.c.status == "active",
            sa.or_(membership.c.role.in_(list(roles)), app_user.c.id == member_id),
        )
        .order_by(app_user.c.id)
    )
    return (await tx.execute(question)).mappings().all()


async def insert_budget(tx: Transaction, row: Mapping[str, Any]) -> None:
    await tx.execute(sa.insert(budget).values(**row))


async def update_budget(tx: Transaction, budget_id: UUID, changes: Mapping[str, Any]) -> None:
    await tx.execute(sa.update(budget).where(budget.c.id == budget_id).values(**changes))
