"""Shared counters that are lost: the process counts by itself, says so once, and comes back."""

import asyncio
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from proving import collected_logs

from bursar.adapters.ratecounters.redis import RedisCounters
from bursar.core.limits import Change, Check, Kind
from bursar.gateway.rate_counting import Counting
from redis_server import RedisServer

WAIT_S = 0.3
CHECK = Check("requests_per_min:key:1", Kind.REQUESTS, 1, 3, 1)
PLACE = Check("concurrent:key:1", Kind.CONCURRENT, 2, 2, 1)


@pytest.fixture
def server() -> Iterator[RedisServer]:
    with tempfile.TemporaryDirectory(prefix="redis-") as folder:
        running = RedisServer(folder=Path(folder))
        running.start()
        yield running
        running.stop()


@pytest.fixture
async def counting(server: RedisServer) -> AsyncIterator[Counting]:
    one = Counting(RedisCounters(server.url, wait_s=WAIT_S))
    yield one
    await one.close()


def now_ms() -> int:
    return time.monotonic_ns() // 1_000_000


async def admitted(counting: Counting, count: int) -> int:
    answers = [await counting.admit([CHECK], f"r{n}", now_ms()) for n in range(count)]
    return sum(answer.refused is None for answer, _ in answers)


class TestCounting:
    @pytest.mark.parametrize("how", ["stop", "hang"])
    async def test_goes_on_alone_and_comes_back(
        self, counting: Counting, server: RedisServer, how: str
    ) -> None:
        assert await admitted(counting, 5) == 3
        with collected_logs() as logged:
            server.stop() if how == "stop" else server.hang()
            assert await admitted(counting, 5) == 3  # each process at the full figure
            await counting.try_again(now_ms())
            assert not counting.is_shared
            server.start() if how == "stop" else server.go_on()
            while not counting.is_shared:
                await counting.try_again(now_ms())
                await asyncio.sleep(0.01)
        assert [line for line in logged if "limits.shared" in line and "'lost': 1" in line] == logged[-2:]
        assert counting.lost == 1
        assert await admitted(counting, 5) == (3 if how == "stop" else 0)  # it forgot, or it did not

    async def test_keeps_places_where_they_were_taken(self, counting: Counting, server: RedisServer) -> None:
        _, shared = await counting.admit([PLACE], "before", now_ms())
        server.hang()
        _, own = await counting.admit([PLACE], "during", now_ms())
        assert own is not shared
        await counting.correct(shared, [Change(PLACE, 0, "before")], now_ms())
        server.go_on()
        while not counting.is_shared:
            await counting.try_again(now_ms())
            await asyncio.sleep(0.01)
        await counting.correct(own, [Change(PLACE, 0, "during")], now_ms())
        await counting.renew([(PLACE.counter, "before"), (PLACE.counter, "during")], now_ms())
        (left,) = await counting.look([PLACE], now_ms())
        assert left.remaining == 2  # of what was asked or ended unheard, nothing stays

    async def test_without_shared_counters_is_its_own(self) -> None:
        counting = Counting()
        assert not counting.may_share
        assert await admitted(counting, 5) == 3
        await counting.try_again(now_ms())
        assert not counting.is_shared
        await counting.close()
