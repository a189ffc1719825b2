"""SQL of teams and projects; `table` is one of the two. The organisation is always an argument."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from bursar.db.engine import ReadSession, Transaction
from bursar.db.tables import api_key, organisation, project

Read = ReadSession | Transaction


async def organisation_exists(read: Read, organisation_id: UUID) -> bool:
    question = sa.select(sa.exists().where(organisation.c.id == organisation_id))
    return bool((await read.execute(question)).scalar_one())


async def row_by_id(read: Read, table: sa.Table, organisation_id: UUID, row_id: UUID) -> sa.RowMapping | None:
    question = sa.select(table).where(table.c.organisation_id == organisation_id, table.c.id == row_id)
    return (await read.execute(question)).mappings().one_or_none()


async def locked_row(
    tx: Transaction, table: sa.Table, organisation_id: UUID, row_id: UUID
) -> sa.RowMapping | None:
    """Nothing is put into it meanwhile."""
    question = sa.select(table).where(table.c.organisation_id == organisation_id, table.c.id == row_id)
    return (await tx.execute(question.with_for_update())).mappings().one_or_none()


async def id_by_name(read: Read, table: sa.Table, organisation_id: UUID, name: str) -> UUID | None:
    """Of one that is not archived."""
    question = sa.select(table.c.id).where(
        table.c.organisation_id == organisation_id, table.c.name == name, table.c.archived_at.is_(None)
    )
    return (await read.execute(question)).scalar_one_or_none()


async def rows_before(  # noqa: PLR0913 - what is listed, and where it goes on
    read: Read,
    table: sa.Table,
    organisation_id: UUID,
    *,
    archived: bool,
    team_id: UUID | None,
    before: UUID | None,
    limit: int,
) -> Sequence[sa.RowMapping]:
    """Newest first; those in use, or those archived."""
    question = sa.select(table).where(
        table.c.organisation_id == organisation_id, table.c.archived_at.is_not(None) == archived
    )
    if team_id is not None:
        question = question.where(table.c.team_id == team_id)
    if before is not None:
        question = question.where(table.c.id < before)
    return (await read.execute(question.order_by(table.c.id.desc()).limit(limit))).mappings().all()


async def count_open(read: Read, table: sa.Table, organisation_id: UUID) -> int:
    question = sa.select(sa.func.count()).where(
        table.c.organisation_id == organisation_id, table.c.archived_at.is_(None)
    )
    return int((await read.execute(question)).scalar_one())


async def has_usable_keys(read: Read, organisation_id: UUID, project_id: UUID, now: datetime) -> bool:
    usable = sa.exists().where(
        api_key.c.organisation_id == organisation_id,
        api_key.c.project_id == project_id,
        api_key.c.active,
        sa.or_(api_key.c.expires_at.is_(None), api_key.c.expires_at > now),
    )
    return bool((await read.execute(sa.select(usable))).scalar_one())


async def has_projects(read: Read, organisation_id: UUID, team_id: UUID) -> bool:
    """That are not archived."""
    found = sa.exists().where(
        project.c.organisation_id == organisation_id,
        project.c.team_id == team_id,
        project.c.archived_at.is_(None),
    )
    return bool((await read.execute(sa.select(found))).scalar_one())


async def insert_row(tx: Transaction, table: sa.Table, row: Mapping[str, Any]) -> None:
    await tx.execute(sa.insert(table).values(**row))


async def update_row(
    tx: Transaction, table: sa.Table, organisation_id: UUID, row_id: UUID, changes: Mapping[str, Any]
) -> None:
    change = sa.update(table).where(table.c.organisation_id == organisation_id, table.c.id == row_id)
    await tx.execute(change.values(**changes))
