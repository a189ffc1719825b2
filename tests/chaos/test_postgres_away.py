"""PostgreSQL goes away under load, and comes back."""

import asyncio
import random
import time
from typing import Final

import aiohttp
from callers import TIMEOUT, Crowd, Seen, ask, call, crowd
from servers import Server
from world import World

CALLERS: Final = 6
PACE_MS: Final = 20
"""Between two looks at what callers saw."""
WAIT_S_MAX: Final = 60
KILLS: Final = 3
SPOOLED: Final = 5
RICH_TOKENS: Final = 4_000
"""A request that may cost so much makes the gateway lease money for a thousand small ones."""


async def until(people: Crowd, what: str, since: int) -> None:
    """Wait until one of those who asked after `since` others was answered so."""
    deadline = time.monotonic() + WAIT_S_MAX
    while not any(
        one.is_complete if what == "complete" else one.status == 503 for one in people.seen[since:]
    ):
        assert time.monotonic() < deadline, f"nobody saw {what}: {people.seen[since:]}"
        await asyncio.sleep(PACE_MS / 1000)


class TestWithoutPostgres:
    async def test_a_gateway_goes_on_while_its_lease_lives_then_asks_for_patience(
        self, server: Server, away: World
    ) -> None:
        worker = away.start("worker")
        gateway = away.start_gateway()
        url = await gateway.address()
        async with aiohttp.ClientSession(timeout=TIMEOUT) as session:
            rich = await call(session, url, ask(stream=False, max_tokens=RICH_TOKENS))
        async with crowd(lambda: [url], random.Random(1), callers=CALLERS) as people:
            await until(people, "complete", CALLERS)
            await asyncio.to_thread(server.stop)
            gone = len(people.seen)
            await until(people, "complete", gone)
            await until(people, "unavailable", gone)
            await asyncio.to_thread(server.start)
            back = len(people.seen)
            await until(people, "complete", back + CALLERS)
        await gateway.until_back()
        gateway.stop()
        await away.settled()
        worker.stop()
        await away.assert_books_are_right([rich, *people.seen])
        assert gateway.events("flush.books_away")
        refused = [one for one in people.seen if one.status == 503]
        assert {one.retry_after for one in refused} == {"5"}
        assert all(one.is_complete or one.status == 503 for one in people.seen)

    async def test_a_server_killed_again_and_again_loses_no_answer(self, server: Server, away: World) -> None:
        worker = away.start("worker")
        gateways = [away.start_gateway() for _ in range(2)]
        urls = [await gateway.address() for gateway in gateways]
        dice = random.Random(2)
        async with crowd(lambda: urls, dice, callers=CALLERS) as people:
            for _ in range(KILLS):
                await until(people, "complete", len(people.seen))
                await asyncio.sleep(dice.uniform(0, 0.3))
                await asyncio.to_thread(server.kill)
                await asyncio.sleep(dice.uniform(0.1, 0.5))
                await asyncio.to_thread(server.start)
            await until(people, "complete", len(people.seen) + CALLERS)
        for gateway in gateways:
            await gateway.until_back()
            gateway.stop()
        await away.settled()
        worker.stop()
        await away.assert_books_are_right(people.seen)

    async def test_a_gateway_killed_meanwhile_leaves_a_spool_that_the_next_one_books(
        self, server: Server, away: World
    ) -> None:
        worker = away.start("worker")
        gateway = away.start_gateway(BURSAR_PROCESS_LIFE_MS="40000")
        url = await gateway.address()
        stream = Seen(streamed=True)
        async with aiohttp.ClientSession(timeout=TIMEOUT) as session:
            seen = [await call(session, url, ask(stream=False, max_tokens=RICH_TOKENS))]
            await asyncio.to_thread(server.stop)
            body = ask(stream=True, script="slow_ms_per_event=20", output_tokens=400, max_tokens=400)
            streaming = asyncio.create_task(call(session, url, body, stream))
            seen += [await call(session, url, ask(stream=bool(n % 2))) for n in range(SPOOLED)]
            while stream.tokens < 20:
                await asyncio.sleep(PACE_MS / 1000)
            gateway.kill()
            await streaming
        await asyncio.to_thread(server.start)
        heir = away.start_gateway()
        await heir.until("spool.replayed")
        await heir.address()
        heir.stop()
        await away.settled()
        worker.stop()
        await away.assert_books_are_right(seen)
        assert all(one.is_complete for one in seen)
        (mark,) = await away.rows(
            "SELECT request_id::text, from_mark, output_tokens FROM usage WHERE from_mark"
        )
        assert mark["request_id"] == stream.request_id
        assert mark["output_tokens"] > 0

    async def test_a_gateway_that_starts_meanwhile_waits(self, server: Server, away: World) -> None:
        await asyncio.to_thread(server.stop)
        gateway = away.start_gateway()
        await gateway.until("gateway.waits_for_books")
        await asyncio.to_thread(server.start)
        url = await gateway.address()
        async with aiohttp.ClientSession(timeout=TIMEOUT) as session:
            one = await call(session, url, ask(stream=False))
        gateway.stop()
        worker = away.start("worker")
        await away.settled()
        worker.stop()
        assert one.is_complete
        await away.assert_books_are_right([one])
