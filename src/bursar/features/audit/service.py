"""Searching and exporting the audit log, and what is shown to whom."""

import csv
import io
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final
from uuid import UUID

import orjson
import sqlalchemy as sa

from bursar.db.engine import ReadSession
from bursar.features.audit import queries
from bursar.features.audit.queries import Wanted
from bursar.features.audit.schemas import Actor, AuditEntry, Format
from bursar.rest.csv_cells import cell
from bursar.rest.paging import Page, PageAsked, bigint, cut_page
from bursar.rest.problems import Invalid

SPAN_DEFAULT: Final = timedelta(days=31)
SPAN_MAX: Final = timedelta(days=366)
"""A search reads the entries of its span; this bounds it."""

EXPORTED_PER_PAGE: Final = 500
STAFF: Final = frozenset({"operator", "token", "cli", "database"})
COLUMNS: Final = (
    "id",
    "at",
    "organisation_id",
    "actor_kind",
    "actor_id",
    "actor_name",
    "actor_address",
    "action",
    "subject",
    "subject_id",
    "before",
    "after",
    "erased",
    "seq",
    "hash",
)


class SpanInvalid(Invalid):
    code = "audit_span_invalid"

    def __init__(self) -> None:
        super().__init__(f"query.since: must lie before `until`, at most {SPAN_MAX.days} days.")


class Eyes(StrEnum):
    """Who reads: an operator sees all; a member not which operator it was; support nobody's personal data."""

    OPERATOR = "operator"
    MEMBER = "member"
    SUPPORT = "support"


@dataclass(frozen=True, slots=True, kw_only=True)
class Filters:
    """What a reader narrows the log to."""

    since: datetime | None = None
    until: datetime | None = None
    actor_id: UUID | None = None
    actor_kind: str | None = None
    action: str | None = None
    subject: str | None = None
    subject_id: str | None = None
    text: str | None = None

    def wanted(self, organisation_id: UUID | None, eyes: Eyes, now: datetime) -> Wanted:
        """Raises `SpanInvalid`."""
        until = self.until or now + timedelta(minutes=1)  # entries carry the database's clock
        since = self.since or until - SPAN_DEFAULT
        if not timedelta(0) < until - since <= SPAN_MAX:
            raise SpanInvalid
        return Wanted(
            organisation_id=organisation_id,
            since=since,
            until=until,
            actor_id=self.actor_id,
            actor_kind=self.actor_kind,
            action=self.action,
            subject=self.subject,
            subject_id=self.subject_id,
            text=self.text,
            personal=eyes is Eyes.OPERATOR,
        )


async def search(read: ReadSession, wanted: Wanted, asked: PageAsked, *, eyes: Eyes) -> Page[AuditEntry]:
    """Newest first."""
    rows = await queries.entries_before(read, wanted, before=asked.after(bigint), limit=asked.limit + 1)
    return cut_page(rows, asked.limit, lambda row: row["id"], lambda row: shown(row, eyes))


def shown(row: sa.RowMapping, eyes: Eyes) -> AuditEntry:
    """An entry as this reader may see it."""
    changes = orjson.loads(row["changes"])
    whose = _loaded(row["row_part"]) if eyes is not Eyes.SUPPORT else {}
    return AuditEntry(
        id=row["id"],
        at=row["at"],
        organisation_id=row["organisation_id"],
        actor=_actor(row, eyes),
        action=row["action"],
        subject=row["subject"],
        subject_id=row["subject_id"],
        before=changes["before"] | whose.get("before", {}),
        after=changes["after"] | whose.get("after", {}),
        erased=any(
            row[f"{part}_part"] is None and row[f"{part}_digest"] is not None for part in ("actor", "row")
        ),
        seq=row["seq"],
        hash=None if row["hash"] is None else bytes(row["hash"]).hex(),
    )


def _actor(row: sa.RowMapping, eyes: Eyes) -> Actor:
    kind = row["actor_kind"]
    if eyes is Eyes.MEMBER and kind in STAFF:
        return Actor(kind="operator", id=None, name=None, address=None)
    said = _loaded(row["actor_part"]) if eyes is not Eyes.SUPPORT else {}
    return Actor(kind=kind, id=row["actor_id"], name=said.get("name"), address=said.get("address"))


def _loaded(part: str | None) -> dict[str, Any]:
    loaded: dict[str, Any] = {} if part is None else orjson.loads(part)
    return loaded


Reading = Callable[[], AbstractAsyncContextManager[ReadSession]]
"""Opens a read session as whoever exports."""


async def export(reading: Reading, wanted: Wanted, *, eyes: Eyes, form: Format) -> AsyncIterator[bytes]:
    """The whole of `wanted`, page by page; no session stays open while a slow reader takes a page."""
    before: int | None = None
    head = (",".join(COLUMNS) + "\r\n").encode() if form == "csv" else b"["
    while True:
        async with reading() as read:
            rows = await queries.entries_before(read, wanted, before=before, limit=EXPORTED_PER_PAGE)
        if not rows and before is not None:
            break
        entries = [shown(row, eyes) for row in rows]
        yield head + (_as_csv(entries) if form == "csv" else _as_json(entries))
        if not rows:
            break
        before, head = rows[-1]["id"], b"" if form == "csv" else b",\n"
    yield b"" if form == "csv" else b"]\n"


def _as_json(entries: Sequence[AuditEntry]) -> bytes:
    return b",\n".join(entry.model_dump_json().encode() for entry in entries)


def _as_csv(entries: Sequence[AuditEntry]) -> bytes:
    out = io.StringIO()
    writer = csv.writer(out)
    for entry in entries:
        said = entry.model_dump(mode="json")
        said |= {f"actor_{name}": value for name, value in said["actor"].items()}
        said |= {name: orjson.dumps(said[name]).decode() for name in ("before", "after")}
        writer.writerow(cell(said[name]) for name in COLUMNS)
    return out.getvalue().encode()
