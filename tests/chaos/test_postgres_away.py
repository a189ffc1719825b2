"""PostgreSQL goes away under load, and comes back."""

import asyncio
import os
import random
import secrets
import signal
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Final

import aiohttp
import psycopg
import pytest
from callers import TIMEOUT, Crowd, Seen, ask, call, crowd
from programs import Nursery
from psycopg import sql
from world import PACE, World, world_of

from bursar.db.embedded import FAST, EmbeddedPostgres, attach, locked, start, stop
from bursar.db.embedded_program import postmaster_pid
from bursar.db.migrate import migrate
from scratch_database import ScratchDatabase

TUNING: Final = {**FAST, "synchronous_commit": "on"}
"""What was committed outlives the server's processes; only the machine's death would lose it."""
AWAY_PACE: Final = PACE | {"BURSAR_PROCESS_LIFE_MS": "2000", "BURSAR_PROCESS_DEAD_MS": "3000"}
CALLERS: Final = 6
PACE_MS: Final = 20
"""Between two looks at what callers saw."""
WAIT_S_MAX: Final = 60
KILLS: Final = 3
SPOOLED: Final = 5
RICH_TOKENS: Final = 4_000
"""A request that may cost so much makes the gateway lease money for a thousand small ones."""


class Server:
    """A PostgreSQL of this module's own."""

    def __init__(self, postgres: EmbeddedPostgres) -> None:
        self._postgres = postgres

    def stop(self) -> None:
        with locked(self._postgres.folder / "start.lock"):
            stop(self._postgres.folder)

    def start(self) -> None:
        with locked(self._postgres.folder / "start.lock"):
            start(self._postgres.folder, TUNING)

    def kill(self) -> int:
        """`kill -9`; its keeper starts it again."""
        pid = postmaster_pid(self._postgres.folder)
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        return pid

    def new_database(self) -> ScratchDatabase:
        name = f"away_{secrets.token_hex(4)}"
        with psycopg.connect(self._postgres.dsn_for("postgres"), autocommit=True) as connection:
            connection.execute(
                sql.SQL("CREATE DATABASE {} TEMPLATE bursar STRATEGY FILE_COPY").format(sql.Identifier(name))
            )
        return ScratchDatabase(name=name, url=self._postgres.dsn_for(name))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with attach(tmp_path_factory.mktemp("server") / "pg", tuning=TUNING) as postgres:
        migrate(postgres.dsn)
        yield Server(postgres)


@pytest.fixture
async def world(server: Server, maker: Nursery, tmp_path: Path) -> AsyncIterator[World]:
    await asyncio.to_thread(server.start)  # should a test have ended while it was away
    async with world_of(server.new_database(), maker, tmp_path, pace=AWAY_PACE) as made:
        yield made


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
        self, world: World, server: Server
    ) -> None:
        worker = world.start("worker")
        gateway = world.start_gateway()
        url = await gateway.address()
        async with aiohttp.ClientSession(timeout=TIMEOUT) as session:
            rich = await call(session, url, ask(stream=False, max_tokens=RICH_TOKENS))
        async with crowd(lambda: [url], random.Random(1), callers=CALLERS) as people:
            await until(people, "complete", CALLERS)
            await asyncio.to_thread(server.stop)
            away = len(people.seen)
            await until(people, "complete", away)
            await until(people, "unavailable", away)
            await asyncio.to_thread(server.start)
            back = len(people.seen)
            await until(people, "complete", back + CALLERS)
        gateway.stop()
        await world.settled()
        worker.stop()
        await world.assert_books_are_right([rich, *people.seen])
        assert gateway.events("flush.books_away")
        refused = [one for one in people.seen if one.status == 503]
        assert {one.retry_after for one in refused} == {"5"}
        assert all(one.is_complete or one.status == 503 for one in people.seen)

    async def test_a_server_killed_again_and_again_loses_no_answer(
        self, world: World, server: Server
    ) -> None:
        worker = world.start("worker")
        gateways = [world.start_gateway() for _ in range(2)]
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
            gateway.stop()
        await world.settled()
        worker.stop()
        await world.assert_books_are_right(people.seen)

    async def test_a_gateway_killed_meanwhile_leaves_a_spool_that_the_next_one_books(
        self, world: World, server: Server
    ) -> None:
        worker = world.start("worker")
        gateway = world.start_gateway(BURSAR_PROCESS_LIFE_MS="40000")
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
        heir = world.start_gateway()
        await heir.until("spool.replayed")
        await heir.address()
        heir.stop()
        await world.settled()
        worker.stop()
        await world.assert_books_are_right(seen)
        assert all(one.is_complete for one in seen)
        (mark,) = await world.rows(
            "SELECT request_id::text, from_mark, output_tokens FROM usage WHERE from_mark"
        )
        assert mark["request_id"] == stream.request_id
        assert mark["output_tokens"] > 0
