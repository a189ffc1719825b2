"""Four gateways, one customer: limits hold for all of them together, and all of a limit can be used."""

import asyncio
import json
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

import aiohttp
import psycopg
import pytest
from callers import HOLD_MAX, SALE, TIMEOUT, Seen, ask, call
from programs import Nursery, Program
from world import PACE, World, world_of

from redis_server import RedisServer
from scratch_database import ScratchDatabase

PROCESSES: Final = 4
LIMIT: Final = 40
SLOW_LIFE: Final = PACE | {
    "BURSAR_PROCESS_LIFE_MS": "40000",
    "BURSAR_PROCESS_DEAD_MS": "60000",
    "BURSAR_REDIS_TIMEOUT_MS": "20000",  # a busy machine is no lost Redis
}
MINUTE_S: Final = 60
FORGET_S: Final = 0.15
"""After so long a refusal is not repeated from memory."""


@pytest.fixture
async def world(database: ScratchDatabase, maker: Nursery, tmp_path: Path) -> AsyncIterator[World]:
    async with world_of(database, maker, tmp_path, pace=SLOW_LIFE) as made:
        yield made


@pytest.fixture
def redis() -> Iterator[RedisServer]:
    with tempfile.TemporaryDirectory(prefix="redis-") as folder:
        server = RedisServer(folder=Path(folder))
        server.start()
        yield server
        server.stop()


def administer(world: World, statement: str, *parameters: Any) -> None:
    with psycopg.connect(world.database.url, autocommit=True) as connection:
        connection.execute(statement, parameters)  # type: ignore[arg-type]  # a test's own SQL


def limit(world: World, **limits: Any) -> None:
    """Give the customer's key these limits, and nothing else."""
    administer(
        world, "UPDATE api_key SET limits = %s WHERE id = %s", json.dumps(limits), world.seed.api_key_id
    )


def budget(world: World, amount: int, unit: str) -> None:
    administer(
        world,
        "INSERT INTO budget (id, organisation_id, api_key_id, name, unit, asset, amount, period, created_at)"
        " VALUES (%s, %s, %s, 'lunch', %s, %s, %s, 'month', now())",
        uuid4(),
        world.seed.organisation_id,
        world.seed.api_key_id,
        unit,
        "USD" if unit == "money" else None,
        amount,
    )


async def gateways(world: World, **settings: str) -> tuple[list[Program], list[str]]:
    running = [world.start_gateway(f"data-{number}", **settings) for number in range(PROCESSES)]
    return running, [await one.address() for one in running]


async def ask_at_once(urls: list[str], count: int, body: dict[str, Any] | None = None) -> list[Seen]:
    asked = body or ask(stream=False)
    connector = aiohttp.TCPConnector(limit=count)
    async with aiohttp.ClientSession(timeout=TIMEOUT, connector=connector) as session:
        return await asyncio.gather(*(call(session, urls[n % len(urls)], asked) for n in range(count)))


async def use_up(urls: list[str]) -> list[Seen]:
    """Ask everywhere at once until nobody is answered any more, then once more alone."""
    seen = new = await ask_at_once(urls, 2 * len(urls))
    while any(one.is_complete for one in new):
        new = await ask_at_once(urls, 2 * len(urls))
        seen = seen + new
    async with aiohttp.ClientSession(timeout=TIMEOUT) as session:
        for url in urls * 2:
            await asyncio.sleep(FORGET_S)
            while (one := await call(session, url, ask(stream=False))).is_complete:
                seen.append(one)
            seen.append(one)
    return seen


async def end(world: World, running: list[Program], seen: list[Seen]) -> None:
    """Stop everything in order; the books are right."""
    for one in running:
        one.stop()
    worker = world.start("worker")
    await world.settled()
    worker.stop()
    await world.assert_books_are_right(seen)


def codes(seen: list[Seen]) -> Counter[str]:
    return Counter("ok" if one.is_complete else json.loads(one.body)["error"]["code"] for one in seen)


class TestWithOneRedis:
    @pytest.mark.parametrize("subject", ["api_key", "organisation"])
    async def test_a_limit_of_requests_admits_exactly_so_many_in_its_window(
        self, world: World, redis: RedisServer, subject: str
    ) -> None:
        limits = json.dumps({"requests_per_min": 1, "requests_burst": LIMIT})
        limit(world)
        subject_id = getattr(world.seed, f"{subject}_id")
        administer(world, f"UPDATE {subject} SET limits = %s WHERE id = %s", limits, subject_id)  # noqa: S608 - ours
        running, urls = await gateways(world, BURSAR_REDIS_URL=redis.url)
        began = time.monotonic()
        seen = await ask_at_once(urls, 4 * LIMIT)
        assert time.monotonic() - began < MINUTE_S, "the machine was too slow for the window"
        assert codes(seen) == {"ok": LIMIT, "rate_limit_exceeded": 3 * LIMIT}
        assert all(one.retry_after for one in seen if not one.is_complete)
        await end(world, running, seen)

    async def test_a_limit_refills_by_the_minute_and_no_faster(
        self, world: World, redis: RedisServer
    ) -> None:
        limit(world, requests_per_min=LIMIT)
        running, urls = await gateways(world, BURSAR_REDIS_URL=redis.url)
        began = time.monotonic()
        seen = []
        for _ in range(6):
            seen += await ask_at_once(urls, LIMIT)
            await asyncio.sleep(0.5)
        elapsed_s = time.monotonic() - began
        admitted = codes(seen)["ok"]
        assert LIMIT < admitted <= LIMIT + int(elapsed_s * LIMIT / MINUTE_S) + 1
        await end(world, running, seen)

    async def test_a_limit_of_requests_at_once_holds_over_all(self, world: World, redis: RedisServer) -> None:
        limit(world, concurrent=10)
        running, urls = await gateways(world, BURSAR_REDIS_URL=redis.url)
        seen = await ask_at_once(urls, 40, ask(stream=False, script="delay_ms=3000"))
        assert codes(seen) == {"ok": 10, "concurrency_limit_exceeded": 30}
        again = await ask_at_once(urls, 10, ask(stream=False, script="delay_ms=3000"))
        assert codes(again) == {"ok": 10}
        await end(world, running, seen + again)

    async def test_a_limit_of_tokens_counts_what_was_used(self, world: World, redis: RedisServer) -> None:
        tokens = 60  # of one answer
        limit(world, tokens_per_min=1, tokens_burst=20 * tokens)
        running, urls = await gateways(world, BURSAR_REDIS_URL=redis.url)
        began = time.monotonic()
        async with aiohttp.ClientSession(timeout=TIMEOUT) as session:
            seen = [
                await call(session, urls[number % PROCESSES], ask(stream=number % 2 == 0))
                for number in range(30)
            ]
        assert time.monotonic() - began < MINUTE_S, "the machine was too slow for the window"
        admitted = sum(one.is_complete for one in seen)
        # The last ones reserve more than they use: up to that much stays unused, and never a token more is.
        assert 18 <= admitted <= 20
        await end(world, running, seen)


class TestARedisThatIsLost:
    async def test_costs_no_request_and_comes_back_by_itself(self, world: World, redis: RedisServer) -> None:
        limit(world, requests_per_min=1, requests_burst=LIMIT)
        running, urls = await gateways(world, BURSAR_REDIS_URL=redis.url)
        assert codes(await ask_at_once(urls, LIMIT + 20)) == {"ok": LIMIT, "rate_limit_exceeded": 20}
        redis.stop()
        alone = await ask_at_once(urls, (LIMIT + 10) * PROCESSES)
        assert codes(alone) == {"ok": LIMIT * PROCESSES, "rate_limit_exceeded": 10 * PROCESSES}
        for one in running:
            assert len(one.events("limits.shared_lost")) == 1
        redis.start()
        for one in running:
            await one.until("limits.shared_back")
        assert codes(await ask_at_once(urls, LIMIT + 20)) == {"ok": LIMIT, "rate_limit_exceeded": 20}
        for one in running:
            one.stop()

    async def test_that_was_never_there_limits_each_process(self, world: World, tmp_path: Path) -> None:
        limit(world, requests_per_min=1, requests_burst=5)
        running, urls = await gateways(world, BURSAR_REDIS_URL=f"unix://{tmp_path}/nobody")
        seen = await ask_at_once(urls, 10 * PROCESSES)
        assert codes(seen) == {"ok": 5 * PROCESSES, "rate_limit_exceeded": 5 * PROCESSES}
        await end(world, running, seen)


class TestABudgetWithoutRedis:
    async def test_of_requests_is_used_to_the_last_and_no_further(self, world: World) -> None:
        budget(world, 100, "requests")
        running, urls = await gateways(world)
        seen = await use_up(urls)
        assert codes(seen)["ok"] == 100
        assert set(codes(seen)) == {"ok", "request_quota_exceeded"}
        await end(world, running, seen)
        assert await world.value("SELECT sum(spent)::bigint FROM budget_slice") == 100
        assert await world.value("SELECT sum(greatest(granted, spent))::bigint FROM budget_slice") == 100

    async def test_of_money_is_never_overspent_and_leaves_less_than_a_request(self, world: World) -> None:
        amount = 100 * SALE
        budget(world, amount, "money")
        running, urls = await gateways(world)
        seen = await use_up(urls)
        await end(world, running, seen)
        sold = await world.value("SELECT sum(sale)::bigint FROM usage")
        assert set(codes(seen)) == {"ok", "budget_exceeded"}
        assert amount - HOLD_MAX < sold <= amount
        assert await world.value("SELECT sum(spent)::bigint FROM budget_slice") == sold

    async def test_outlives_its_processes(self, world: World) -> None:
        budget(world, 30, "requests")
        running, urls = await gateways(world)
        first = await ask_at_once(urls, 20)
        for one in running:
            one.stop()
        running, urls = await gateways(world)
        second = await use_up(urls)
        assert codes(first)["ok"] == 20
        assert codes(second)["ok"] == 10
        await end(world, running, first + second)
