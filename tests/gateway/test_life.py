"""Only a process that is alive in the books admits; time is the test's."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import uuid4

import psycopg
import pytest
from postgres_road import Road, until
from processes import Bank, SteppingClock
from structlog.testing import capture_logs

from bursar.db.books import PgBooks
from bursar.gateway.life import ADMIT_LIFE_MS, BEAT_INTERVAL_MS, LifeLimits, Process

FAST = LifeLimits(beat_ms=20)


class Living:
    """A process, its clock and its road to the books."""

    def __init__(self, road: Road, limits: LifeLimits) -> None:
        self.road = road
        self.clock = SteppingClock()
        self.books = PgBooks(road.url, self.clock)
        self.process = Process(self.books, self.clock, host="test", new_id=uuid4, limits=limits)


@asynccontextmanager
async def living(bank: Bank, limits: LifeLimits = FAST, *, beats: bool = True) -> AsyncIterator[Living]:
    async with Road(bank.url).serving() as road:
        one = Living(road, limits)
        await one.process.open()
        beating = asyncio.create_task(one.process.beat_forever()) if beats else None
        yield one
        road.let_replies_go()
        if beating is not None:
            assert not beating.done()
            beating.cancel()
            await asyncio.gather(beating, return_exceptions=True)
        await one.books.close()


class TestAdmission:
    def test_lives_forty_seconds_and_beats_every_ten(self) -> None:
        assert (ADMIT_LIFE_MS, BEAT_INTERVAL_MS) == (40_000, 10_000)
        assert LifeLimits() == LifeLimits(beat_ms=BEAT_INTERVAL_MS, admit_ms=ADMIT_LIFE_MS)

    async def test_begins_when_the_books_know_the_process(self, bank: Bank) -> None:
        async with Road(bank.url).serving() as road:
            one = Living(road, FAST)
            assert not one.process.may_admit()
            await one.process.open()
            assert one.process.may_admit()
            await one.books.close()

    async def test_does_not_begin_when_they_are_away(self, bank: Bank) -> None:
        async with Road(bank.url).serving() as road:
            one = Living(road, FAST)
            road.close()
            with pytest.raises(one.books.unavailable):
                await one.process.open()
            assert not one.process.may_admit()

    async def test_ends_forty_seconds_after_the_last_acknowledged_beat_was_sent(self, bank: Bank) -> None:
        async with living(bank, LifeLimits(), beats=False) as one:
            one.clock.jumped_ms += ADMIT_LIFE_MS - 5_000
            assert one.process.may_admit()
            one.clock.jumped_ms += 5_000
            assert not one.process.may_admit()

    async def test_counts_from_the_sending_not_from_the_answer(self, bank: Bank) -> None:
        async with living(bank, LifeLimits(beat_ms=20)) as one:
            one.road.hold_replies()
            await until(lambda: one.road.held_replies == 1)
            one.clock.jumped_ms += ADMIT_LIFE_MS - 5_000
            one.road.let_replies_go()
            one.road.hold_replies()  # the next beat's answer stays out
            await until(lambda: one.road.held_replies == 2)
            assert one.process.may_admit()
            one.clock.jumped_ms += 5_000
            assert not one.process.may_admit()

    async def test_an_answer_that_comes_after_its_time_permits_nothing(self, bank: Bank) -> None:
        async with living(bank, LifeLimits(beat_ms=20)) as one:
            one.road.hold_replies()
            await until(lambda: one.road.held_replies == 1)
            one.clock.jumped_ms += ADMIT_LIFE_MS + 1  # suspended between sending and hearing
            seen: list[bool] = []
            one.road.let_replies_go()
            one.road.hold_replies()
            seen.append(one.process.may_admit())
            assert seen == [False]
            one.road.let_replies_go()
            await until(one.process.may_admit)

    async def test_goes_on_while_beats_are_acknowledged(self, bank: Bank) -> None:
        async with living(bank) as one:
            for _ in range(4):
                one.clock.jumped_ms += ADMIT_LIFE_MS - 10_000
                asked = one.road.questions
                await until(lambda asked=asked: one.road.questions >= asked + 2)  # type: ignore[misc]  # a default binds
                assert one.process.may_admit()

    async def test_ends_while_beats_are_lost_and_begins_again_when_they_arrive(self, bank: Bank) -> None:
        async with living(bank) as one:
            one.road.close()
            one.clock.jumped_ms += ADMIT_LIFE_MS
            await asyncio.sleep(0.1)
            assert not one.process.may_admit()
            one.road.reopen()
            await until(one.process.may_admit)


class TestDeath:
    async def test_is_learnt_by_a_beat_and_followed_by_a_new_life(self, bank: Bank) -> None:
        async with living(bank) as one:
            told: list[str] = []
            one.process.on_death.append(lambda: told.append("dead"))
            earlier = one.process.process_id
            await bank.close_process(earlier)
            await until(lambda: one.process.process_id != earlier and one.process.may_admit())
            assert told == ["dead"]
            states = await bank.rows(
                "SELECT state FROM process WHERE id = ANY (%s) ORDER BY started_at",
                [earlier, one.process.process_id],
            )
            assert [row["state"] for row in states] == ["closed", "alive"]

    async def test_told_by_somebody_else_ends_admission_at_once(self, bank: Bank) -> None:
        async with living(bank, LifeLimits(beat_ms=60_000)) as one:
            earlier = one.process.process_id
            one.process.die(earlier)
            one.process.die(earlier)
            assert not one.process.may_admit()
            await until(one.process.may_admit)
            assert one.process.process_id != earlier

    async def test_of_an_earlier_life_is_no_news(self, bank: Bank) -> None:
        async with living(bank) as one:
            one.process.die(uuid4())
            assert one.process.may_admit()

    async def test_waits_for_the_books_to_be_reborn(self, bank: Bank) -> None:
        async with living(bank) as one:
            earlier = one.process.process_id
            one.road.close()
            one.process.die(earlier)
            await asyncio.sleep(0.15)
            assert not one.process.may_admit()
            one.road.reopen()
            await until(one.process.may_admit)
            alive = await bank.rows("SELECT FROM process WHERE id = %s", one.process.process_id)
            assert len(alive) == 1

    async def test_heard_while_a_beat_is_under_way_is_not_undone_by_its_answer(self, bank: Bank) -> None:
        async with living(bank) as one:
            earlier = one.process.process_id
            one.road.hold_replies()
            await until(lambda: one.road.held_replies == 1)
            one.process.die(earlier)
            one.road.let_replies_go()
            one.road.hold_replies()
            await until(lambda: one.road.held_replies == 2)  # its rebirth is under way
            assert one.process.process_id != earlier
            assert not one.process.may_admit()
            one.road.let_replies_go()
            await until(one.process.may_admit)


class TestBeating:
    async def test_survives_an_error_nobody_foresaw(self, bank: Bank) -> None:
        async with living(bank) as one:
            with capture_logs() as logs:
                bank.administer("ALTER FUNCTION bursar_beat RENAME TO bursar_beat_away")
                await until(lambda: "process.beat_failed" in {entry["event"] for entry in logs})
                bank.administer("ALTER FUNCTION bursar_beat_away RENAME TO bursar_beat")
            one.clock.jumped_ms += ADMIT_LIFE_MS
            await until(one.process.may_admit)

    async def test_survives_one_while_being_reborn(self, bank: Bank) -> None:
        async with living(bank) as one:
            with capture_logs() as logs:
                bank.administer("ALTER FUNCTION bursar_open_process RENAME TO bursar_open_away")
                one.process.die(one.process.process_id)
                await until(lambda: "process.beat_failed" in {entry["event"] for entry in logs})
                assert not one.process.may_admit()
                bank.administer("ALTER FUNCTION bursar_open_away RENAME TO bursar_open_process")
            await until(one.process.may_admit)

    async def test_writes_the_database_s_own_time(self, bank: Bank) -> None:
        async with living(bank) as one:
            one.clock.jumped_ms += 3_600_000
            asked = one.road.questions
            await until(lambda: one.road.questions >= asked + 2)
            with psycopg.connect(bank.url) as connection:
                fresh = connection.execute(
                    "SELECT abs(extract(epoch FROM now() - last_beat_at)) < 60 FROM process WHERE id = %s",
                    [one.process.process_id],
                ).fetchone()
            assert fresh == (True,)
