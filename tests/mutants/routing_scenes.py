"""Scenes of requests that are tried again, elsewhere or with another model."""

import asyncio

from callers import SALE, Seen, ask
from limit_scenes import STACK_SCENES
from own_key_scenes import changed
from stack_scenes import asked, stack_scene

from gateway_stack import MODELS, GatewayStack

__all__ = ["STACK_SCENES"]  # with these among them

FIRST, SECOND = MODELS["openai"], MODELS["anthropic"]


async def stand_in(stack: GatewayStack) -> None:
    """The first model's provider fails; the second stands in for it, at ten times the price."""
    await changed(
        stack,
        "WITH named AS (UPDATE model SET fallbacks = %s WHERE id = %s)"
        " INSERT INTO price (provider_id, model, meter, currency, effective_from, cost, sale, source,"
        " created_at) SELECT provider_id, model, meter, currency, now(), cost * 10, sale * 10, 'test', now()"
        " FROM price WHERE model = %s",
        [[SECOND], FIRST, SECOND],
    )
    stack.simulator.faults.add("status=500", provider="openai")


@stack_scene
async def a_stand_in_is_sold_at_its_own_price(stack: GatewayStack) -> None:
    await stand_in(stack)
    assert (await asked(stack, ask(stream=False))).is_complete
    rows = await stack.usage()
    assert [(row["model"], row["sale"]) for row in rows] == [(FIRST, 0), (SECOND, 10 * SALE)]


@stack_scene
async def a_stand_in_is_held_for_before_it_is_asked(stack: GatewayStack) -> None:
    await stand_in(stack)
    stack.simulator.faults.add("delay_ms=300", provider="anthropic")
    running = asyncio.create_task(asked(stack, ask(stream=False)))
    most = 0
    while not running.done():
        most = max(most, stack.outstanding())
        await asyncio.sleep(0.005)
    assert running.result().is_complete
    assert most >= 10 * SALE


@stack_scene
async def every_try_of_a_refused_request_has_a_row(stack: GatewayStack) -> None:
    await stand_in(stack)
    stack.simulator.faults.add("status=500", provider="anthropic")
    seen: Seen = await asked(stack, ask(stream=False))
    assert seen.status == 502
    assert [(row["model"], row["sale"]) for row in await stack.usage()] == [(FIRST, 0), (SECOND, 0)]


@stack_scene
async def nothing_is_sold_below_the_margin_floor(stack: GatewayStack) -> None:
    await changed(stack, "UPDATE model SET min_margin_percent = 20.5 WHERE id = %s", [FIRST])
    assert (await asked(stack, ask(stream=False))).status == 503
    await changed(stack, "UPDATE model SET min_margin_percent = 20 WHERE id = %s", [FIRST])
    assert (await asked(stack, ask(stream=False))).is_complete


@stack_scene
async def a_stand_in_is_no_way_around_the_keys_models(stack: GatewayStack) -> None:
    await stand_in(stack)
    await changed(
        stack, "UPDATE api_key SET allowed_models = %s WHERE id = %s", [[FIRST], stack.seed.api_key_id]
    )
    assert (await asked(stack, ask(stream=False))).status == 502
    assert [row["model"] for row in await stack.usage()] == [FIRST]
