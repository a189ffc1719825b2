"""Sealing the audit log into its chain, and walking along it (`bursar.core.audit_chain` has the rules)."""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import orjson
import sqlalchemy as sa
import structlog
from sqlalchemy.dialects.postgresql import BYTEA

from bursar.core.audit_chain import START, Anchor, Entry, Fault, Part, Seal, Walk, seal
from bursar.db.engine import Database, ReadSession, Transaction
from bursar.db.tables import audit_entry

log = structlog.get_logger()

LOCK_KEY: Final = 0x6275727361720002
"""Advisory lock: one worker seals at a time ('bursar' + 2)."""

SEALED_PER_ROUND: Final = 500
WALKED_PER_PAGE: Final = 1_000
"""A page of entries is all that a walk holds in memory; the longest have some 100 kB."""

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND: Final = timedelta(microseconds=1)

_COLUMNS: Final = [column for column in audit_entry.c]  # noqa: C416 - the collection's own list() is its names


class ChainCutBack(Exception):
    """The chain is not as this worker left it: somebody rewrote the log. Nothing is sealed on top."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """How a walk ended. `at`: the last entry that is right. `unsealed`: entries no chain protects yet."""

    at: Anchor
    fault: Fault | None
    erased: int
    unsealed: int
    unsealed_since: datetime | None


class Sealer:
    """Call `run` every second, in the worker's role. Two at once take turns.

    Entries are numbered in the order they are seen committed, so a long transaction delays nobody. Where the
    chain ends is logged (`audit.sealed`) and kept in memory: a log of entries made up anew, sealed again or
    cut at its end shows at the next round, whoever did it.
    """

    def __init__(self, database: Database, key: bytes) -> None:
        self._database = database
        self._key = key
        self._last = START

    async def run(self) -> int:
        """Seal what waits, at most SEALED_PER_ROUND entries; answer how many.

        Raises:
            ChainCutBack: the chain is not what it was.
        """
        async with self._database.transaction() as tx:
            await tx.execute(sa.text("SELECT pg_advisory_xact_lock(:key)"), {"key": LOCK_KEY})
            await self._check_place(tx)
            place = await _newest(tx)
            rows = await _unsealed(tx)
            seals = []
            for row in rows:
                made = seal(entry_of(row), place, self._key)
                seals.append((row["id"], made))
                place = Anchor(made.seq, made.hash)
            await _write(tx, seals)
        self._last = place
        if seals:
            log.info("audit.sealed", entries=len(seals), seq=place.seq, hash=place.hash.hex())
        return len(seals)

    async def _check_place(self, tx: Transaction) -> None:
        """Another worker may have gone on from where we were, but our place is still there."""
        if self._last.seq == 0:
            return
        question = sa.select(audit_entry.c.hash).where(audit_entry.c.seq == self._last.seq)
        found = (await tx.execute(question)).scalar_one_or_none()
        if found is None or bytes(found) != self._last.hash:
            log.error("audit.rewritten", seq=self._last.seq, hash=self._last.hash.hex())
            raise ChainCutBack(f"entry {self._last.seq} of the audit log is not the one that was sealed")


async def verify(database: Database, key: bytes, anchors: Mapping[int, bytes]) -> Verdict:
    """Walk the chain in the worker's role, page by page; each is a short transaction of its own."""
    walk = Walk(key, dict(anchors))
    async for page in _pages(database):
        if not all(_step(walk, row) for row in page):
            break
    fault = walk.end()
    async with database.read() as read:
        unsealed, since = await _waiting(read)
    return Verdict(at=walk.at, fault=fault, erased=walk.erased, unsealed=unsealed, unsealed_since=since)


def entry_of(row: Mapping[Any, Any]) -> Entry:
    """A row of `audit_entry` as the chain's rules read it."""
    return Entry(
        id=row["id"],
        at_us=(row["at"] - EPOCH) // MICROSECOND,
        organisation_id=row["organisation_id"],
        internal=row["internal"],
        person_id=row["person_id"],
        actor_kind=row["actor_kind"],
        actor_id=row["actor_id"],
        db_role=row["db_role"],
        action=row["action"],
        subject=row["subject"],
        subject_id=row["subject_id"],
        changes=row["changes"],
        actor=_part_of(row, "actor"),
        row=_part_of(row, "row"),
    )


def _part_of(row: Mapping[Any, Any], name: str) -> Part:
    salt, digest = row[f"{name}_salt"], row[f"{name}_digest"]
    return Part(
        text=row[f"{name}_part"],
        salt=None if salt is None else bytes(salt),
        digest=None if digest is None else bytes(digest),
    )


def _step(walk: Walk, row: Mapping[Any, Any]) -> bool:
    found = Seal(seq=row["seq"], hash=bytes(row["hash"]), mark=bytes(row["mark"]))
    return walk.step(entry_of(row), found, told=_told_erased(row))


def _told_erased(row: Mapping[Any, Any]) -> int:
    """How many personal parts an entry says were erased. A text that is no JSON breaks the chain anyway."""
    if row["action"] != "erase":
        return 0
    try:
        return int(orjson.loads(row["changes"])["after"]["parts"])
    except (ValueError, KeyError, TypeError):
        return 0


async def _pages(database: Database) -> AsyncIterator[Sequence[sa.RowMapping]]:
    after = 0
    while True:
        question = (
            sa.select(*_COLUMNS)
            .where(audit_entry.c.seq > after)
            .order_by(audit_entry.c.seq)
            .limit(WALKED_PER_PAGE)
        )
        async with database.read() as read:
            page = (await read.execute(question)).mappings().all()
        if not page:
            return
        yield page
        after = page[-1]["seq"]


async def _newest(tx: Transaction) -> Anchor:
    question = (
        sa.select(audit_entry.c.seq, audit_entry.c.hash)
        .where(audit_entry.c.seq.is_not(None))
        .order_by(audit_entry.c.seq.desc())
        .limit(1)
    )
    row = (await tx.execute(question)).one_or_none()
    return START if row is None else Anchor(row.seq, bytes(row.hash))


async def _unsealed(tx: Transaction) -> Sequence[sa.RowMapping]:
    question = (
        sa.select(*_COLUMNS)
        .where(audit_entry.c.seq.is_(None))
        .order_by(audit_entry.c.id)
        .limit(SEALED_PER_ROUND)
    )
    return (await tx.execute(question)).mappings().all()


async def _write(tx: Transaction, seals: Sequence[tuple[int, Seal]]) -> None:
    if not seals:
        return
    change = (
        sa.update(audit_entry)
        .where(audit_entry.c.id == sa.bindparam("entry_id"))
        .values(
            seq=sa.bindparam("new_seq", type_=sa.BigInteger),
            hash=sa.bindparam("new_hash", type_=BYTEA),
            mark=sa.bindparam("new_mark", type_=BYTEA),
        )
    )
    await tx.execute(
        change,
        [
            {"entry_id": number, "new_seq": made.seq, "new_hash": made.hash, "new_mark": made.mark}
            for number, made in seals
        ],
    )


async def _waiting(read: ReadSession) -> tuple[int, datetime | None]:
    question = sa.select(sa.func.count(), sa.func.min(audit_entry.c.at)).where(audit_entry.c.seq.is_(None))
    number, since = (await read.execute(question)).one()
    return number, since
