"""A gateway with Redis: how often it asks, and that nothing a request does there is left behind."""

import asyncio
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from random import Random
from typing import Any

import orjson
import psycopg
import pytest
import pytest_asyncio
import redis
from caller import Caller
from metrics_reader import readings
from proving import KINDS, Customer, SharedStack, eventually, migrated_database, new_customer, shared

from bursar.db.embedded import EmbeddedPostgres
from gateway_stack import free_folder, running_stack
from redis_server import RedisServer

pytestmark = pytest.mark.asyncio(loop_scope="module")

STORM = 60
LIMITS = {"requests_per_min": 10**6, "tokens_per_min": 10**9, "concurrent": 30}


@pytest.fixture(scope="module")
def server() -> Iterator[RedisServer]:
    with tempfile.TemporaryDirectory(prefix="redis-") as folder:
        running = RedisServer(folder=Path(folder))
        running.start()
        yield running
        running.stop()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared_stack(
    postgres: EmbeddedPostgres, tmp_path_factory: pytest.TempPathFactory, server: RedisServer
) -> AsyncIterator[SharedStack]:
    folder = free_folder(tmp_path_factory.getbasetemp())
    settings = {"redis_url": server.url, "redis_timeout_ms": 20_000}
    with migrated_database(postgres) as database:
        async with running_stack(database, folder, settings=settings) as running, shared(running) as stack:
            yield stack


def scripts_run(server: RedisServer) -> int:
    with redis.Redis.from_url(server.url) as client:
        return int(client.info("commandstats").get("cmdstat_evalsha", {}).get("calls", 0))


async def limit(customer: Customer, **limits: Any) -> None:
    await customer.change(
        "UPDATE api_key SET limits = %s WHERE id = %s", [orjson.dumps(limits).decode(), customer.api_key_id]
    )


class TestAGatewayWithRedis:
    async def test_asks_once_for_a_request(self, customer: Customer, server: RedisServer) -> None:
        await customer.chat("openai")  # loads the script
        before = scripts_run(server)
        for _ in range(10):
            assert (await customer.chat("openai")).status == 200
        assert scripts_run(server) == before + 10

    async def test_asks_once_for_all_limits_and_once_more_to_put_them_right(
        self, customer: Customer, server: RedisServer
    ) -> None:
        await limit(customer, **LIMITS, models={"*": {"tokens_per_min": 10**8}})
        first = scripts_run(server)
        await customer.chat("openai")
        await eventually(lambda: scripts_run(server) >= first + 2)  # it is put right in the background
        before = scripts_run(server)
        for _ in range(10):
            assert (await customer.chat("openai")).status == 200
        await customer.stack.quiet()
        assert scripts_run(server) <= before + 20

    async def test_tells_what_is_left_for_all_gateways(self, shared_stack: SharedStack) -> None:
        async with new_customer(shared_stack, requests_per_min=60) as customer:
            replies = [await customer.chat("openai") for _ in range(2)]
            shown = await customer.send(b"", path="/v1/limits", method="GET")
        assert [reply.headers["x-ratelimit-remaining-requests"] for reply in replies] == ["59", "58"]
        assert shown.json()["counted_in"] == "redis"


class TestAStorm:
    @pytest.mark.parametrize("seed", [1, 2, 3])
    async def test_of_faults_and_hang_ups_leaves_every_limit_as_it_was(
        self, customer: Customer, server: RedisServer, seed: int
    ) -> None:
        await limit(customer, **LIMITS)
        with psycopg.connect(customer.stack.database.url, autocommit=True) as connection:
            connection.execute(
                "INSERT INTO budget (id, organisation_id, name, asset, amount, period, created_at)"
                " VALUES (gen_random_uuid(), %s, 'storm', 'USD', 1000000000000, 'month', now())",
                [customer.organisation_id],
            )
        await customer.reload()
        dice = Random(seed)
        await asyncio.gather(*[self.one(customer, Random(dice.random())) for _ in range(STORM)])
        usage = await customer.usage()
        limiter = customer.gw.limiter
        assert limiter._lasting == {}
        assert all(one.lease.outstanding == 0 for one in limiter.budgets.slices())
        claims = [
            name for name in server.names() if "concurrent" in name and str(customer.api_key_id) in name
        ]
        assert claims == []
        await limiter.budgets.tend()
        spent = await customer.rows(
            "SELECT sum(spent)::bigint AS spent FROM budget_slice WHERE organisation_id = %s",
            [customer.organisation_id],
        )
        assert (spent[0]["spent"] or 0) == sum(row["sale"] for row in usage)

    async def one(self, customer: Customer, dice: Random) -> None:
        kind = dice.choice(KINDS)
        stream = dice.random() < 0.6
        script = dice.choice(
            (
                "",
                "",
                "status=500",
                "status=400",
                "no_usage",
                "cut_after_events=2",
                "delay_ms=30",
                "slow_ms_per_event=5",
            )
        )
        said = f"[[sim: input_tokens=9 output_tokens=12 {script}]]"
        async with customer.calling() as caller:
            await customer.start(caller, kind, said, stream=stream, max_tokens=40)
            if dice.random() < 0.4:
                await asyncio.sleep(dice.random() / 10)
                dice.choice((Caller.hang_up, Caller.reset))(caller)
            else:
                await caller.reply()


class TestALostRedis:
    async def test_is_seen_in_the_metrics_until_it_is_back(
        self, customer: Customer, server: RedisServer
    ) -> None:
        limits = '{"requests_per_min": 1000}'
        await customer.change("UPDATE api_key SET limits = %s WHERE id = %s", [limits, customer.api_key_id])
        await customer.serve("openai")
        assert (await readings(customer))["bursar_limits_shared"] == "1.0"
        server.stop()
        assert (await customer.send(customer.payload("openai"))).status == 200
        told = await readings(customer)
        assert (told["bursar_limits_shared"], told["bursar_limits_shared_lost_total"]) == ("0.0", "1.0")
        assert told["bursar_requests_in_flight"] == "0.0"
        server.start()
        await eventually(lambda: customer.gw.limiter.counting.is_shared)
        assert (await readings(customer))["bursar_limits_shared"] == "1.0"
