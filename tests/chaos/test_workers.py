"""Posters and sweepers that die at their work, two of each at once, against flushes and heartbeats."""

import asyncio
import os
import random
import time
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final
from uuid import uuid4

import psycopg
from callers import SALE, crowd
from programs import Program
from samples import Customer, encoded, usage_row
from world import World

from bursar.core.booking import Take
from bursar.core.ids import uuid7
from bursar.db.books import PgBooks
from bursar.db.connect import Role
from bursar.entrypoints.gateway import SystemClock

SECONDS: Final = 4 * int(os.environ.get("BURSAR_TEST_SOAK", "1"))
WORKERS: Final = 2
WANDERERS: Final = 4
CALLERS: Final = 4
QUICK: Final = {"BURSAR_POST_EVERY_MS": "10", "BURSAR_SWEEP_EVERY_MS": "10"}
TOP_UP: Final = 3
ROWS: Final = 3
TROUBLE: Final = (
    "posting.run_failed",
    "posting.stuck",
    "process.sweep_failed",
    "round.failed",
    "flush.failed",
)
"""What a program logs when PostgreSQL refused its work, a deadlock for instance."""


def new_request_id() -> Any:
    return uuid7(time.time_ns() // 1_000_000, int.from_bytes(os.urandom(10)))


@dataclass(kw_only=True)
class Wanderer:
    """A gateway process in little, over and over: leases, books, beats, and is never heard of again."""

    world: World
    dice: random.Random
    sold: int = 0
    lives: int = 0
    customer: Customer = field(init=False)

    def __post_init__(self) -> None:
        seed = self.world.seed
        self.customer = Customer(
            organisation_id=seed.organisation_id, wallet_id=seed.wallet_id, api_key_id=seed.api_key_id
        )

    async def wander(self, until: float) -> None:
        books = PgBooks(self.world.database.url, SystemClock())
        while time.monotonic() < until:
            await self.live(books)
        await books.close()

    async def live(self, books: PgBooks) -> None:
        process_id = uuid4()
        await books.open_process(process_id, "gateway", "test")
        grant = await books.take(
            Take(
                op=1,
                process_id=process_id,
                wallet_id=self.customer.wallet_id,
                organisation_id=self.customer.organisation_id,
                scope_class="text",
                need=10 * SALE,
                want=10 * SALE,
                cap=10**12,
            )
        )
        assert grant.state == "active"
        rows = [self.row(grant.lease_id) for _ in range(ROWS)]
        mark = self.row(grant.lease_id, from_mark=True, outcome="crashed")
        await books.flush(process_id, encoded(rows), encoded([mark]))
        self.sold += ROWS * SALE + mark.sale
        await books.beat(process_id)
        if self.dice.random() < 0.5:  # a reply that was lost: the same rows once more
            await books.flush(process_id, encoded(rows), [])
        if self.dice.random() < 0.3:
            await books.close_process(process_id)
        self.lives += 1

    def row(self, lease_id: Any, **changes: Any) -> Any:
        return usage_row(
            self.customer, request_id=new_request_id(), lease_id=lease_id, sale=SALE, cost=1, **changes
        )


async def give_money(world: World, until: float) -> int:
    """The operator at work beside everybody else: top-ups; answers what was given."""
    given = 0
    async with await psycopg.AsyncConnection.connect(
        world.database.conninfo(Role.OPERATOR), autocommit=True
    ) as connection:
        while time.monotonic() < until:
            await connection.execute(
                "SELECT bursar_top_up(%s, %s, 'purchase', %s, NULL, 100, %s, NULL, 1, %s, 'h', '', NULL, %s)",
                [
                    world.seed.wallet_id,
                    uuid4(),
                    TOP_UP,
                    *[datetime.now(UTC)],
                    str(uuid4()),
                    datetime.now(UTC),
                ],
            )
            given += TOP_UP
            await asyncio.sleep(0.02)
    return given


async def replace_workers(world: World, workers: list[Program], dice: random.Random, until: float) -> int:
    """Kill one after the other in the middle of its work; answers how many."""
    kills = 0
    while time.monotonic() < until:
        await asyncio.sleep(dice.uniform(0.2, 0.5))
        victim = dice.randrange(WORKERS)
        await workers[victim].until("worker.started")
        workers[victim].kill()
        workers[victim] = world.start("worker", **QUICK)
        kills += 1
    return kills


class TestWorkersThatDie:
    async def test_post_nothing_twice_and_never_lock_each_other_out(self, world: World) -> None:
        dice = random.Random(5)
        workers = [world.start("worker", **QUICK) for _ in range(WORKERS)]
        gateway = world.start_gateway()
        url = await gateway.address()
        wanderers = [Wanderer(world=world, dice=dice) for _ in range(WANDERERS)]
        until = time.monotonic() + SECONDS
        async with crowd(lambda: [url], dice, callers=CALLERS) as people, asyncio.TaskGroup() as group:
            for wanderer in wanderers:
                group.create_task(wanderer.wander(until))
            giving = group.create_task(give_money(world, until))
            killing = group.create_task(replace_workers(world, workers, dice, until))
        gateway.stop()
        await world.settled()
        for worker in workers:
            worker.stop()
        world.balance += giving.result()
        await world.assert_books_are_right(people.seen)
        assert killing.result() > WORKERS
        assert sum(wanderer.lives for wanderer in wanderers) > WANDERERS
        sales = await world.value("SELECT sum(sale)::bigint FROM usage WHERE lease_id IS NOT NULL")
        seen = SALE * await world.value("SELECT count(*) FROM usage WHERE provider_id IS NOT NULL")
        assert sales == seen + sum(wanderer.sold for wanderer in wanderers)
        query = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"
        assert await world.value(query) == 0
        troubles = Counter(name for one in world.programs for name in TROUBLE if one.events(name))
        assert troubles == {}, world.troubles()
