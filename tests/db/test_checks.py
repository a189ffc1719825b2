"""The books check: clean when all is well, and naming whatever somebody broke behind the functions' back."""

from typing import NamedTuple

import psycopg
import pytest
from desk import Desk
from samples import Customer, new_id
from stories import sold

from bursar.core.booking import UsageRow
from bursar.db.checks import CHECKS, OFFENDERS_MAX, check_books, is_clean
from bursar.db.engine import Database
from scratch_database import ScratchDatabase


class Damage(NamedTuple):
    """SQL that breaks one invariant; ``names`` is part of the offender's id, {…} as in `Life`."""

    check: str
    sql: str
    names: str


class Life(NamedTuple):
    customer: Customer
    row: UsageRow
    lease_id: object


DAMAGES = (
    Damage(
        "transactions_balance", "UPDATE ledger_entry SET amount = amount + 1 WHERE id = 1", "transaction 1"
    ),
    Damage("posted_is_lots_is_entries", "UPDATE wallet SET posted = posted + 1", "wallet {wallet}"),
    Damage("posted_is_lots_is_entries", "UPDATE credit_lot SET remaining = remaining - 1", "wallet {wallet}"),
    Damage("held_is_holds", "UPDATE wallet SET held = held - 1", "wallet {wallet}"),
    Damage("held_is_holds", "UPDATE hold SET amount = amount + 1", "wallet {wallet}"),
    Damage("lots_are_consumption", "DELETE FROM lot_consumption", "lot "),
    Damage("lots_are_consumption", "UPDATE lot_consumption SET amount = amount + 1", "lot "),
    Damage("funds_cover_promises", "UPDATE wallet SET overrun = 5", "wallet {wallet}"),
    Damage(
        "sales_are_revenue", "UPDATE usage SET sale = sale + 1 WHERE sale = 40", "organisation {organisation}"
    ),
    Damage(
        "sales_are_revenue", "UPDATE usage SET cost = cost + 1 WHERE sale = 40", "organisation {organisation}"
    ),
    Damage("sales_are_revenue", "DELETE FROM usage WHERE posting IS NOT NULL", "organisation {organisation}"),
    Damage(
        "settled_once",
        "UPDATE usage SET request_id = '{request}', started_at = (SELECT started_at FROM usage"
        " WHERE request_id = '{request}'), organisation_id = gen_random_uuid()"
        " WHERE request_id <> '{request}'",
        "request {request}",
    ),
    Damage("usage_was_funded", "UPDATE usage SET lease_id = gen_random_uuid()", "request {request}"),
    Damage("no_hold_past_its_life", "UPDATE process SET state = 'closed'", "hold {lease}"),
    Damage("trial_balance", "UPDATE ledger_entry SET amount = amount + 1 WHERE id = 1", "USD"),
    Damage("owed_is_receivable", "UPDATE wallet SET owed = owed + 1", "wallet {wallet}"),
    Damage(
        "quarantine_is_known",
        "INSERT INTO usage_quarantine (content_hash, reason, detail, process_id, row, received_at)"
        " VALUES ('h', 'r', 'd', gen_random_uuid(), '{{}}', now())",
        "quarantine 1",
    ),
    Damage("leases_know_their_spending", "UPDATE hold SET spent = spent + 1", "hold {lease}"),
)


def live(desk: Desk) -> Life:
    """A customer who paid 100, was sold 40 and 7, the 7 not posted yet."""
    customer = desk.customer(100)
    process = desk.open_process()
    lease_id = desk.take(process, customer, 60).lease_id
    row = sold(customer, lease_id, 40)
    desk.flush(process, [row])
    desk.post()
    desk.flush(process, [sold(customer, lease_id, 7)])
    return Life(customer, row, lease_id)


def damage(database: ScratchDatabase, sql: str) -> None:
    """As an administrator who switched every guard off."""
    with psycopg.connect(database.url, autocommit=True) as administrator:
        administrator.execute("SET session_replication_role = replica")
        for constraint in ("wallet_funds_cover_promises",):
            administrator.execute(f"ALTER TABLE wallet DROP CONSTRAINT {constraint}")
        administrator.execute(sql.encode())


class TestBooksCheck:
    async def test_finds_nothing_wrong_with_a_busy_wallet(self, desk: Desk, worker: Database) -> None:
        live(desk)
        findings = await check_books(worker)
        assert [finding.name for finding in findings if finding.ok is False] == []
        assert is_clean(findings)

    async def test_says_which_checks_wait_for_what(self, worker: Database) -> None:
        waiting = {
            finding.name: finding.waits_for for finding in await check_books(worker) if finding.ok is None
        }
        assert waiting == {
            "jobs_hold_until_they_end": "jobs",
            "invoices_add_up": "invoices",
            "payments_credited_once": "payments",
        }

    @pytest.mark.broken_books
    @pytest.mark.parametrize("harm", DAMAGES, ids=lambda harm: f"{harm.check}: {harm.sql[:40]}")
    async def test_names_what_was_broken(
        self, desk: Desk, worker: Database, database: ScratchDatabase, harm: Damage
    ) -> None:
        life = live(desk)
        ids = {
            "wallet": life.customer.wallet_id,
            "organisation": life.customer.organisation_id,
            "request": life.row.request_id,
            "lease": life.lease_id,
        }
        damage(database, harm.sql.format(**ids))
        findings = {finding.name: finding for finding in await check_books(worker)}
        found = findings[harm.check]
        assert found.ok is False
        assert found.count == len(found.offenders) > 0
        assert any(harm.names.format(**ids) in offender for offender in found.offenders)

    async def test_can_find_each_of_its_invariants_broken(self) -> None:
        assert {harm.check for harm in DAMAGES} == {check.name for check in CHECKS if check.question}

    @pytest.mark.broken_books
    async def test_counts_more_than_it_names(self, desk: Desk, worker: Database) -> None:
        process = new_id()
        customer = desk.customer()
        desk.flush(process, [sold(customer, None, 1, model=None) for _ in range(OFFENDERS_MAX + 5)])
        found = next(one for one in await check_books(worker) if one.name == "quarantine_is_known")
        assert found.count == OFFENDERS_MAX + 5
        assert len(found.offenders) == OFFENDERS_MAX
        assert found.as_json()["count"] == OFFENDERS_MAX + 5
