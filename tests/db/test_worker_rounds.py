"""What the worker does round after round: posting, sweeping, partitions, events, alarms."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

import psycopg
import pytest
import sqlalchemy as sa
from desk import Desk, changed, one
from samples import START, SettableClock, new_id, usage_row
from stories import DAY, sold

from bursar.core.ids import uuid7
from bursar.db.engine import Database, Transaction
from bursar.db.outbox import ATTEMPTS_MAX, FIRST_PAUSE_S, KEPT_FOR, Event, deliver, publish, purge
from bursar.db.partitions import MonthNotPosted, first_of_month, freeze, make_ahead
from bursar.db.posting import post_pending
from bursar.db.sweeping import PROCESS_LIFE, Sweeper
from bursar.db.tables import outbox
from scratch_database import ScratchDatabase

LIFE_MS = int(PROCESS_LIFE / timedelta(milliseconds=1))


class TestPosting:
    async def test_posts_all_wallets_in_one_round(self, desk: Desk, worker: Database) -> None:
        process = desk.open_process()
        customers = [desk.customer(1000) for _ in range(5)]
        for customer in customers:
            lease_id = desk.take(process, customer, 100).lease_id
            desk.flush(process, [sold(customer, lease_id, 10) for _ in range(3)])
        posted = await post_pending(worker, START)
        assert (posted.rows, posted.failed) == (15, ())
        assert [desk.wallet(customer).posted for customer in customers] == [970] * 5
        assert (await post_pending(worker, START)).rows == 0

    @pytest.mark.broken_books
    async def test_posts_the_others_when_one_wallet_cannot_be(
        self, desk: Desk, worker: Database, database: ScratchDatabase
    ) -> None:
        process = desk.open_process()
        well, ill = desk.customer(1000), desk.customer(1000)
        for customer in (well, ill):
            lease_id = desk.take(process, customer, 100).lease_id
            desk.flush(process, [sold(customer, lease_id, 10)])
        with psycopg.connect(database.url) as administrator:
            check = (
                f"ALTER TABLE credit_lot ADD CHECK (wallet_id <> '{ill.wallet_id}' OR remaining = original)"
            )
            administrator.execute(check.encode())
        posted = await post_pending(worker, START)
        assert posted.failed == (ill.wallet_id,)
        assert (desk.wallet(well).posted, desk.wallet(ill).posted) == (990, 1000)


class TestSweeper:
    @pytest.fixture
    def sweeper(self, worker: Database, clock: SettableClock) -> Sweeper:
        return Sweeper(worker, clock)

    async def watch(self, sweeper: Sweeper, clock: SettableClock, for_ms: int) -> None:
        """Look every ten seconds."""
        for _ in range(for_ms // 10_000):
            await sweeper.sweep()
            clock.time_ms += 10_000

    async def test_closes_nothing_before_it_saw_the_server_up_for_one_life(
        self, desk: Desk, sweeper: Sweeper, clock: SettableClock
    ) -> None:
        process = desk.open_process()
        desk.silence(process, 3600)
        await self.watch(sweeper, clock, LIFE_MS)
        assert desk.beat(process)
        desk.silence(process, 3600)
        swept = await sweeper.sweep()
        assert swept.trusted
        assert swept.closed == (process,)

    async def test_starts_again_after_a_pause_of_its_own(
        self, desk: Desk, sweeper: Sweeper, clock: SettableClock
    ) -> None:
        await self.watch(sweeper, clock, LIFE_MS)
        clock.time_ms += LIFE_MS // 2
        process = desk.open_process()
        desk.silence(process, 3600)
        assert not (await sweeper.sweep()).trusted
        await self.watch(sweeper, clock, LIFE_MS)
        assert (await sweeper.sweep()).closed == (process,)

    async def test_starts_again_after_the_server_was_away(
        self, sweeper: Sweeper, clock: SettableClock, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        await self.watch(sweeper, clock, LIFE_MS)
        assert (await sweeper.sweep()).trusted
        there = sweeper._database
        away = Database("postgresql://nobody@127.0.0.1:1/nothing", there.role)
        monkeypatch.setattr(sweeper, "_database", away)
        with pytest.raises(sa.exc.OperationalError):
            await sweeper.sweep()
        await away.close()
        monkeypatch.setattr(sweeper, "_database", there)
        assert not (await sweeper.sweep()).trusted

    async def test_recalls_before_it_breaks_an_expired_lot(
        self, desk: Desk, sweeper: Sweeper, clock: SettableClock
    ) -> None:
        await self.watch(sweeper, clock, LIFE_MS)
        customer = desk.customer()
        desk.top_up(customer, 100, expires_at=desk.now + timedelta(seconds=1))
        clock.time_ms += 2_000
        with desk.listening("bursar_recall") as recalled:
            assert (await sweeper.sweep()).broken == 0
        assert recalled == [str(customer.wallet_id)]
        assert (await sweeper.sweep()).broken == 100
        assert desk.wallet(customer).posted == 0

    async def test_alarms_what_is_in_quarantine_once(self, desk: Desk, sweeper: Sweeper) -> None:
        desk.flush_bytes(new_id(), [changed(sold(desk.customer(), None, 1), model=None)])
        assert (await sweeper.sweep()).quarantined == 1
        assert (await sweeper.sweep()).quarantined == 0


class TestPartitions:
    async def test_are_made_around_today(self, desk: Desk, worker: Database) -> None:
        async with worker.transaction() as tx:
            made = await make_ahead(tx, date(2031, 12, 15))
            assert made == (date(2031, 11, 1), date(2031, 12, 1), date(2032, 1, 1), date(2032, 2, 1))
            assert await make_ahead(tx, date(2031, 12, 31)) == ()
        assert desk.quarantine() == []

    def test_are_counted_over_the_end_of_a_year(self) -> None:
        assert first_of_month(date(2026, 11, 20), 2) == date(2027, 1, 1)
        assert first_of_month(date(2026, 1, 31), -1) == date(2025, 12, 1)

    async def test_of_old_months_are_frozen_and_still_add_up(self, desk: Desk, worker: Database) -> None:
        customer, process, month = desk.customer(1000), desk.open_process(), date(2025, 3, 1)
        async with worker.transaction() as tx:
            await make_ahead(tx, month)
        lease_id = desk.take(process, customer, 100).lease_id
        old = datetime(2025, 3, 31, 23, 59, 59, tzinfo=UTC)
        row = usage_row(
            customer, lease_id=lease_id, sale=30, cost=10, request_id=uuid7(int(old.timestamp()) * 1000, 5)
        )
        desk.flush(process, [row])
        with pytest.raises(MonthNotPosted):
            async with worker.transaction() as tx:
                await freeze(tx, month, today=START.date())
        desk.post()
        async with worker.transaction() as tx:
            assert await freeze(tx, month, today=START.date()) == 1
            assert await freeze(tx, month, today=START.date()) == 0
            assert month not in await make_ahead(tx, month)
        assert desk.usage(row.request_id) == []
        assert desk.flush(process, [row])["quarantined"] != []  # an older replay
        desk.acknowledge_quarantine()

    async def test_of_a_running_month_are_not_frozen(self, worker: Database) -> None:
        month = first_of_month(START.date())
        with pytest.raises(MonthNotPosted):
            async with worker.transaction() as tx:
                await freeze(tx, month, today=START.date())


class TestOutbox:
    async def announce(self, worker: Database, *topics: str) -> None:
        async with worker.transaction() as tx:
            for topic in topics:
                await publish(tx, topic, {"of": topic}, now=START)

    async def test_delivers_in_order_and_once(self, worker: Database) -> None:
        heard: list[Any] = []

        async def hear(_: Transaction, event: Event) -> None:
            heard.append(event.payload)

        await self.announce(worker, "a", "b", "a")
        assert await deliver(worker, {"a": hear, "b": hear}, START) == 3
        assert await deliver(worker, {"a": hear, "b": hear}, START) == 0
        assert heard == [{"of": "a"}, {"of": "b"}, {"of": "a"}]

    async def test_announces_nothing_that_was_rolled_back(self, worker: Database) -> None:
        async def publish_and_fail() -> None:
            async with worker.transaction() as tx:
                await publish(tx, "a", {}, now=START)
                raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            await publish_and_fail()
        async with worker.read() as read:
            assert (await read.execute(sa.select(outbox.c.id))).all() == []

    async def test_keeps_what_nobody_handles(self, worker: Database) -> None:
        await self.announce(worker, "a")
        assert await deliver(worker, {}, START) == 0
        async with worker.read() as read:
            assert (await read.execute(sa.select(outbox.c.handled_at))).scalars().all() == [None]

    async def test_tries_again_later_each_time_and_then_parks(self, worker: Database) -> None:
        async def fail(tx: Transaction, event: Event) -> None:
            await publish(tx, "undone", {}, now=START)
            raise ConnectionError(event.topic)

        await self.announce(worker, "a")
        now = START
        for attempt in range(ATTEMPTS_MAX):
            assert await deliver(worker, {"a": fail}, now) == 0
            assert await deliver(worker, {"a": fail}, now + timedelta(seconds=FIRST_PAUSE_S) / 2) == 0
            now += timedelta(seconds=FIRST_PAUSE_S * 2**attempt)
        async with worker.read() as read:
            row = (await read.execute(sa.select(outbox))).mappings().one()  # and no event of what was undone
        assert row["attempts"] == ATTEMPTS_MAX
        assert row["last_error"] == "ConnectionError: a"
        assert row["parked_at"] is not None
        assert await deliver(worker, {"a": fail}, now + DAY) == 0

    async def test_commits_what_a_handler_wrote(self, desk: Desk, worker: Database) -> None:
        async def answer(tx: Transaction, _: Event) -> None:
            await publish(tx, "b", {}, now=START)

        await self.announce(worker, "a")
        assert await deliver(worker, {"a": answer}, START) == 1
        assert one(desk.worker, "SELECT count(*) FROM outbox WHERE topic = 'b'") == 1

    async def test_forgets_what_was_handled_long_ago_and_no_more_at_once(
        self, worker: Database, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("bursar.db.outbox.PURGED_PER_ROUND", 2)
        second, long_ago = timedelta(seconds=1), START - KEPT_FOR
        states = [
            ("old", {"handled_at": long_ago - second}),
            ("old", {"handled_at": long_ago - second}),
            ("old", {"handled_at": long_ago - second}),
            ("young", {"handled_at": long_ago}),
            ("parked", {"parked_at": long_ago - second}),
            ("waiting", {}),
        ]
        async with worker.transaction() as tx:
            for topic, state in states:
                row = {"topic": topic, "payload": {}, "created_at": long_ago, "due_at": long_ago}
                await tx.execute(outbox.insert().values(**row, **state))
        for gone in (2, 1, 0):
            async with worker.transaction() as tx:
                assert await purge(tx, START) == gone
        async with worker.read() as read:
            left = (await read.execute(sa.select(outbox.c.topic).order_by(outbox.c.id))).scalars().all()
        assert left == ["young", "parked", "waiting"]
