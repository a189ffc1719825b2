"""Posting: from usage rows to lots and ledger entries, at least once a second.

A round posts runs of up to WALLETS_PER_RUN wallets and about ROWS_PER_RUN rows, a transaction each, until
nothing is left. A run costs about 10 µs a row plus the open lots of its wallets. When a run fails, its
wallets are posted one by one, so that one broken wallet never holds up the others; those that fail alone
are reported, every round.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Final, NamedTuple
from uuid import UUID

import sqlalchemy as sa
import structlog

from bursar.db.engine import Database

log = structlog.get_logger()

WALLETS_PER_RUN: Final = 300
"""Locked together; a take on one of them waits for the run to end."""

ROWS_PER_RUN: Final = 20_000
"""About 0.2 s of work."""

RUNS_PER_ROUND: Final = 1_000
"""So that a round ends even when rows come in faster than they are posted."""


class Run(NamedTuple):
    """What one run posted. ``run`` None: nothing to post. Sums over all assets: figures, not money."""

    run: int | None
    wallets: int
    rows: int
    sale: int
    cost: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Posted:
    """A round: how many rows were posted, and which wallets could not be."""

    rows: int
    failed: tuple[UUID, ...] = ()


async def post_pending(database: Database, now: datetime) -> Posted:
    """Post everything unposted, in the worker's role. Two posters at once never post a row twice."""
    rows = 0
    for _ in range(RUNS_PER_ROUND):
        try:
            run = await post_run(database, now)
        except sa.exc.DBAPIError:
            log.exception("posting.run_failed")
            singly = await post_singly(database, now)
            return Posted(rows=rows + singly.rows, failed=singly.failed)
        rows += run.rows
        if run.rows == 0:
            break
    return Posted(rows=rows)


async def post_singly(database: Database, now: datetime) -> Posted:
    """Post wallet by wallet. Grows with the wallets that have unposted rows."""
    async with database.read() as read:
        found = await read.execute(sa.text("SELECT DISTINCT wallet_id FROM usage WHERE posting IS NULL"))
        wallets = found.scalars().all()
    rows = 0
    failed = []
    for wallet_id in wallets:
        try:
            rows += await post_wallet(database, now, wallet_id)
        except sa.exc.DBAPIError:
            log.exception("posting.wallet_failed", wallet_id=str(wallet_id))
            failed.append(wallet_id)
    return Posted(rows=rows, failed=tuple(failed))


async def post_wallet(database: Database, now: datetime, wallet_id: UUID) -> int:
    """Post one wallet's rows; answer how many."""
    rows = 0
    for _ in range(RUNS_PER_ROUND):
        run = await post_run(database, now, wallet_id)
        rows += run.rows
        if run.rows == 0:
            break
    return rows


async def post_run(database: Database, now: datetime, wallet_id: UUID | None = None) -> Run:
    """One transaction's worth."""
    async with database.transaction() as tx:
        answer = await tx.execute(
            sa.text("SELECT * FROM bursar_post(:now, :wallets, :rows, :wallet_id)"),
            {"now": now, "wallets": WALLETS_PER_RUN, "rows": ROWS_PER_RUN, "wallet_id": wallet_id},
        )
        return Run(*answer.one())
