"""SQL of the audit log's readers. Entries stand newest first."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import sqlalchemy as sa

from bursar.db.engine import ReadSession
from bursar.db.tables import audit_entry

_SHOWN: Final = sa.select(
    audit_entry.c.id,
    audit_entry.c.at,
    audit_entry.c.organisation_id,
    audit_entry.c.actor_kind,
    audit_entry.c.actor_id,
    audit_entry.c.action,
    audit_entry.c.subject,
    audit_entry.c.subject_id,
    audit_entry.c.changes,
    audit_entry.c.actor_part,
    audit_entry.c.actor_digest,
    audit_entry.c.row_part,
    audit_entry.c.row_digest,
    audit_entry.c.seq,
    audit_entry.c.hash,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which entries. `organisation_id` None: of all. `personal`: `text` is looked for in names, too."""

    organisation_id: UUID | None
    since: datetime
    until: datetime
    actor_id: UUID | None = None
    actor_kind: str | None = None
    action: str | None = None
    subject: str | None = None
    subject_id: str | None = None
    text: str | None = None
    personal: bool = False

    def wheres(self) -> list[sa.ColumnElement[bool]]:
        exact: dict[sa.ColumnElement[Any], object] = {
            audit_entry.c.organisation_id: self.organisation_id,
            audit_entry.c.actor_id: self.actor_id,
            audit_entry.c.actor_kind: self.actor_kind,
            audit_entry.c.action: self.action,
            audit_entry.c.subject: self.subject,
            audit_entry.c.subject_id: self.subject_id,
        }
        return [
            audit_entry.c.at >= self.since,
            audit_entry.c.at < self.until,
            *(column == value for column, value in exact.items() if value is not None),
            *self._saying(),
        ]

    def _saying(self) -> list[sa.ColumnElement[bool]]:
        if self.text is None:
            return []
        places = [audit_entry.c.changes, audit_entry.c.subject_id]
        if self.personal:
            places += [audit_entry.c.actor_part, audit_entry.c.row_part]
        return [sa.or_(*(place.icontains(self.text, autoescape=True) for place in places))]


async def entries_before(
    read: ReadSession, wanted: Wanted, *, before: int | None, limit: int
) -> Sequence[sa.RowMapping]:
    question = _SHOWN.where(*wanted.wheres()).order_by(audit_entry.c.id.desc()).limit(limit)
    if before is not None:
        question = question.where(audit_entry.c.id < before)
    return (await read.execute(question)).mappings().all()
