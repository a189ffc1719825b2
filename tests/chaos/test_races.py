"""More askers than money: exactly as many are admitted as the balance covers."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import aiohttp
import psycopg
import pytest
from bursar_process import running
from callers import TIMEOUT, Seen, ask, call
from programs import Nursery
from world import PACE, World, world_of

from bursar.core.money import parse_amount
from bursar.gateway.treasury import DRY_MS
from gateway_stack import MODELS
from scratch_database import ScratchDatabase

REQUESTS: Final = 40
PROCESSES: Final = 4
PAYMENT_REQUIRED: Final = 402
FORGET_S: Final = 1.5 * DRY_MS / 1000
"""After so long a refusal is not repeated from memory."""
BALANCE: Final = 100 * 10**9
HOLD: Final = 10 * 10**9
TOKENS: Final = 100
"""Output tokens of one request, at 10 cents each: its hold and its sale are exactly USD 10."""
OVERLAP_MS: Final = 1_500
SLOW_LIFE: Final = PACE | {"BURSAR_PROCESS_LIFE_MS": "40000", "BURSAR_PROCESS_DEAD_MS": "60000"}


@pytest.fixture
async def world(database: ScratchDatabase, maker: Nursery, tmp_path: Path) -> AsyncIterator[World]:
    """A customer with USD 100, input for nothing and output at 10 cents a token."""
    async with world_of(database, maker, tmp_path, pace=SLOW_LIFE, balance=BALANCE) as made:
        with psycopg.connect(database.url, autocommit=True) as connection:
            connection.execute(
                "INSERT INTO price (provider_id, model, meter, currency, effective_from, cost, sale, source,"
                " created_at) SELECT %s, %s, meter, 'USD', %s, price, price, 'test', now()"
                " FROM (VALUES ('in_fresh', 0), ('cache_read', 0), ('cache_write_5m', 0), ('out_text', 0.1))"
                " AS prices (meter, price)",
                [made.seed.provider_ids["openai"], MODELS["openai"], datetime(2026, 2, 1, tzinfo=UTC)],
            )
        yield made


async def ask_at_once(urls: list[str]) -> list[Seen]:
    """All requests at the same time, spread over the gateways."""
    body = ask(stream=False, script=f"delay_ms={OVERLAP_MS}", max_tokens=TOKENS, output_tokens=TOKENS)
    connector = aiohttp.TCPConnector(limit=REQUESTS)
    async with aiohttp.ClientSession(timeout=TIMEOUT, connector=connector) as session:
        return await asyncio.gather(
            *(call(session, urls[number % len(urls)], body) for number in range(REQUESTS))
        )


class TestTheLastDollar:
    async def test_is_not_stranded_in_the_lease_of_a_process_that_idles(self, world: World) -> None:
        """One unit of sale leaves the wallet at a time, and each request needs ten to be held."""
        worker = world.start("worker")
        gateways = [world.start_gateway(f"data-{number}") for number in range(PROCESSES)]
        urls = [await gateway.address() for gateway in gateways]
        body = ask(stream=False, max_tokens=TOKENS, output_tokens=TOKENS // 10)
        complete = refused = 0
        async with aiohttp.ClientSession(timeout=TIMEOUT) as session:
            while refused < 2 * PROCESSES:
                seen = await asyncio.gather(*(call(session, url, body) for url in urls))
                complete += sum(one.is_complete for one in seen)
                if any(one.is_complete for one in seen):
                    continue
                refused = 0
                for url in urls * 2:  # alone, so that nobody's hold is in the way
                    await asyncio.sleep(FORGET_S)
                    one = await call(session, url, body)
                    complete += one.is_complete
                    refused += one.status == PAYMENT_REQUIRED
        for gateway in gateways:
            gateway.stop()
        await world.settled()
        worker.stop()
        left = HOLD - HOLD // 10
        assert await world.wallet() == {"posted": left, "held": 0, "owed": 0, "overrun": 0}
        assert complete == (BALANCE - left) // (HOLD // 10)


class TestFortyHoldsOfTenOnAHundred:
    @pytest.mark.parametrize("processes", [1, 4])
    async def test_admit_exactly_ten(self, world: World, processes: int, tmp_path: Path) -> None:
        settings = {**SLOW_LIFE, "BURSAR_DATABASE_URL": world.database.url}
        with contextlib.ExitStack() as stack:
            gateways = [
                stack.enter_context(
                    running(
                        tmp_path / f"gateway-{number}",
                        "gateway",
                        "--port",
                        "0",
                        settings={**settings, "BURSAR_DATA_DIR": str(tmp_path / f"gateway-{number}")},
                    )
                )
                for number in range(processes)
            ]
            urls = [await asyncio.to_thread(gateway.listening) for gateway in gateways]
            seen = await ask_at_once(urls)
        statuses = [one.status for one in seen]
        assert {status: statuses.count(status) for status in set(statuses)} == {200: 10, 402: 30}
        assert {one.cost and parse_amount(one.cost, "USD") for one in seen if one.is_complete} == {HOLD}
        worker = world.start("worker")
        await world.settled()
        worker.stop()
        assert await world.wallet() == {"posted": 0, "held": 0, "owed": 0, "overrun": 0}
        assert await world.value("SELECT count(*) FROM usage") == 10
