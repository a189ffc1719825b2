"""`PgBooks`: the port the gateway sees."""

import asyncio

import psycopg
import pytest
from desk import Desk, changed
from samples import Customer, SettableClock, encoded, new_id
from stories import sold

from bursar.core.booking import Give, Grant, Take
from bursar.db.books import PgBooks, content_hash
from bursar.db.line import BooksUnavailable
from scratch_database import ScratchDatabase


def order(customer: Customer, process_id: object, **changes: object) -> Take:
    fields: dict[str, object] = {
        "op": 1,
        "process_id": process_id,
        "wallet_id": customer.wallet_id,
        "organisation_id": customer.organisation_id,
        "scope_class": "text",
        "need": 100,
        "want": 100,
        "cap": 10**12,
    }
    return Take(**(fields | changes))  # type: ignore[arg-type]  # a test's own fields


class TestLife:
    async def test_beats_until_it_is_closed(self, books: PgBooks) -> None:
        process_id = new_id()
        await books.open_process(process_id, "gateway", "here")
        assert await books.beat(process_id)
        await books.close_process(process_id)
        assert not await books.beat(process_id)

    async def test_never_opened_is_dead(self, books: PgBooks, desk: Desk) -> None:
        assert not await books.beat(new_id())
        grant = await books.take(order(desk.customer(100), new_id()))
        assert grant == Grant(lease_id=None, op=1, granted=0, spendable=0, state="dead")


class TestLeases:
    async def test_are_taken_and_given(self, books: PgBooks, desk: Desk) -> None:
        customer, process_id = desk.customer(1000), new_id()
        await books.open_process(process_id, "gateway", "here")
        grant = await books.take(order(customer, process_id))
        assert (grant.op, grant.granted, grant.spendable, grant.state) == (1, 100, 900, "active")
        assert grant.lease_id is not None
        give = Give(
            op=2, process_id=process_id, lease_id=grant.lease_id, wallet_id=customer.wallet_id, amount=60
        )
        assert await books.give(give) == Grant(
            lease_id=grant.lease_id, op=2, granted=40, spendable=960, state="active"
        )

    async def test_of_a_stranger_are_refused_as_an_error(self, books: PgBooks, desk: Desk) -> None:
        customer, process_id = desk.customer(1000), new_id()
        await books.open_process(process_id, "gateway", "here")
        with pytest.raises(psycopg.Error) as refusal:
            await books.take(order(customer, process_id, organisation_id=new_id()))
        assert refusal.value.sqlstate == "BU004"

    async def test_admit_ten_of_forty_at_once(self, books: PgBooks, desk: Desk) -> None:
        customer = desk.customer(100)
        processes = [new_id() for _ in range(40)]
        for process_id in processes:
            await books.open_process(process_id, "gateway", "here")
        grants = await asyncio.gather(
            *(books.take(order(customer, process_id, need=10, want=10)) for process_id in processes)
        )
        assert sorted(grant.state for grant in grants) == ["active"] * 10 + ["refused"] * 30


class TestFlush:
    async def test_answers_balances_and_names_quarantined_requests(self, books: PgBooks, desk: Desk) -> None:
        customer, process_id = desk.customer(1000), new_id()
        await books.open_process(process_id, "gateway", "here")
        lease_id = (await books.take(order(customer, process_id))).lease_id
        good, bad = sold(customer, lease_id, 30), sold(customer, lease_id, 5)
        reply = await books.flush(process_id, [changed(bad, model=None), *encoded([good])], [])
        assert not reply.late
        assert reply.balances == {customer.wallet_id: 970}
        assert reply.quarantined == (bad.request_id,)
        desk.acknowledge_quarantine()

    async def test_of_nothing_is_a_question_whether_the_books_are_there(self, books: PgBooks) -> None:
        reply = await books.flush(new_id(), [], [])
        assert (reply.late, reply.balances, reply.quarantined) == (True, {}, ())

    async def test_says_that_it_came_late(self, books: PgBooks, desk: Desk) -> None:
        customer = desk.customer(1000)
        row = sold(customer, None, 30)
        assert (await books.flush(new_id(), encoded([row]), [])).late
        assert desk.usage(row.request_id)[0].late

    async def test_keeps_marks(self, books: PgBooks, desk: Desk) -> None:
        customer, process_id = desk.customer(1000), new_id()
        await books.open_process(process_id, "gateway", "here")
        mark = sold(customer, None, 30, from_mark=True)
        await books.flush(process_id, [], encoded([mark]))
        assert desk.marks() == 1
        await books.close_process(process_id)
        assert [row.sale for row in desk.usage(mark.request_id)] == [30]

    def test_hashes_the_bytes_it_was_given(self) -> None:
        assert len(bytes.fromhex(content_hash(b"{}"))) == 16
        assert content_hash(b"{}") != content_hash(b"{ }")


class TestFindUsage:
    async def test_shows_the_newest_attempt_in_full(self, books: PgBooks, desk: Desk) -> None:
        customer, process_id = desk.customer(1000), desk.open_process()
        lease_id = desk.take(process_id, customer, 100).lease_id
        mark = sold(customer, lease_id, 30, from_mark=True)
        failed = sold(customer, lease_id, 0, request_id=mark.request_id, attempt=0)
        mark = sold(customer, lease_id, 30, request_id=mark.request_id, attempt=1, from_mark=True)
        desk.flush(process_id, [failed], [mark])
        desk.sweep_after_silence(process_id)
        desk.flush(process_id, [sold(customer, lease_id, 50, request_id=mark.request_id, attempt=1)])
        found = await books.find_usage(customer.organisation_id, mark.request_id)
        assert found is not None
        assert (found["attempt"], found["revision"], found["sale"], found["cost"]) == (1, 1, 50, 25)
        assert found["started_at_ms"] == mark.started_at_ms
        assert [row["revision"] for row in found["attempts"]] == [0, 0, 1]
        assert found["prices"] == []

    async def test_shows_nothing_of_another_organisation(self, books: PgBooks, desk: Desk) -> None:
        customer, process_id = desk.customer(1000), desk.open_process()
        row = sold(customer, None, 30)
        desk.flush(process_id, [row])
        assert await books.find_usage(new_id(), row.request_id) is None


class TestNotices:
    async def test_start_by_saying_so_then_tell_recalls(self, books: PgBooks, desk: Desk) -> None:
        customer = desk.customer(1000)
        notices = books.listen(["bursar_recall"])
        assert await anext(notices) == ("listening", "")
        await books.recall(customer.wallet_id)
        assert await anext(notices) == ("bursar_recall", str(customer.wallet_id))
        await notices.aclose()  # type: ignore[attr-defined]  # it is a generator

    async def test_end_with_books_unavailable_when_the_connection_breaks(
        self, books: PgBooks, database: ScratchDatabase
    ) -> None:
        notices = books.listen(["bursar_changed"])
        await anext(notices)
        await break_connections(database)
        with pytest.raises(BooksUnavailable):
            await anext(notices)


class TestAwayBooks:
    async def test_are_unavailable_once_and_then_reached_again(
        self, books: PgBooks, database: ScratchDatabase
    ) -> None:
        process_id = new_id()
        await books.open_process(process_id, "gateway", "here")
        await break_connections(database)
        with pytest.raises(books.unavailable):
            await books.beat(process_id)
        assert await books.beat(process_id)

    async def test_are_unavailable_when_nobody_listens(self, clock: SettableClock) -> None:
        books = PgBooks("postgresql://nobody@127.0.0.1:1/nothing", clock)
        with pytest.raises(BooksUnavailable):
            await books.beat(new_id())
        await books.close()

    async def test_are_unavailable_when_they_answer_too_late(self, books: PgBooks, desk: Desk) -> None:
        customer, process_id = desk.customer(100), desk.open_process()
        books._leases[customer.wallet_id.int % len(books._leases)]._wait_s = 0.2
        with psycopg.connect(desk.database.url) as other:
            other.execute("SELECT FROM wallet WHERE id = %s FOR UPDATE", [customer.wallet_id])
            with pytest.raises(BooksUnavailable):
                await books.take(order(customer, process_id))
        grant = await books.take(order(customer, process_id))
        assert (grant.granted, grant.state) == (100, "active")

    async def test_leave_no_half_done_connection_behind_a_cancelled_call(
        self, books: PgBooks, desk: Desk
    ) -> None:
        customer, process_id = desk.customer(100), desk.open_process()
        with psycopg.connect(desk.database.url) as other:
            other.execute("SELECT FROM wallet WHERE id = %s FOR UPDATE", [customer.wallet_id])
            taking = asyncio.create_task(books.take(order(customer, process_id)))
            await asyncio.sleep(0.2)
            taking.cancel()
            with pytest.raises(asyncio.CancelledError):
                await taking
        assert (await books.take(order(customer, process_id))).granted == 100


async def break_connections(database: ScratchDatabase) -> None:
    async with await psycopg.AsyncConnection.connect(database.url, autocommit=True) as administrator:
        await administrator.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = %s AND pid <> pg_backend_pid()",
            [database.name],
        )
