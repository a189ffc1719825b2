"""Scenes of callers who speak Anthropic's dialect to Anthropic itself."""

from typing import Any

import aiohttp
import orjson
from callers import TIMEOUT
from routing_scenes import STACK_SCENES
from stack_scenes import INPUT_SALE, OUTPUT_SALE, stack_scene

from gateway_stack import MODELS, GatewayStack

__all__ = ["STACK_SCENES"]  # with these among them

SEARCH = {"type": "web_search_20250305", "name": "web_search"}


async def messaged(stack: GatewayStack, script: str, **options: Any) -> tuple[int, bytes]:
    """Status and body of one request."""
    body = {
        "model": MODELS["anthropic"],
        "max_tokens": 100,
        "messages": [{"role": "user", "content": f"hello [[sim: {script}]]"}],
        "stream": True,
        **options,
    }
    headers = {"x-api-key": stack.key, "anthropic-version": "2023-06-01"}
    async with (
        aiohttp.ClientSession(timeout=TIMEOUT) as session,
        session.post(f"{stack.url}/messages", data=orjson.dumps(body), headers=headers) as answer,
    ):
        return answer.status, await answer.read()


@stack_scene
async def a_placeholder_is_never_the_output(stack: GatewayStack) -> None:
    await messaged(stack, 'no_final_usage input_tokens=50 text="one two three four"')
    (row,) = await stack.usage()
    assert (row["outcome"], row["estimated"]) == ("usage_missing", True)
    assert row["sale"] == 50 * INPUT_SALE + row["quantities"]["out_text"] * OUTPUT_SALE


@stack_scene
async def the_last_word_on_usage_counts(stack: GatewayStack) -> None:
    _, body = await messaged(stack, "input_tokens=50 output_tokens=20")
    (row,) = await stack.usage()
    assert row["quantities"] == {"in_fresh": 50, "out_text": 20}
    assert b'"output_tokens":20' in body.split(b"event: message_delta")[-1]


@stack_scene
async def a_message_ends_with_its_mark(stack: GatewayStack) -> None:
    await messaged(stack, "no_terminal output_tokens=20")
    (row,) = await stack.usage()
    assert row["outcome"] == "provider_error_after_output"


@stack_scene
async def no_more_comes_than_was_held_for(stack: GatewayStack) -> None:
    await messaged(stack, "output_tokens=50", max_tokens=5)
    (row,) = await stack.usage()
    assert row["quantities"]["out_text"] == 5


@stack_scene
async def searches_without_a_price_are_refused(stack: GatewayStack) -> None:
    status, _ = await messaged(stack, "web_search=2", tools=[SEARCH])
    assert (status, await stack.usage()) == (422, [])
