"""`/metrics`: what a process tells its neighbours, and only them."""

import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio
from caller import Caller, Reply, request
from proving import Customer, SharedStack, eventually, migrated_database, shared

from bursar.core.addresses import Networks
from bursar.db.embedded import EmbeddedPostgres
from gateway_stack import free_folder, running_stack
from redis_server import RedisServer

pytestmark = pytest.mark.asyncio(loop_scope="module")


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
    settings = {"redis_url": server.url, "redis_timeout_ms": 1_000}
    with migrated_database(postgres) as database:
        async with running_stack(database, folder, settings=settings) as running, shared(running) as stack:
            yield stack


async def metrics(customer: Customer, **headers: str) -> Reply:
    async with customer.calling() as caller:
        return await ask(caller, **headers)


async def ask(caller: Caller, **headers: str) -> Reply:
    caller.write(request("GET", "/metrics", b"", headers))
    return await caller.reply()


async def readings(customer: Customer) -> dict[str, str]:
    reply = await metrics(customer)
    assert reply.status == 200
    lines = reply.body.decode().splitlines()
    return dict(line.split(" ") for line in lines if not line.startswith("#"))


class TestMetrics:
    async def test_tell_that_redis_was_lost_and_came_back(
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

    async def test_are_nothing_to_strangers(self, customer: Customer) -> None:
        gw = customer.gw
        assert (await metrics(customer, **{"x-forwarded-for": "127.0.0.1"})).status == 404
        neighbours, gw.metrics_for = gw.metrics_for, Networks(["10.0.0.0/8"])
        try:
            reply = await metrics(customer)
        finally:
            gw.metrics_for = neighbours
        assert (reply.status, reply.json()["error"]["code"]) == (404, "unknown_url")
