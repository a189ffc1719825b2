"""Months of usage: made ahead, frozen when old. The worker's role."""

from datetime import date
from typing import ClassVar, Final

import sqlalchemy as sa

from bursar.db.engine import Transaction

MONTHS_AHEAD: Final = 2
"""A worker that stands still for weeks must not stop anybody's usage from being booked."""

MONTHS_BEHIND: Final = 1
"""A spool may be replayed late; a row without a partition goes to quarantine."""

LOCK_WAIT: Final = "2s"
"""Dropping a partition waits for readers of `usage` and holds up writers: give up soon, try again."""


class MonthNotPosted(Exception):
    """The month still has unposted rows, or is not over; nothing was changed."""

    code: ClassVar[str] = "month_not_posted"
    status: ClassVar[int] = 409


def first_of_month(day: date, months_later: int = 0) -> date:
    serial = day.year * 12 + day.month - 1 + months_later
    return date(serial // 12, serial % 12 + 1, 1)


async def make_ahead(tx: Transaction, today: date) -> tuple[date, ...]:
    """Make the partitions that should exist around ``today`` (UTC); answer the months that were missing."""
    made = []
    for later in range(-MONTHS_BEHIND, MONTHS_AHEAD + 1):
        month = first_of_month(today, later)
        answer = await tx.execute(sa.text("SELECT bursar_make_partition(:month)"), {"month": month})
        if answer.scalar_one():
            made.append(month)
    return tuple(made)


async def freeze(tx: Transaction, month: date, *, today: date) -> int:
    """Keep a month's totals and drop its rows; answer how many there were. One scan of the month.

    Raises:
        MonthNotPosted: rows wait for posting, or the month is not over.
    """
    await tx.execute(sa.text(f"SET LOCAL lock_timeout = '{LOCK_WAIT}'"))
    try:
        answer = await tx.execute(
            sa.text("SELECT bursar_freeze_month(:month, CAST(CAST(:today AS text) AS timestamptz))"),
            {"month": month, "today": f"{today.isoformat()} 00:00:00+00"},
        )
    except sa.exc.DBAPIError as error:
        if getattr(error.orig, "sqlstate", None) in {"BU003", "BU013"}:
            raise MonthNotPosted(str(error.orig)) from error
        raise
    return int(answer.scalar_one())
