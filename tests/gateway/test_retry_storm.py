"""The storm of faults and hang-ups again, with second rounds and stand-in models: still even books."""

import asyncio
import random
from dataclasses import replace

import pytest
from caller import Reply
from proving import KINDS, Customer, eventually
from test_hangups_storm import AT_ONCE, CALLS, Call, assert_told_is_booked, drawn, play

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.mark.parametrize("seed", range(3))
class TestAStormOfRetries:
    async def test_leaves_the_books_even(self, customer: Customer, seed: int) -> None:
        customer.gw.limits = replace(
            customer.gw.limits,
            drain_ms=500,
            mark_interval_ms=20,
            rounds_max=3,
            retry_backoff_ms=20,
            attempts_max=6,
            retry_deadline_ms=2_000,
        )
        lot = random.Random(100 + seed)
        models = {
            (kind, bills_on): await customer.serve(
                kind,
                credentials=2,
                aborts_stop_billing=not bills_on,
                timeouts={"first_byte_ms": 300, "idle_ms": 300},
            )
            for kind in KINDS
            for bills_on in (False, True)
        }
        for model in models.values():
            others = [other for other in models.values() if other != model]
            await customer.change(
                "UPDATE model SET fallbacks = %s, strategy = %s WHERE id = %s",
                [
                    lot.sample(others, 2),
                    lot.choice(["priority", "weighted", "least_latency", "cheapest"]),
                    model,
                ],
            )
        calls = [drawn(lot) for _ in range(CALLS)]
        places = asyncio.Semaphore(AT_ONCE)

        async def placed(call: Call) -> Reply | None:
            async with places:
                return await play(customer, models, call)

        replies = await asyncio.gather(*map(placed, calls))
        rows = await customer.usage()
        await eventually(lambda: customer.stack.simulator.log.requests_open == 0)
        assert_told_is_booked(calls, replies, rows)
        attempts = [(row["request_id"], row["attempt"]) for row in rows if row["revision"] == 0]
        assert len(set(attempts)) == len(attempts)
