"""Scenes of vectors and pictures: what must have a price, what is sold once, and what was made is sold."""

import asyncio
from typing import Any, Final

import aiohttp
from callers import TIMEOUT
from own_key_scenes import STACK_SCENES, changed
from stack_scenes import stack_scene

from gateway_stack import KEY, MODELS, GatewayStack

__all__ = ["STACK_SCENES"]  # with these among them

DRAWS: Final = "painter"
TOKENS: Final = {"in_fresh": 6_000, "out_image": 48_000}
"""Nano-USD a token."""
PIECE: Final = 50_000_000
LATE: Final = "[[sim: delay_ms=300 input_tokens=20 output_tokens=500]]"


async def offer(stack: GatewayStack, service: str, prices: dict[str, int]) -> None:
    """A model that does this, at these prices in nano-USD a unit."""
    upstream = {"images": "gpt-image-1", "embeddings": "text-embedding-3-small"}[service]
    values = ", ".join(f"('{meter}', {sale}::numeric / 1000000000)" for meter, sale in prices.items())
    await changed(
        stack,
        "WITH made AS (INSERT INTO model (id, display_name, capabilities, created_at)"  # noqa: S608 - figures of this file
        " VALUES (%(model)s, %(model)s, jsonb_build_object('services', jsonb_build_array(%(service)s::text)),"
        " now()) RETURNING id), led AS (INSERT INTO route (id, model_id, provider_id, provider_model,"
        " created_at) SELECT gen_random_uuid(), id, %(provider)s, %(upstream)s, now() FROM made)"
        " INSERT INTO price (provider_id, model, meter, currency, effective_from, cost, sale, source,"
        " created_at) SELECT %(provider)s, %(upstream)s, meter, 'USD', '2026-01-01Z', 0, sale, 'test', now()"
        f" FROM (VALUES {values}) AS priced (meter, sale)",
        {  # type: ignore[arg-type]  # by name
            "model": DRAWS,
            "service": service,
            "provider": stack.seed.provider_ids["openai"],
            "upstream": upstream,
        },
    )


async def post(
    stack: GatewayStack, path: str, body: dict[str, Any], *, timeout_s: float | None = None
) -> int:
    """The status; 0 when the caller did not wait for it."""
    headers = {"authorization": f"Bearer {KEY}"}
    wait = TIMEOUT if timeout_s is None else aiohttp.ClientTimeout(total=timeout_s)
    try:
        async with (
            aiohttp.ClientSession(timeout=wait) as session,
            session.post(stack.url + path, json=body, headers=headers) as answer,
        ):
            return answer.status
    except TimeoutError:
        return 0


@stack_scene
async def a_picture_is_sold_once(stack: GatewayStack) -> None:
    await offer(stack, "images", {**TOKENS, "image": PIECE})
    asked = {"model": DRAWS, "prompt": "a cat [[sim: input_tokens=20 output_tokens=500]]"}
    assert await post(stack, "/images/generations", asked) == 200
    (row,) = await stack.usage()
    assert row["sale"] == 20 * TOKENS["in_fresh"] + PIECE


@stack_scene
async def a_picture_nobody_waited_for_is_sold_as_it_was_made(stack: GatewayStack) -> None:
    await offer(stack, "images", TOKENS)
    asked = {"model": DRAWS, "prompt": f"a cat {LATE}"}
    assert await post(stack, "/images/generations", asked, timeout_s=0.1) == 0
    await asyncio.sleep(0.1)  # the gateway looks for those who left every few hundredths of a second
    (row,) = await stack.usage()
    assert (row["outcome"], row["estimated"]) == ("hangup_before_output", False)
    assert row["sale"] == 20 * TOKENS["in_fresh"] + 500 * TOKENS["out_image"]


@stack_scene
async def vectors_without_a_price_are_refused(stack: GatewayStack) -> None:
    await offer(stack, "embeddings", {"out_text": 1})
    assert await post(stack, "/embeddings", {"model": DRAWS, "input": "a"}) == 503
    assert await stack.usage() == []


@stack_scene
async def a_model_for_chats_draws_nothing(stack: GatewayStack) -> None:
    assert await post(stack, "/images/generations", {"model": MODELS["openai"], "prompt": "a cat"}) == 400
    assert await stack.usage() == []
