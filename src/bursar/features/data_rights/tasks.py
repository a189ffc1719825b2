"""What the worker does: makes archives, removes old ones, and forgets whose time is over."""

import tempfile
from datetime import datetime, timedelta
from typing import IO, Any, Final
from uuid import UUID

import sqlalchemy as sa
import structlog
from sqlalchemy.exc import DBAPIError

from bursar.db.engine import Database, Transaction
from bursar.features.data_rights import archive, contents, queries
from bursar.features.data_rights.queries import Owner
from bursar.rest.edge import Edge
from bursar.rest.mails import DataExport, ask_for_mail

log = structlog.get_logger(__name__)

PIECE_BYTES: Final = 1024 * 1024
MEMORY_BYTES_MAX: Final = 8 * 1024 * 1024
"""A longer archive is written to a file on disk."""

ERASED_PER_ROUND: Final = 20


async def make_export(database: Database, edge: Edge, *, life: timedelta, public_url: str) -> bool:
    """Make the oldest archive that was asked for; False: none was.

    The row stays locked meanwhile, so a worker that dies leaves it to the next one.
    """
    async with database.transaction() as tx:
        asked = await queries.next_queued(tx)
        if asked is None:
            return False
        export_id, now = asked["id"], edge.now()
        with tempfile.SpooledTemporaryFile(MEMORY_BYTES_MAX) as file:
            try:
                await _write(database, file, asked, now)
            except Exception:  # others wait behind it; who asked may ask again
                log.exception("data_export.failed", export_id=str(export_id))
                await queries.end_export(tx, export_id, {"state": "failed", "ended_at": now})
                return True
            size_bytes = file.tell()
            await _keep(tx, export_id, file)
        ready = {"state": "ready", "ended_at": now, "expires_at": now + life, "size_bytes": size_bytes}
        await queries.end_export(tx, export_id, ready)
        await _tell(tx, asked, ready, public_url=public_url, now=now)
    log.info("data_export.ready", export_id=str(export_id), size_bytes=size_bytes)
    return True


async def expire_exports(database: Database, now: datetime) -> None:
    """Remove archives whose time is over."""
    async with database.transaction() as tx:
        gone = await queries.expire_exports(tx, now)
    if gone:
        log.info("data_export.expired", number=gone)


async def erase_due(database: Database, now: datetime) -> int:
    """Forget whose time of grace is over, each in a transaction of its own; answer how many.

    Who came to own an organisation meanwhile waits until he handed it over. One that fails keeps no other
    waiting; it is tried again in the next round.
    """
    done = 0
    passed_over: list[UUID] = []
    for _ in range(ERASED_PER_ROUND):
        async with database.transaction() as tx:
            due = await queries.next_due(tx, now, passed_over)
            if due is None:
                break
            if await _is_forgotten(tx, due, now):
                done += 1
            else:
                passed_over.append(due["id"])
    return done


async def _is_forgotten(tx: Transaction, due: sa.RowMapping, now: datetime) -> bool:
    owner = Owner(organisation_id=due["organisation_id"], user_id=due["user_id"])
    if owner.user_id is not None and await queries.keeps_organisations(tx, owner.user_id):
        log.warning("erasure.blocked", erasure_id=str(due["id"]))
        return False
    try:
        async with tx.begin_nested():
            await queries.erase(tx, owner, now)
            await queries.check_constraints(tx)
            await queries.end_erasure(tx, due["id"], now)
    except DBAPIError:
        log.exception("erasure.failed", erasure_id=str(due["id"]))
        return False
    log.info("erasure.done", erasure_id=str(due["id"]))
    return True


async def _write(database: Database, file: IO[bytes], asked: sa.RowMapping, now: datetime) -> None:
    async with database.read() as read:
        if asked["organisation_id"] is not None:
            files = contents.of_organisation(asked["organisation_id"])
        else:
            person = await queries.person(read, asked["user_id"])
            files = contents.of_person(asked["user_id"], "" if person is None else person["email"])
        await archive.write(file, read, files, made_at=now)
    file.seek(0, 2)


async def _keep(tx: Transaction, export_id: UUID, file: IO[bytes]) -> None:
    file.seek(0)
    number = 0
    while content := file.read(PIECE_BYTES):
        await queries.insert_piece(tx, export_id, number, content)
        number += 1


async def _tell(
    tx: Transaction, asked: sa.RowMapping, ready: dict[str, Any], *, public_url: str, now: datetime
) -> None:
    """Mail who asked; with an operator's token nobody is to be told."""
    person = None if asked["user_id"] is None else await queries.person(tx, asked["user_id"])
    if person is None or person["erased_at"] is not None:
        return
    organisation_id = asked["organisation_id"]
    place = "me" if organisation_id is None else f"organisations/{organisation_id}"
    await ask_for_mail(
        tx,
        DataExport(
            link=f"{public_url}/api/v1/{place}/data-exports/{asked['id']}/archive",
            expires_at=ready["expires_at"],
            name=person["name"] or None,
        ),
        to=person["email"],
        locale=person["locale"],
        intent=f"data_export:{asked['id']}",
        now=now,
        organisation_id=organisation_id,
    )
