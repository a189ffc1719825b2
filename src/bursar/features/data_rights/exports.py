"""Asking for a copy of all data, and fetching it."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from datetime import timedelta
from typing import Final
from uuid import UUID

import sqlalchemy as sa

from bursar.db.engine import ReadSession, Transaction
from bursar.features.data_rights import queries
from bursar.features.data_rights.queries import Owner
from bursar.features.data_rights.schemas import DataExport
from bursar.rest.edge import Edge
from bursar.rest.paging import Page, PageAsked, cut_page, uuid_key
from bursar.rest.problems import Conflict, NotFound, Refusal

EXPORTS_PER_DAY_MAX: Final = 3
"""An archive reads everything there is of somebody."""

Reading = Callable[[], AbstractAsyncContextManager[ReadSession]]
"""Opens a read session as whoever fetches."""


class ExportNotFound(NotFound):
    code = "data_export_not_found"

    def __init__(self) -> None:
        super().__init__("There is no data export with this id.")


class ExportPending(Conflict):
    code = "data_export_pending"

    def __init__(self) -> None:
        super().__init__("A data export is being made already.")


class ExportsTooMany(Refusal):
    status = 429
    code = "data_exports_too_many"

    def __init__(self) -> None:
        super().__init__(f"At most {EXPORTS_PER_DAY_MAX} data exports are made in a day.")


class ExportNotReady(Conflict):
    """It is not made yet, or it is gone."""

    code = "data_export_not_ready"

    def __init__(self, state: str) -> None:
        super().__init__(f"This data export cannot be downloaded: it is {state}.")


async def ask(tx: Transaction, owner: Owner, *, asked_by: UUID | None, edge: Edge) -> DataExport:
    """Have the worker make an archive. `asked_by`: the person to tell; None with an operator's token.

    Raises:
        ExportPending, ExportsTooMany.
    """
    now = edge.now()
    states = await queries.exports_since(tx, owner, now - timedelta(days=1))
    if "queued" in states:
        raise ExportPending
    if len(states) >= EXPORTS_PER_DAY_MAX:
        raise ExportsTooMany
    export_id = edge.new_id()
    row = {
        "id": export_id,
        "organisation_id": owner.organisation_id,
        "user_id": owner.user_id or asked_by,
        "requested_at": now,
    }
    await queries.insert_export(tx, row)
    return DataExport(
        id=export_id, state="queued", requested_at=now, ended_at=None, expires_at=None, size_bytes=None
    )


async def listed(read: ReadSession, owner: Owner, asked: PageAsked) -> Page[DataExport]:
    """Newest first."""
    rows = await queries.exports_before(read, owner, before=asked.after(uuid_key), limit=asked.limit + 1)
    return cut_page(rows, asked.limit, lambda row: row["id"], show)


async def archive(
    reading: Reading, owner: Owner, export_id: UUID, *, edge: Edge
) -> tuple[int, AsyncIterator[bytes]]:
    """The archive's length and its pieces; no session stays open while a slow reader takes one.

    Raises:
        ExportNotFound, ExportNotReady.
    """
    async with reading() as read:
        row = await queries.export_by_id(read, owner, export_id)
    if row is None:
        raise ExportNotFound
    if row["state"] != "ready" or row["expires_at"] <= edge.now():
        raise ExportNotReady("expired" if row["state"] == "ready" else row["state"])

    async def pieces() -> AsyncIterator[bytes]:
        number = 0
        while True:
            async with reading() as read:
                content = await queries.piece(read, export_id, number)
            if content is None:
                break
            yield content
            number += 1

    return row["size_bytes"], pieces()


def show(row: sa.RowMapping) -> DataExport:
    return DataExport.model_validate({name: row[name] for name in DataExport.model_fields})
