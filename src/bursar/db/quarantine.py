"""Usage that could not be booked: told once, kept until a person resolves it."""

from datetime import datetime

import sqlalchemy as sa
import structlog

from bursar.db.engine import Transaction
from bursar.db.tables import usage_quarantine

log = structlog.get_logger()


async def alarm(tx: Transaction, now: datetime) -> int:
    """Tell of every row nobody was told of yet, at the level that wakes people; answer how many."""
    fresh = (
        sa.update(usage_quarantine)
        .where(usage_quarantine.c.alarmed_at.is_(None))
        .values(alarmed_at=now)
        .returning(usage_quarantine.c.id, usage_quarantine.c.request_id, usage_quarantine.c.reason)
    )
    rows = (await tx.execute(fresh)).all()
    for row in rows:
        log.critical("usage.quarantined", quarantine_id=row.id, request_id=row.request_id, reason=row.reason)
    return len(rows)
