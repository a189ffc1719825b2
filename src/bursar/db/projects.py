"""The team and project for what nobody names one for (see `bursar.features.projects`)."""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from bursar.db.engine import Transaction
from bursar.db.tables import project, team

DEFAULT: Final = "Default"


async def is_open(tx: Transaction, table: sa.Table, organisation_id: UUID, row_id: UUID) -> bool:
    """Whether a team or project is the organisation's and not archived; it is not while `tx` lasts."""
    question = sa.select(table.c.id).where(*_live(table, organisation_id), table.c.id == row_id)
    return (await tx.execute(question.with_for_update(read=True))).one_or_none() is not None


async def default_team(
    tx: Transaction, organisation_id: UUID, *, now: datetime, new_id: Callable[[], UUID]
) -> UUID:
    """The team named `DEFAULT`; made when there is none."""
    return await _default(tx, team, organisation_id, {"id": new_id(), "created_at": now})


async def default_project(
    tx: Transaction, organisation_id: UUID, *, now: datetime, new_id: Callable[[], UUID]
) -> UUID:
    """The project named `DEFAULT`; made in the team of that name when there is none."""
    found = await _named(tx, project, organisation_id)
    if found is not None:
        return found
    team_id = await default_team(tx, organisation_id, now=now, new_id=new_id)
    row = {"id": new_id(), "created_at": now, "team_id": team_id}
    return await _default(tx, project, organisation_id, row)


async def _default(tx: Transaction, table: sa.Table, organisation_id: UUID, row: Mapping[str, Any]) -> UUID:
    found = await _named(tx, table, organisation_id)
    if found is None:
        made = insert(table).values(organisation_id=organisation_id, name=DEFAULT, **row)
        await tx.execute(made.on_conflict_do_nothing())  # another transaction may have been first
        found = await _named(tx, table, organisation_id)
    assert found is not None  # noqa: S101 - inserted, or it conflicted with one that is committed
    return found


async def _named(tx: Transaction, table: sa.Table, organisation_id: UUID) -> UUID | None:
    question = sa.select(table.c.id).where(*_live(table, organisation_id), table.c.name == DEFAULT)
    return (await tx.execute(question.with_for_update(read=True))).scalar_one_or_none()


def _live(table: sa.Table, organisation_id: UUID) -> tuple[sa.ColumnElement[bool], ...]:
    return table.c.organisation_id == organisation_id, table.c.archived_at.is_(None)
