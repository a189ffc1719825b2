"""`kill -9` of gateways at any moment, under load."""

import asyncio
import os
import random
from pathlib import Path
from typing import Final

import aiohttp
import pytest
from callers import HOLD_MAX, TIMEOUT, Seen, ask, call, crowd
from programs import Nursery
from slots import Slots
from world import BALANCE, PACE, World, world_of

from scratch_database import ScratchDatabase

SOAK: Final = int(os.environ.get("BURSAR_TEST_SOAK", "1"))
"""How many times the usual number of seeds."""
SEEDS: Final = 8
KILLS: Final = 13
"""Kills per seed: 104 in all."""
GATEWAYS: Final = 3
CALLERS: Final = 10
LEAVING: Final = 0.2
POOR: Final = 10 * HOLD_MAX
STORMS: Final = [(seed, POOR if seed % 2 else BALANCE) for seed in range(SEEDS * SOAK)]
"""Every other customer has money for a few requests only, and gets a little more now and then."""
STREAMS: Final = 4
MS_PER_TOKEN: Final = 20
TOKENS_SEEN: Final = 120
UNANSWERED_MS: Final = 60_000
COMMIT_MS_MAX: Final = 1_000
"""What a crowded machine may need to make a mark durable."""


class TestKilledGateways:
    @pytest.mark.parametrize(("seed", "balance"), STORMS)
    async def test_leave_every_complete_answer_booked_once(
        self, database: ScratchDatabase, maker: Nursery, tmp_path: Path, seed: int, balance: int
    ) -> None:
        async with world_of(database, maker, tmp_path, balance=balance) as world:
            await self.storm(world, random.Random(seed))

    async def storm(self, world: World, dice: random.Random) -> None:
        worker = world.start("worker")
        slots = Slots(world, GATEWAYS)
        await slots.all_open()
        async with crowd(slots.urls, dice, callers=CALLERS) as people:
            for _ in range(KILLS):
                await asyncio.sleep(dice.uniform(0.02, 0.4))
                await slots.replace(dice.randrange(GATEWAYS))
                world.top_up(dice.randrange(1, 10 * HOLD_MAX))
            await slots.all_open()
            await asyncio.sleep(0.2)
        await slots.stop()
        await world.settled()
        worker.stop()
        await world.assert_books_are_right(people.seen)
        assert people.complete()

    async def test_lose_no_more_of_a_stream_than_came_since_its_last_mark(self, world: World) -> None:
        worker = world.start("worker")
        gateway = world.start_gateway()
        url = await gateway.address()
        body = ask(
            stream=True, script=f"slow_ms_per_event={MS_PER_TOKEN}", output_tokens=1_000, max_tokens=1_000
        )
        streams = [Seen(streamed=True) for _ in range(STREAMS)]
        async with aiohttp.ClientSession(timeout=TIMEOUT) as session:
            calls = [asyncio.create_task(call(session, url, body, one)) for one in streams]
            while min(one.tokens for one in streams) < TOKENS_SEEN:
                await asyncio.sleep(0.01)
            gateway.kill()
            await asyncio.gather(*calls)
        await world.settled()
        worker.stop()
        await world.assert_books_are_right([])
        booked = {
            row["request_id"]: row["output_tokens"]
            for row in await world.rows("SELECT request_id::text, output_tokens FROM usage WHERE from_mark")
        }
        bound = (int(PACE["BURSAR_MARK_EVERY_MS"]) + COMMIT_MS_MAX) // MS_PER_TOKEN
        assert not any(one.is_complete for one in streams)
        assert [one for one in streams if one.tokens - booked.get(one.request_id, 0) > bound] == []

    @pytest.mark.parametrize("stream", [False, True])
    async def test_leave_the_provider_s_bill_for_what_nobody_has_seen_yet(
        self, world: World, *, stream: bool
    ) -> None:
        worker = world.start("worker")
        gateway = world.start_gateway()
        url = await gateway.address()
        async with aiohttp.ClientSession(timeout=TIMEOUT) as session:
            body = ask(stream=stream, script=f"delay_ms={UNANSWERED_MS}")
            asking = asyncio.create_task(call(session, url, body))
            await world.until("SELECT count(*) FROM usage_mark", 1)
            gateway.kill()
            await asking
        await world.settled()
        worker.stop()
        await world.assert_books_are_right([])
        (row,) = await world.rows("SELECT outcome, from_mark, sale, cost > 0 AS is_billed FROM usage")
        assert row == {"outcome": "crashed_unanswered", "from_mark": True, "sale": 0, "is_billed": True}

    async def test_answers_that_took_long_leave_no_mark_behind(self, world: World) -> None:
        gateway = world.start_gateway()
        url = await gateway.address()
        async with aiohttp.ClientSession(timeout=TIMEOUT) as session:
            asking = asyncio.create_task(call(session, url, ask(stream=False, script="delay_ms=2500")))
            await world.until("SELECT count(*) FROM usage_mark", 1)
            assert (await asking).is_complete
        assert await world.value("SELECT count(*) FROM usage_mark") == 0
        assert await world.rows("SELECT outcome, revision FROM usage") == [
            {"outcome": "completed", "revision": 0}
        ]


class TestStoppedGateways:
    async def test_leave_nothing_for_the_sweeper(self, world: World) -> None:
        dice = random.Random(7)
        worker = world.start("worker", BURSAR_PROCESS_DEAD_MS="600000")
        slots = Slots(world, GATEWAYS)
        await slots.all_open()
        async with crowd(slots.urls, dice, callers=CALLERS, leaving=LEAVING) as people:
            for slot in range(GATEWAYS):
                await asyncio.sleep(dice.uniform(0.1, 0.3))
                await slots.renew(slot)
            await slots.all_open()
        await slots.stop()
        await world.settled()
        worker.stop()
        await world.assert_books_are_right(people.seen)
        assert await world.rows("SELECT outcome FROM usage WHERE late OR from_mark") == []
