"""Rows that PostgreSQL refuses, disks that take nothing, processes that were killed."""

import asyncio
import contextlib
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID

import pytest
from bookings import (
    assert_booked_once,
    booked,
    flushing,
    leave_behind,
    mark_of,
    sales,
    spooled,
    until_replayed,
)
from full_disk import disk_full_after
from postgres_road import until
from processes import Bank
from samples import encoded, usage_row
from structlog.testing import capture_logs

from bursar.gateway.flushing import NotDurable
from bursar.gateway.spool import read


class TestRefusedRows:
    """PostgreSQL is there, and fails for a reason nobody foresaw."""

    @pytest.fixture
    def poison(self, bank: Bank) -> Iterator[str]:
        """A model whose rows PostgreSQL cannot take, with an error that no function expects."""
        bank.administer(
            "CREATE FUNCTION choke() RETURNS trigger LANGUAGE plpgsql AS"
            " $$ BEGIN RAISE EXCEPTION 'choked' USING ERRCODE = 'XX999'; END $$"
        )
        bank.administer(
            "CREATE TRIGGER choke BEFORE INSERT ON usage FOR EACH ROW"
            " WHEN (new.model = 'poison') EXECUTE FUNCTION choke()"
        )
        yield "poison"
        bank.administer("DROP FUNCTION choke CASCADE")

    async def test_are_kept_apart_with_an_alarm_and_the_others_are_booked(
        self, bank: Bank, tmp_path: Path, poison: str
    ) -> None:
        customer = bank.customer()
        good, bad = sales(customer, *range(20)), sales(customer, 7, 8, model=poison)
        with capture_logs() as logs:
            async with bank.branch() as branch, flushing(branch, tmp_path) as flusher:
                rows = [*good[:9], bad[0], *good[9:], bad[1]]
                assert await asyncio.gather(*(flusher.submit([row]) for row in rows)) == [None] * 22
                await until_replayed(flusher, tmp_path)
                (late,) = sales(customer, 99)
                assert await flusher.submit([late]) is not None
        await assert_booked_once(bank, customer, [*good, late])
        (stuck,) = tmp_path.glob("*.stuck")
        assert [row for _, row in read(stuck)] == encoded(bad)
        alarms = [entry for entry in logs if entry["log_level"] == "critical"]
        assert [(alarm["event"], alarm["rows"]) for alarm in alarms] == [("spool.rows_refused", 2)]

    async def test_a_failure_of_everything_loses_nothing_and_stops_nothing(
        self, bank: Bank, tmp_path: Path
    ) -> None:
        customer = bank.customer()
        rows = sales(customer, 100, 200)
        async with bank.branch() as branch, flushing(branch, tmp_path) as flusher:
            bank.administer("ALTER FUNCTION bursar_flush RENAME TO bursar_flush_away")
            assert await flusher.submit(rows[:1]) is None
            await asyncio.sleep(0.8)
            assert await flusher.submit(rows[1:]) is None
            bank.administer("ALTER FUNCTION bursar_flush_away RENAME TO bursar_flush")
            await until_replayed(flusher, tmp_path)
        await assert_booked_once(bank, customer, rows)


class TestNoDisk:
    async def test_releases_nothing_that_is_not_durable(self, bank: Bank, tmp_path: Path) -> None:
        customer = bank.customer()
        lost, kept = sales(customer, 100, 200)
        async with bank.branch() as branch, flushing(branch, tmp_path) as flusher:
            branch.road.close()
            with capture_logs() as logs, disk_full_after(100):
                for _ in range(2):
                    with pytest.raises(NotDurable):
                        await flusher.submit([lost])
            assert [entry["event"] for entry in logs].count("spool.write_failed") == 2
            branch.road.reopen()
            await until(lambda: not flusher.is_away)
            assert await flusher.submit([kept]) is not None
        await assert_booked_once(bank, customer, [kept])

    async def test_one_that_cannot_hand_over_its_file_stops_nothing(self, bank: Bank, tmp_path: Path) -> None:
        customer = bank.customer()
        spooled_row, later = sales(customer, 100, 200)
        folder = tmp_path / "spool"
        async with bank.branch() as branch, flushing(branch, folder) as flusher:
            branch.road.close()
            await flusher.submit([spooled_row])
            (path,) = folder.glob("*.spool")
            hidden = path.rename(tmp_path / path.name)
            path.mkdir()  # so that what is handed over is no file
            with capture_logs() as logs:
                branch.road.reopen()
                await until(lambda: "spool.replay_failed" in {entry["event"] for entry in logs})
                assert await flusher.submit([later]) is not None
            for left in folder.glob("*.replaying"):
                left.rmdir()
            hidden.rename(path)
        async with bank.branch() as branch, flushing(branch, folder) as flusher:
            await flusher.replay_left_behind()
        await assert_booked_once(bank, customer, [spooled_row, later])

    async def test_one_that_cannot_rename_leaves_the_file_for_the_next_process(
        self, bank: Bank, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def refuse(_path: Path, _target: Path) -> Path:
            raise OSError("read-only file system")

        customer = bank.customer()
        spooled_row, later = sales(customer, 100, 200)
        folder = tmp_path / "spool"
        async with bank.branch() as branch, flushing(branch, folder) as flusher:
            branch.road.close()
            await flusher.submit([spooled_row])
            monkeypatch.setattr(Path, "rename", refuse)
            branch.road.reopen()
            await until(lambda: not flusher.is_away)
            assert await flusher.submit([later]) is not None
            monkeypatch.undo()
        async with bank.branch() as branch, flushing(branch, folder) as flusher:
            await flusher.replay_left_behind()
        await assert_booked_once(bank, customer, [spooled_row, later])


class TestAfterACrash:
    async def test_the_next_process_books_what_was_spooled(self, bank: Bank, tmp_path: Path) -> None:
        customer = bank.customer()
        rows = sales(customer, 100, 200, 300)
        folder = tmp_path / "spool"
        leave_behind(folder, rows, [])
        async with bank.branch() as branch, flushing(branch, folder) as flusher:
            await flusher.replay_left_behind()
            await assert_booked_once(bank, customer, rows)
            assert [path.suffix for path in folder.iterdir()] == [".lock"]

    async def test_rows_booked_already_are_not_booked_again(self, bank: Bank, tmp_path: Path) -> None:
        customer = bank.customer()
        rows = sales(customer, 100, 200)
        folder = tmp_path / "spool"
        leave_behind(folder, rows, [])
        async with bank.branch() as branch, flushing(branch, folder) as flusher:
            await flusher.submit(rows[:1])
            await flusher.replay_left_behind()
        await assert_booked_once(bank, customer, rows)

    async def test_streams_are_settled_from_their_last_mark(self, bank: Bank, tmp_path: Path) -> None:
        customer = bank.customer()
        open_stream, finished = (usage_row(customer, sale=500, cost=0) for _ in range(2))
        folder = tmp_path / "spool"
        marks = [mark_of(open_stream, 100), mark_of(finished, 20), mark_of(open_stream, 250)]
        leave_behind(folder, [finished], marks)
        async with bank.branch() as branch, flushing(branch, folder) as flusher:
            await flusher.replay_left_behind()
        found = {(row["request_id"], row["sale"], row["from_mark"]) for row in await booked(bank, customer)}
        assert found == {(open_stream.request_id, 250, True), (finished.request_id, 500, False)}
        await bank.post()
        assert (await bank.wallet(customer))["owed"] == 750

    async def test_files_of_a_living_process_are_left_alone(self, bank: Bank, tmp_path: Path) -> None:
        customer = bank.customer()
        rows = sales(customer, 100, 200)
        async with bank.branch() as first, flushing(first, tmp_path) as living:
            first.road.close()
            await living.submit(rows[:1])
            async with bank.branch() as second, flushing(second, tmp_path) as flusher:
                await flusher.replay_left_behind()
                assert await booked(bank, customer) == []
                assert await flusher.submit(rows[1:]) is not None
            assert len(spooled(tmp_path)) == 1
            first.road.reopen()
            await until_replayed(living, tmp_path)
        await assert_booked_once(bank, customer, rows)

    async def test_two_that_start_at_once_do_not_trip_over_each_other(
        self, bank: Bank, tmp_path: Path
    ) -> None:
        customer = bank.customer()
        rows = sales(customer, *range(30))
        folder = tmp_path / "spool"
        for start in range(0, 30, 10):
            leave_behind(folder, rows[start : start + 10], [])
        async with contextlib.AsyncExitStack() as stack:
            starting = []
            for _ in range(3):
                branch = await stack.enter_async_context(bank.branch())
                starting.append(await stack.enter_async_context(flushing(branch, folder)))
            await asyncio.gather(*(flusher.replay_left_behind() for flusher in starting))
            await until(lambda: spooled(folder) == [])
        await assert_booked_once(bank, customer, rows)

    async def test_what_postgresql_does_not_take_at_the_start_is_booked_later(
        self, bank: Bank, tmp_path: Path
    ) -> None:
        customer = bank.customer()
        rows = sales(customer, 100, 200)
        folder = tmp_path / "spool"
        leave_behind(folder, rows, [])
        async with bank.branch() as branch, flushing(branch, folder) as flusher:
            branch.road.close()
            await flusher.replay_left_behind()
            branch.road.reopen()
            await until(lambda: spooled(folder) == [])
        await assert_booked_once(bank, customer, rows)

    async def test_a_file_nobody_can_read_keeps_nobody_from_starting(
        self, bank: Bank, tmp_path: Path
    ) -> None:
        customer = bank.customer()
        rows = sales(customer, 100)
        folder = tmp_path / "spool"
        leave_behind(folder, rows, [])
        (folder / f"{UUID(int=1)}.spool").mkdir()
        async with bank.branch() as branch, flushing(branch, folder) as flusher:
            with capture_logs() as logs:
                await flusher.replay_left_behind()
            assert "spool.replay_failed" in {entry["event"] for entry in logs}
        await assert_booked_once(bank, customer, rows)
