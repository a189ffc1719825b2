"""A gateway that stands still, is given up for dead, and then goes on."""

import asyncio
import signal
from typing import Final

import aiohttp
from callers import TIMEOUT, ask, call
from world import World

PENDING: Final = 6
"""Requests whose answers come while it stands still, half of them streams."""
WAITING: Final = 6
"""Requests that come while it stands still."""
DELAY_MS: Final = 300


class TestAGatewayThatStoodStill:
    async def test_books_what_it_owed_and_admits_as_somebody_else(self, world: World) -> None:
        worker = world.start("worker")
        gateway = world.start_gateway()
        url = await gateway.address()
        old = await world.value("SELECT id FROM process")
        async with aiohttp.ClientSession(timeout=TIMEOUT) as session:
            first = await call(session, url, ask(stream=False))
            pending = [
                asyncio.create_task(
                    call(session, url, ask(stream=bool(number % 2), script=f"delay_ms={DELAY_MS}"))
                )
                for number in range(PENDING)
            ]
            while len(world.simulator.log.exchanges) < 1 + PENDING:
                await asyncio.sleep(0.01)
            gateway.send(signal.SIGSTOP)
            waiting = [asyncio.create_task(call(session, url, ask(stream=False))) for _ in range(WAITING)]
            await world.until("SELECT state FROM process WHERE id = %s", "closed", [old])
            gateway.send(signal.SIGCONT)
            late = await asyncio.gather(*pending)
            met = await asyncio.gather(*waiting)
            await world.until("SELECT count(*) FROM process WHERE state = 'alive'", 1)
            again = await call(session, url, ask(stream=False))
        gateway.stop()
        await world.settled()
        worker.stop()
        await world.assert_books_are_right([first, *late, *met, again])
        assert all(one.is_complete for one in (first, *late, again))
        assert {(one.status, one.retry_after) for one in met} <= {(200, None), (503, "5")}
        rows = await world.rows(
            "SELECT request_id::text, late, process_id = %s AS is_old"
            " FROM usage JOIN hold ON hold.id = lease_id",
            [old],
        )
        assert {row["request_id"] for row in rows if row["late"]} == {one.request_id for one in late}
        assert {row["request_id"] for row in rows if row["is_old"]} == {
            one.request_id for one in (first, *late)
        }
