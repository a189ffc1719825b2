"""Suspects of abuse: shown to operators, who decide."""

from typing import Any, assert_never
from uuid import UUID

import sqlalchemy as sa

from bursar.core.messages import Words
from bursar.db.engine import ReadSession, Transaction
from bursar.features.abuse import queries, suspending
from bursar.features.abuse.schemas import NewDecision, Suspect, SuspectStatus
from bursar.rest.edge import Edge
from bursar.rest.paging import Page, PageAsked, cut_page, uuid_key
from bursar.rest.problems import Conflict, NotFound


class SuspectNotFound(NotFound):
    code = "suspect_not_found"

    def __init__(self) -> None:
        super().__init__("There is no suspect with this id.")


class SuspectDecided(Conflict):
    code = "suspect_decided"

    def __init__(self) -> None:
        super().__init__("This was decided before; what is new makes a new suspect.")


async def list_suspects(
    read: ReadSession, asked: PageAsked, *, status: SuspectStatus | None = None
) -> Page[Suspect]:
    rows = await queries.suspects_before(
        read, status=status, before=asked.after(uuid_key), limit=asked.limit + 1
    )
    return cut_page(rows, asked.limit, lambda row: row["id"], show)


async def get_suspect(read: ReadSession | Transaction, suspect_id: UUID) -> Suspect:
    """Raises `SuspectNotFound`."""
    row = await queries.suspect_by_id(read, suspect_id)
    if row is None:
        raise SuspectNotFound
    return show(row)


async def decide(
    tx: Transaction, suspect_id: UUID, wanted: NewDecision, *, decided_by: UUID | None, edge: Edge
) -> Suspect:
    """Clear a suspect, suspend its organisation, or close it.

    Raises:
        SuspectNotFound, SuspectDecided: cleared and closed are for good.
    """
    row = await queries.locked_suspect(tx, suspect_id)
    if row is None:
        raise SuspectNotFound
    if row["status"] in {"cleared", "closed"}:
        raise SuspectDecided
    organisation_id, now = row["organisation_id"], edge.now()
    said = f"{wanted.reason} ({wanted.note})" if wanted.note else wanted.reason
    changes: dict[str, Any] = {"decided_at": now, "decided_by": decided_by, "reason": said}
    match wanted.decision:
        case "clear":
            if row["status"] == "suspended":
                await suspending.lift(tx, organisation_id, now=now)
            changes |= {"status": "cleared"}
        case "suspend":
            why = Words(wanted.reason, wanted.reason, wanted.reason)
            await suspending.suspend(tx, organisation_id, suspect_id=suspect_id, why=why, now=now)
            changes |= {"status": "suspended", "suspended_at": row["suspended_at"] or now}
        case "close":
            await suspending.close(tx, organisation_id, now=now)
            changes |= {"status": "closed"}
        case _:
            assert_never(wanted.decision)
    await queries.update_suspect(tx, suspect_id, **changes)
    return await get_suspect(tx, suspect_id)


def show(row: sa.RowMapping) -> Suspect:
    return Suspect.model_validate(dict(row))
