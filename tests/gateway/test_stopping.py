"""A gateway that is told to stop books what it knows, whatever still runs."""

from pathlib import Path

import orjson
import pytest
from caller import Caller
from proving import CHAT, eventually, input_estimate, sale_of

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
