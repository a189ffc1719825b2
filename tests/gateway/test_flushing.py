"""Group commit against real books: an answer is released once its row is durable, and the row counts once."""

import asyncio
import random
from collections.abc import Mapping
from pathlib import Path
from typing import Any, get_args
from uuid import uuid4

import pytest
from bookings import (
    assert_booked_once,
    booked,
    flushing,
    mark_of,
    sales,
    until_replayed,
)
from postgres_road import Cut, until
from processes import Bank
from samples import encoded, usage_row
from structlog.testing import capture_logs

from bursar.core.booking import UsageRow
from bursar.gateway.flushing import BATCH_ROWS_MAX, REPLAY_ROWS
from bursar.gateway.spool import ROW, read

CUTS: tuple[Cut, ...] = get_args(Cut)


class TestGroupCommit:
    async def test_commits_at_once_when_idle(self, bank: Bank, tmp_path: Path) -> None:
        customer = bank.customer()
        async with bank.branch() as branch, flushing(branch, tmp_path) as flusher:
            (row,) = sales(customer, 100)
            assert await flusher.submit([row]) is not None
            await assert_booked_once(bank, customer, [row])

    async def test_rows_submitted_during_a_commit_go_together(self, bank: Bank, tmp_path: Path) -> None:
        customer = bank.customer()
        rows = sales(customer, 1, 2, 3, 4, 5, 6)
        async with bank.branch() as branch, flushing(branch, tmp_path) as flusher:
            await flusher.submit(sales(bank.customer(), 1))
            asked = branch.road.questions
            branch.road.hold_replies()
            submitted = [flusher.submit(rows[:1])]
            await until(lambda: branch.road.held_replies == 1)
            submitted += [flusher.submit([row]) for row in rows[1:]]
            await asyncio.sleep(0.02)
            assert not any(durable.done() for durable in submitted)
            branch.road.let_replies_go()
            await asyncio.gather(*submitted)
            assert branch.road.questions == asked + 2
        await assert_booked_once(bank, customer, rows)

    async def test_a_batch_has_a_limit(self, bank: Bank, tmp_path: Path) -> None:
        customer = bank.customer()
        rows = sales(customer, *range(BATCH_ROWS_MAX + 100))
        async with bank.branch() as branch, flushing(branch, tmp_path) as flusher:
            await flusher.submit(sales(bank.customer(), 1))
            asked = branch.road.questions
            durable = [flusher.submit([row]) for row in rows]
            await asyncio.gather(*durable)
            assert branch.road.questions >= asked + 2
        await assert_booked_once(bank, customer, rows)

    async def test_tells_each_request_its_own_balance(self, bank: Bank, tmp_path: Path) -> None:
        """As if they had been booked one after the other, in the order submitted."""
        customer, other = bank.customer(10_000), bank.customer(5_000)
        async with bank.branch() as branch, flushing(branch, tmp_path) as flusher:
            leases = {}
            for one in (customer, other):
                hold = await branch.treasury.hold(branch.account(one), 1_000)
                leases[one.wallet_id] = hold.lease_id
                hold.settle(0)
            requests = [
                [*sales(one, amount, lease_id=leases[one.wallet_id])]
                for one, amount in ((customer, 100), (other, 7), (customer, 200), (customer, 300))
            ]
            requests[2] += sales(customer, 50, lease_id=leases[customer.wallet_id], attempt=1)
            balances = await asyncio.gather(*(flusher.submit(rows) for rows in requests))
            assert balances == [9_900, 4_993, 9_650, 9_350]

    async def test_a_request_that_stopped_waiting_is_booked_all_the_same(
        self, bank: Bank, tmp_path: Path
    ) -> None:
        customer = bank.customer()
        rows = sales(customer, 100, 200)
        async with bank.branch() as branch, flushing(branch, tmp_path) as flusher:
            flusher.submit(rows[:1]).cancel()
            await flusher.submit(rows[1:])
        await assert_booked_once(bank, customer, rows)

    async def test_a_row_that_cannot_be_booked_raises_an_alarm_and_hinders_nobody(
        self, bank: Bank, tmp_path: Path
    ) -> None:
        customer = bank.customer()
        (good,) = sales(customer, 100)
        (bad,) = sales(customer, 100, wallet_id=uuid4())
        with capture_logs() as logs:
            async with bank.branch() as branch, flushing(branch, tmp_path) as flusher:
                await asyncio.gather(flusher.submit([bad]), flusher.submit([good]))
                assert not flusher.is_away
        alarms = [entry for entry in logs if entry["log_level"] == "critical"]
        assert [(alarm["event"], alarm["requests"]) for alarm in alarms] == [
            ("flush.quarantined", [str(bad.request_id)])
        ]
        await assert_booked_once(bank, customer, [good])
        bank.administer("DELETE FROM usage_quarantine")

    async def test_books_late_rows_and_ends_the_process(self, bank: Bank, tmp_path: Path) -> None:
        customer = bank.customer()
        (row,) = sales(customer, 100)
        async with bank.branch() as branch, flushing(branch, tmp_path) as flusher:
            assert branch.process.may_admit()
            await bank.close_process(branch.process.process_id)
            await flusher.submit([row])
            assert not branch.process.may_admit()
        assert [found["late"] for found in await booked(bank, customer)] == [True]

    async def test_an_answer_about_an_earlier_life_ends_nothing(self, bank: Bank, tmp_path: Path) -> None:
        customer = bank.customer()
        async with bank.branch() as branch, flushing(branch, tmp_path) as flusher:
            await flusher.submit(sales(customer, 1))
            earlier = branch.process.process_id
            await bank.close_process(earlier)
            branch.road.hold_replies()
            waiting = flusher.submit(sales(customer, 2))
            await until(lambda: branch.road.held_replies == 1)
            branch.process.process_id = uuid4()  # as a rebirth does
            branch.road.let_replies_go()
            await waiting
            assert branch.process.may_admit()


class TestMarks:
    async def marks(self, bank: Bank, row: UsageRow) -> list[Mapping[str, Any]]:
        return await bank.rows("SELECT row FROM usage_mark WHERE request_id = %s", row.request_id)

    async def test_go_with_the_next_flush_and_end_with_the_final_row(
        self, bank: Bank, tmp_path: Path
    ) -> None:
        customer = bank.customer()
        row = usage_row(customer, sale=500, cost=0)
        async with bank.branch() as branch, flushing(branch, tmp_path) as flusher:
            flusher.mark(mark_of(row, 100))
            flusher.mark(mark_of(row, 200))
            await flusher.submit(sales(customer, 1))
            (mark,) = await self.marks(bank, row)
            assert '"sale":200' in mark["row"]
            await flusher.submit([row])
            assert await self.marks(bank, row) == []

    async def test_need_nobody_to_wait_for_them(self, bank: Bank, tmp_path: Path) -> None:
        row = usage_row(bank.customer(), sale=500, cost=0)
        async with bank.branch() as branch, flushing(branch, tmp_path) as flusher:
            flusher.mark(mark_of(row, 100))
            while not await self.marks(bank, row):
                await asyncio.sleep(0.01)

    async def test_are_not_left_once_the_request_is_submitted(self, bank: Bank, tmp_path: Path) -> None:
        row = usage_row(bank.customer(), sale=500, cost=0)
        async with bank.branch() as branch, flushing(branch, tmp_path) as flusher:
            flusher.mark(mark_of(row, 100))
            await flusher.submit([row])
            assert await self.marks(bank, row) == []

    async def test_survive_an_absence_of_postgresql(self, bank: Bank, tmp_path: Path) -> None:
        customer = bank.customer()
        row, done = usage_row(customer, sale=500, cost=0), usage_row(customer, sale=50, cost=0)
        async with bank.branch() as branch, flushing(branch, tmp_path) as flusher:
            branch.road.close()
            await flusher.submit(sales(customer, 1))
            for sale in (100, 300):
                flusher.mark(mark_of(row, sale))
                flusher.mark(mark_of(done, 10))
                await flusher.submit(sales(customer, sale))
            await flusher.submit([done])
            branch.road.reopen()
            await until_replayed(flusher, tmp_path)
            (mark,) = await self.marks(bank, row)
            assert '"sale":300' in mark["row"]
            assert await self.marks(bank, done) == []


class TestPostgresAway:
    async def test_releases_what_is_on_disk_without_a_balance(self, bank: Bank, tmp_path: Path) -> None:
        customer = bank.customer()
        rows = sales(customer, 100, 200, 300)
        async with bank.branch() as branch, flushing(branch, tmp_path) as flusher:
            branch.road.close()
            assert [await flusher.submit([row]) for row in rows] == [None] * 3
            assert flusher.is_away
            (path,) = tmp_path.glob("*.spool")
            assert list(read(path)) == [(ROW, row) for row in encoded(rows)]
            assert await booked(bank, customer) == []
            branch.road.reopen()
            await until_replayed(flusher, tmp_path)
        await assert_booked_once(bank, customer, rows)

    async def test_balances_are_told_again_when_it_is_back(self, bank: Bank, tmp_path: Path) -> None:
        customer = bank.customer()
        rows = sales(customer, 100, 200, 300)
        async with bank.branch() as branch, flushing(branch, tmp_path) as flusher:
            assert await flusher.submit(rows[:1]) is not None
            branch.road.close()
            assert await flusher.submit(rows[1:2]) is None
            branch.road.reopen()
            await until_replayed(flusher, tmp_path)
            assert await flusher.submit(rows[2:]) is not None
        await assert_booked_once(bank, customer, rows)

    @pytest.mark.parametrize("cut", CUTS)
    async def test_a_lost_commit_or_reply_books_once(self, bank: Bank, tmp_path: Path, cut: Cut) -> None:
        customer = bank.customer()
        rows = sales(customer, 100, 200, 300)
        async with bank.branch() as branch, flushing(branch, tmp_path) as flusher:
            await flusher.submit(rows[:1])
            branch.road.cut_next(cut)
            assert await flusher.submit(rows[1:2]) is None
            assert len(await booked(bank, customer)) == (1 if cut == "question" else 2)
            assert await flusher.submit(rows[2:]) is None
            await until_replayed(flusher, tmp_path)
        await assert_booked_once(bank, customer, rows)

    @pytest.mark.parametrize("cut", CUTS)
    async def test_that_goes_away_again_in_mid_replay_gets_the_rest_later(
        self, bank: Bank, tmp_path: Path, cut: Cut
    ) -> None:
        customer = bank.customer()
        rows = sales(customer, *range(2 * REPLAY_ROWS + 100))
        async with bank.branch() as branch, flushing(branch, tmp_path) as flusher:
            branch.road.close()
            await asyncio.gather(*(flusher.submit([row]) for row in rows))
            branch.road.cut_next(cut, after=2)  # the probe and the first part get through
            branch.road.reopen()
            await until_replayed(flusher, tmp_path)
        await assert_booked_once(bank, customer, rows)

    async def test_answers_go_on_while_it_is_asked_whether_it_is_back(
        self, bank: Bank, tmp_path: Path
    ) -> None:
        customer = bank.customer()
        rows = sales(customer, *range(40))
        async with bank.branch() as branch, flushing(branch, tmp_path) as flusher:
            await flusher.submit(rows[:1])
            branch.road.cut_next("question")
            await flusher.submit(rows[1:2])
            branch.road.hold_replies()
            for row in rows[2:]:
                async with asyncio.timeout(5):
                    assert await flusher.submit([row]) is None
                await asyncio.sleep(0.02)
            branch.road.let_replies_go()
            await until_replayed(flusher, tmp_path)
        await assert_booked_once(bank, customer, rows)

    async def test_connections_killed_under_load_cost_no_row_and_double_none(
        self, bank: Bank, tmp_path: Path
    ) -> None:
        customer = bank.customer()
        rows = sales(customer, *range(300))
        dice = random.Random(7)

        async def submit(row: UsageRow) -> None:
            await asyncio.sleep(dice.random())
            await flusher.submit([row])

        async def kill() -> None:
            for _ in range(10):
                await asyncio.sleep(0.1)
                await asyncio.to_thread(
                    bank.administer,
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                    " WHERE datname = current_database() AND application_name = 'bursar bursar_gateway'",
                )

        async with bank.branch() as branch, flushing(branch, tmp_path) as flusher:
            await asyncio.gather(kill(), *(submit(row) for row in rows))
            await until_replayed(flusher, tmp_path)
        await assert_booked_once(bank, customer, rows)

    async def test_stopping_meanwhile_leaves_the_rows_for_the_next_process(
        self, bank: Bank, tmp_path: Path
    ) -> None:
        customer = bank.customer()
        rows = sales(customer, 100, 200)
        async with bank.branch() as branch:
            before = asyncio.all_tasks()
            async with flushing(branch, tmp_path) as flusher:
                branch.road.close()
                durable = [flusher.submit([row]) for row in rows]
            assert [await one for one in durable] == [None, None]
            assert asyncio.all_tasks() - before <= set(branch.road.tasks())
        async with bank.branch() as branch, flushing(branch, tmp_path) as flusher:
            await flusher.replay_left_behind()
            assert list(tmp_path.glob("*.spool")) == []
        await assert_booked_once(bank, customer, rows)
