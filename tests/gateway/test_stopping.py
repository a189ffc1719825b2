"""A gateway that is told to stop books what it knows, whatever still runs."""

from pathlib import Path

import orjson
import psycopg
import pytest
from caller import Caller
from proving import CHAT, eventually, input_estimate, sale_of

from bursar.adapters.ratecounters.memory import MemoryCounters
from bursar.gateway.rate_counting import Counting
from gateway_stack import KEY, MODELS, running_stack
from scratch_database import ScratchDatabase


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
async def test_answers_that_are_still_read_for_a_caller_who_left_are_booked(
    database: ScratchDatabase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, stream: bool
) -> None:
    monkeypatch.setattr("bursar.gateway.app.SHUTDOWN_WAIT_S", 0.1)
    messages = [{"role": "user", "content": "hello there"}]
    body = orjson.dumps({"model": MODELS["openai"], "messages": messages, "stream": stream, "max_tokens": 1})
    async with running_stack(database, tmp_path, aborts_stop_billing=False) as stack:
        stack.simulator.faults.add("silence_before_headers", count=1, provider="openai")
        app = stack.gateway.app
        assert app is not None
        caller = await Caller.connect(stack.url, [])
        await caller.post(CHAT, body, {"authorization": f"Bearer {KEY}"})
        await eventually(lambda: stack.simulator.log.exchanges)
        caller.hang_up()
        await eventually(lambda: app.gw.background)
    (row,) = await stack.rows("SELECT * FROM usage")
    assert row["outcome"] == "hangup_before_output"
    assert row["sale"] >= sale_of(in_fresh=input_estimate("hello there"))


class StuckCounters(MemoryCounters):
    """A Redis whose connections break while they are closed."""

    async def close(self) -> None:
        raise OSError("broken")


async def test_money_and_budgets_are_given_back_though_counters_cannot_be_closed(
    database: ScratchDatabase, tmp_path: Path
) -> None:
    async with running_stack(database, tmp_path) as stack:
        with psycopg.connect(database.url, autocommit=True) as connection:
            connection.execute(
                "INSERT INTO budget (id, organisation_id, name, asset, amount, period, created_at)"
                " VALUES (gen_random_uuid(), %s, 'lunch', 'USD', 1000000000000, 'month', now())",
                [stack.seed.organisation_id],
            )
        app = stack.gateway.app
        assert app is not None
        app.gw.snapshot = app._build_snapshot(await app.gw.books.load_snapshot())
        app.gw.limiter.counting = Counting(StuckCounters())
        caller = await Caller.connect(stack.url, [])
        messages = [{"role": "user", "content": "hello there"}]
        body = orjson.dumps({"model": MODELS["openai"], "messages": messages})
        await caller.post(CHAT, body, {"authorization": f"Bearer {KEY}"})
        assert (await caller.reply()).status == 200
        caller.hang_up()
    (process,) = await stack.rows("SELECT state FROM process")
    assert process["state"] == "closed"
    (part,) = await stack.rows("SELECT granted, spent FROM budget_slice")
    assert part["granted"] == part["spent"] > 0
