"""Scenes that need a whole gateway: what a caller's request must leave in the books."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Final

import aiohttp
from callers import SALE, TIMEOUT, Seen, ask, call

from gateway_stack import MODELS, GatewayStack

StackScene = Callable[[GatewayStack], Awaitable[None]]
STACK_SCENES: Final[dict[str, StackScene]] = {}
INPUT_SALE: Final = 2_400
OUTPUT_SALE: Final = 9_600
"""Nano-USD a token; see `gateway_stack.PRICES`."""
LONG: Final = "word " * 500


def stack_scene(play: StackScene) -> StackScene:
    STACK_SCENES[play.__name__] = play
    return play


async def asked(stack: GatewayStack, body: dict[str, Any], seen: Seen | None = None) -> Seen:
    async with aiohttp.ClientSession(timeout=TIMEOUT) as session:
        return await call(session, stack.url.removesuffix("/v1"), body, seen)


def saying(words: str, **options: Any) -> dict[str, Any]:
    message = {"role": "user", "content": words}
    return {"model": MODELS["openai"], "messages": [message], "max_tokens": 40, **options}


@stack_scene
async def an_answer_is_spent_before_it_is_released(stack: GatewayStack) -> None:
    assert (await asked(stack, ask(stream=False))).is_complete
    assert stack.gateway.app is not None
    (account,) = stack.gateway.app.gw.treasury.accounts()
    assert (account.lease.spent, account.lease.outstanding) == (SALE, 0)
    rows = await stack.rows("SELECT spent, late FROM usage JOIN hold ON hold.id = lease_id")
    assert rows == [{"spent": SALE, "late": False}]


@stack_scene
async def a_broken_stream_is_sold_as_far_as_it_was_delivered(stack: GatewayStack) -> None:
    await asked(stack, saying(f"{LONG} [[sim: output_tokens=40 cut_after_events=6]]", stream=True))
    (row,) = await stack.usage()
    assert row["outcome"] == "provider_error_after_output"
    assert 0 < row["quantities"]["out_text"] < 40
    assert row["sale"] == (
        INPUT_SALE * row["quantities"]["in_fresh"] + OUTPUT_SALE * row["quantities"]["out_text"]
    )


@stack_scene
async def an_estimate_never_exceeds_its_hold(stack: GatewayStack) -> None:
    await asked(stack, saying('[[sim: no_usage text="日日日日日"]]', max_tokens=5))
    (row,) = await stack.usage()
    estimate = INPUT_SALE * row["quantities"]["in_fresh"] + OUTPUT_SALE * row["quantities"]["out_text"]
    assert row["outcome"] == "usage_missing"
    assert 0 < row["sale"] < estimate


@stack_scene
async def a_running_stream_leaves_a_mark(stack: GatewayStack) -> None:
    seen = Seen(streamed=True)
    running = asyncio.create_task(asked(stack, ask(stream=True, script="slow_ms_per_event=20"), seen))
    marks = 0
    while not running.done():
        marks = max(marks, len(await stack.rows("SELECT FROM usage_mark")))
        await asyncio.sleep(0.01)
    assert seen.is_complete
    assert marks == 1
