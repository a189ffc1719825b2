"""`books check`: every invariant of the books, in one snapshot, each naming what offends.

All questions are answered from one REPEATABLE READ transaction, so a posting in between cannot make them
disagree. They are set-based; the ones over `usage` and `ledger_entry` read those tables once (months that
were frozen are read as totals). Nothing is locked.
"""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

import sqlalchemy as sa

from bursar.db.engine import Database, ReadSession
from bursar.db.sweeping import PROCESS_LIFE

OFFENDERS_MAX: Final = 100
"""Named per check; how many there are in all is counted."""

SWEEP_GRACE: Final = timedelta(seconds=60)
"""A lease may outlive its process's life by so much before somebody must look."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One invariant. ``question`` answers the ids of what breaks it, one text column, best sorted."""

    name: str
    says: str
    question: str | None
    waits_for: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """How a check came out. ``ok`` None: it cannot be asked yet, because ``waits_for`` does not exist."""

    name: str
    says: str
    ok: bool | None
    count: int = 0
    offenders: tuple[str, ...] = ()
    waits_for: str | None = None

    def as_json(self) -> dict[str, Any]:
        told = {"name": self.name, "says": self.says, "ok": self.ok}
        if self.waits_for is not None:
            return {**told, "waits_for": self.waits_for}
        return {**told, "count": self.count, "offenders": list(self.offenders)}


CHECKS: Final[tuple[Check, ...]] = (
    Check(
        name="transactions_balance",
        says="every transaction sums to zero per asset",
        question="""
            SELECT 'transaction ' || transaction_id AS id FROM ledger_entry
            GROUP BY transaction_id, asset HAVING sum(amount) <> 0""",
    ),
    Check(
        name="posted_is_lots_is_entries",
        says="a wallet's posted = what remains of its lots = its wallet entries",
        question="""
            SELECT 'wallet ' || wallet.id AS id FROM wallet
            LEFT JOIN (SELECT wallet_id, sum(remaining) AS amount FROM credit_lot GROUP BY wallet_id) AS lots
                ON lots.wallet_id = wallet.id
            LEFT JOIN (SELECT account.owner, sum(entry.amount) AS amount FROM ledger_account AS account
                JOIN ledger_entry AS entry ON entry.account_id = account.id
                WHERE account.kind = 'wallet' GROUP BY account.owner) AS entries ON entries.owner = wallet.id
            WHERE wallet.posted <> coalesce(lots.amount, 0)
                OR wallet.posted <> coalesce(entries.amount, 0)""",
    ),
    Check(
        name="held_is_holds",
        says="a wallet's held = the amounts of its open holds, leases included",
        question="""
            SELECT 'wallet ' || wallet.id AS id FROM wallet
            LEFT JOIN (SELECT wallet_id, sum(amount) AS amount FROM hold WHERE state <> 'closed'
                GROUP BY wallet_id) AS holds ON holds.wallet_id = wallet.id
            WHERE wallet.held <> coalesce(holds.amount, 0)""",
    ),
    Check(
        name="lots_are_consumption",
        says="what is gone from a lot = its consumption, and no burn was returned more than in full",
        question="""
            SELECT 'lot ' || lot.id AS id FROM credit_lot AS lot
            LEFT JOIN (SELECT lot_id, sum(amount) AS amount FROM lot_consumption GROUP BY lot_id) AS consumed
                ON consumed.lot_id = lot.id
            WHERE lot.original - lot.remaining <> coalesce(consumed.amount, 0)
            UNION ALL
            SELECT 'lot ' || lot_id || ' in transaction ' || burned_by FROM (
                SELECT lot_id, amount, coalesce(returns_of, transaction_id) AS burned_by FROM lot_consumption
            ) AS parts GROUP BY lot_id, burned_by HAVING sum(amount) < 0""",
    ),
    Check(
        name="funds_cover_promises",
        says="posted + credit limit + overrun cover owed + held, and overrun is exactly what is missing",
        question="""
            SELECT 'wallet ' || id AS id FROM wallet
            WHERE overrun <> greatest(0, owed + held - posted - credit_limit)""",
    ),
    Check(
        name="sales_are_revenue",
        says="posted sales (frozen months included) = revenue from usage; the same for provider cost",
        question="""
            WITH sold AS (
                SELECT organisation_id, asset, sum(sale) AS sale, sum(cost) AS cost FROM (
                    SELECT organisation_id, asset, sale, cost FROM usage WHERE posting IS NOT NULL
                    UNION ALL SELECT organisation_id, asset, sale, cost FROM usage_month
                ) AS rows GROUP BY organisation_id, asset
            ), booked AS (
                SELECT entry.organisation_id, entry.asset,
                    sum(entry.amount) FILTER (WHERE account.kind = 'revenue') AS sale,
                    -sum(entry.amount) FILTER (WHERE account.kind = 'provider_cost') AS cost
                FROM ledger_entry AS entry
                JOIN ledger_account AS account ON account.id = entry.account_id
                JOIN ledger_transaction AS txn ON txn.id = entry.transaction_id
                WHERE txn.kind IN ('usage', 'usage_revision') AND account.kind IN ('revenue', 'provider_cost')
                GROUP BY entry.organisation_id, entry.asset
            )
            SELECT 'organisation ' || organisation_id || ' in ' || asset AS id
            FROM sold FULL JOIN booked USING (organisation_id, asset)
            WHERE coalesce(sold.sale, 0) <> coalesce(booked.sale, 0)
                OR coalesce(sold.cost, 0) <> coalesce(booked.cost, 0)""",
    ),
    Check(
        name="settled_once",
        says="each (request, attempt, revision) is settled once",
        question="""
            SELECT 'request ' || request_id || ' attempt ' || attempt || ' revision ' || revision AS id
            FROM usage
            GROUP BY request_id, attempt, revision HAVING count(*) > 1""",
    ),
    Check(
        name="usage_was_funded",
        says="no usage without a lease, unless it came late",
        question="""
            SELECT 'request ' || request_id || ' attempt ' || attempt AS id FROM usage
            WHERE NOT late AND NOT EXISTS (SELECT FROM hold WHERE hold.id = usage.lease_id)""",
    ),
    Check(
        name="no_hold_past_its_life",
        says="no lease or request hold outlives its process or its expiry by more than one sweep",
        question="""
            SELECT 'hold ' || hold.id AS id FROM hold JOIN process ON process.id = hold.process_id
            WHERE hold.state = 'active' AND (process.state = 'closed'
                OR greatest(process.last_beat_at, pg_postmaster_start_time()) < clock_timestamp() - :patience)
            UNION ALL
            SELECT 'hold ' || id FROM hold
            WHERE kind = 'request' AND state = 'active' AND expires_at < clock_timestamp() - :patience""",
    ),
    Check(
        name="jobs_hold_until_they_end",
        says="no job hold on a finished job",
        question=None,
        waits_for="jobs",
    ),
    Check(
        name="invoices_add_up",
        says="an invoice's lines = its total; paid + credited never exceed it",
        question=None,
        waits_for="invoices",
    ),
    Check(
        name="payments_credited_once",
        says="each payment is credited once, to the order it was made for",
        question=None,
        waits_for="payments",
    ),
    Check(
        name="trial_balance",
        says="all accounts together are zero per asset",
        question="SELECT asset AS id FROM ledger_entry GROUP BY asset HAVING sum(amount) <> 0",
    ),
    Check(
        name="owed_is_receivable",
        says="what a wallet owes = its receivable entries",
        question="""
            SELECT 'wallet ' || wallet.id AS id FROM wallet
            LEFT JOIN (SELECT account.owner, sum(entry.amount) AS amount FROM ledger_account AS account
                JOIN ledger_entry AS entry ON entry.account_id = account.id
                WHERE account.kind = 'receivable' GROUP BY account.owner) AS entries
                ON entries.owner = wallet.id
            WHERE wallet.owed <> -coalesce(entries.amount, 0)""",
    ),
    Check(
        name="quarantine_is_known",
        says="whatever could not be booked is resolved, or somebody was told",
        question="""
            SELECT 'quarantine ' || id AS id FROM usage_quarantine
            WHERE resolved_at IS NULL AND alarmed_at IS NULL""",
    ),
    Check(
        name="leases_know_their_spending",
        says="what a lease spent and did not burn = the unposted sales made under it",
        question="""
            SELECT 'hold ' || hold.id AS id FROM hold
            LEFT JOIN (SELECT lease_id, wallet_id, sum(greatest(sale, 0)) AS sale FROM usage
                WHERE posting IS NULL GROUP BY lease_id, wallet_id) AS unposted
                ON unposted.lease_id = hold.id AND unposted.wallet_id = hold.wallet_id
            WHERE hold.kind = 'lease' AND hold.spent - hold.burned <> coalesce(unposted.sale, 0)""",
    ),
)


async def check_books(database: Database, *, life: timedelta = PROCESS_LIFE) -> tuple[Finding, ...]:
    """Ask every question from one snapshot. The worker's or the operator's role, which see every tenant."""
    async with database.read() as read:
        return await check_in(read, life=life)


async def check_in(read: ReadSession, *, life: timedelta = PROCESS_LIFE) -> tuple[Finding, ...]:
    """Ask every question in the caller's snapshot."""
    return tuple([await _find(read, check, life + SWEEP_GRACE) for check in CHECKS])


def is_clean(findings: tuple[Finding, ...]) -> bool:
    """True when no check that could be asked failed."""
    return all(finding.ok is not False for finding in findings)


async def _find(read: ReadSession, check: Check, patience: timedelta) -> Finding:
    if check.question is None:
        return Finding(name=check.name, says=check.says, ok=None, waits_for=check.waits_for)
    broken = sa.text(check.question).columns(sa.column("id", sa.Text)).subquery("broken")
    question = sa.select(broken.c.id, sa.func.count().over()).order_by(broken.c.id).limit(OFFENDERS_MAX)
    parameters = {"patience": patience} if ":patience" in check.question else {}
    rows = (await read.execute(question, parameters)).all()
    return Finding(
        name=check.name,
        says=check.says,
        ok=not rows,
        count=rows[0][1] if rows else 0,
        offenders=tuple(row[0] for row in rows),
    )
