"""Sweeping up after processes that stopped and lots that expired.

A process is closed when it was silent for PROCESS_LIFE by the database's clock. When PostgreSQL itself was
away, every process was silent through no fault of its own: so the sweeper closes nothing until it has seen
PostgreSQL up without a break for one such life. A break is a question that failed, another start time of
the server, or a pause in the sweeper's own asking (it was suspended, or the machine was).
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

import sqlalchemy as sa
import structlog

from bursar.core.clock import Clock
from bursar.db import quarantine
from bursar.db.engine import Database
from bursar.db.moments import moment_of

log = structlog.get_logger()

PROCESS_LIFE: Final = timedelta(seconds=60)
"""Longer than the 40 s after which a process that got no answer stops admitting by itself."""

BUSY_MACHINE_PAUSE: Final = timedelta(seconds=5)
"""So long a busy machine may keep a sweeper waiting; it only matters for lives far shorter than usual."""

PER_SWEEP_MAX: Final = 200
"""Processes, and wallets with expired lots, per sweep; the rest waits for the next one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Swept:
    """What a sweep did. ``trusted`` is false while PostgreSQL has not been seen up for one life."""

    trusted: bool
    quarantined: int = 0
    closed: tuple[UUID, ...] = ()
    broken: int = 0
    failed: tuple[UUID, ...] = ()


class Sweeper:
    """Call `sweep` every few seconds, in the worker's role. Two at once do no harm."""

    def __init__(self, database: Database, clock: Clock, *, life: timedelta = PROCESS_LIFE) -> None:
        self._database = database
        self._clock = clock
        self._life = life
        # A longer pause between two looks proves nothing: a server that stood still for it and woke up would
        # find every process silent for a life before their next heartbeats arrive.
        self._unseen_max = max(life / 2, BUSY_MACHINE_PAUSE)
        self._up_since_ms: int | None = None
        self._seen_ms = 0
        self._server_start: datetime | None = None
        self._recalled: frozenset[UUID] = frozenset()

    async def sweep(self) -> Swept:
        """Tell of quarantined rows, close silent processes, break expired lots.

        PostgreSQL away: raises what the driver raises.
        """
        trusted = await self._is_trusted()
        async with self._database.transaction() as tx:
            quarantined = await quarantine.alarm(tx, self._now())
        if not trusted:
            return Swept(trusted=False, quarantined=quarantined)
        closed, stuck = await self._close_silent()
        broken, unbroken = await self._expire()
        return Swept(
            trusted=True,
            quarantined=quarantined,
            closed=closed,
            broken=broken,
            failed=(*stuck, *unbroken),
        )

    async def _is_trusted(self) -> bool:
        """Look, and tell whether every look of one life found the same server up."""
        try:
            async with self._database.read() as read:
                start = (await read.execute(sa.text("SELECT pg_postmaster_start_time()"))).scalar_one()
        except BaseException:
            self._up_since_ms = None
            raise
        now_ms = self._clock.monotonic_ms()
        paused = timedelta(milliseconds=now_ms - self._seen_ms)
        unbroken = start == self._server_start and paused <= self._unseen_max
        if self._up_since_ms is None or not unbroken:
            self._up_since_ms = now_ms
            log.info("sweeper.watches", server_start=start.isoformat(), for_s=self._life.total_seconds())
        self._seen_ms = now_ms
        self._server_start = start
        return timedelta(milliseconds=now_ms - self._up_since_ms) >= self._life

    async def _close_silent(self) -> tuple[tuple[UUID, ...], tuple[UUID, ...]]:
        """Each in a transaction of its own. Grows with the silent processes' leases and marks."""
        silent = await self._ids("SELECT * FROM bursar_silent_processes(:life, :most)", {"life": self._life})
        closed, failed = [], []
        for process_id in silent:
            try:
                if await self._run(
                    "SELECT bursar_close_process(:id, :life, :now)", process_id, {"life": self._life}
                ):
                    closed.append(process_id)
                    log.warning("process.swept", process_id=str(process_id))
            except sa.exc.DBAPIError:
                log.exception("process.sweep_failed", process_id=str(process_id))
                failed.append(process_id)
        return tuple(closed), tuple(failed)

    async def _expire(self) -> tuple[int, tuple[UUID, ...]]:
        """Recall leases when a lot is first seen expired, break it from the next sweep on.

        Grows with the wallets that have an expired, unbroken lot.
        """
        found = frozenset(
            await self._ids("SELECT * FROM bursar_expired_wallets(:now, :most)", {"now": self._now()})
        )
        broken, failed = 0, []
        for wallet_id in sorted(found):
            try:
                if wallet_id in self._recalled:
                    broken += await self._run("SELECT bursar_expire(:id, :now)", wallet_id, {})
                else:
                    await self._run("SELECT pg_notify('bursar_recall', CAST(:id AS text))", wallet_id, {})
            except sa.exc.DBAPIError:
                log.exception("wallet.expiry_failed", wallet_id=str(wallet_id))
                failed.append(wallet_id)
        self._recalled = found
        return broken, tuple(failed)

    async def _ids(self, query: str, parameters: dict[str, object]) -> list[UUID]:
        async with self._database.read() as read:
            found = await read.execute(sa.text(query), {**parameters, "most": PER_SWEEP_MAX})
            return list(found.scalars().all())

    async def _run(self, query: str, subject: UUID, parameters: dict[str, object]) -> int:
        async with self._database.transaction() as tx:
            answer = await tx.execute(sa.text(query), {**parameters, "id": subject, "now": self._now()})
            return answer.scalar_one() or 0

    def _now(self) -> datetime:
        return moment_of(self._clock.now_ms())
