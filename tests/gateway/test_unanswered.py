"""Marks of requests that wait for their first output."""

import asyncio
from typing import Any

import aiohttp
import pytest

from bursar.gateway.runtime import Gateway
from bursar.gateway.ticket import Ticket
from bursar.gateway.unanswered import MARKED_AFTER_MS, mark_the_unanswered
from gateway_stack import MODELS, GatewayStack

MARK = (
    "SELECT row::json ->> 'outcome' AS outcome, (row::json ->> 'cost')::bigint > 0 AS is_billed"
    " FROM usage_mark"
)


def gateway_of(stack: GatewayStack) -> Gateway:
    assert stack.gateway.app is not None
    return stack.gateway.app.gw


async def ask(stack: GatewayStack, *, stream: bool) -> int:
    """A request whose answer lets wait for itself; its status."""
    said = {"role": "user", "content": "Hello [[sim: delay_ms=1500]]"}
    body: dict[str, Any] = {"model": MODELS["openai"], "messages": [said], "stream": stream}
    headers = {"authorization": f"Bearer {stack.key}"}
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"{stack.url}/chat/completions", json=body, headers=headers) as answer,
    ):
        await answer.read()
        return answer.status


async def sent(gw: Gateway) -> Ticket:
    """The one request under way, once it is on its way to the provider."""
    while not (found := [one for one in gw.under_way.values() if one.attempt and one.attempt.sent]):
        await asyncio.sleep(0.01)
    return found[0]


async def marks(stack: GatewayStack) -> list[dict[str, Any]]:
    while not (found := await stack.rows(MARK)):
        await asyncio.sleep(0.01)
    return found


class TestARequestWithoutOutput:
    @pytest.mark.parametrize("stream", [False, True])
    async def test_leaves_a_mark_when_it_waits_long_and_takes_it_away(
        self, stack: GatewayStack, *, stream: bool
    ) -> None:
        gw = gateway_of(stack)
        asking = asyncio.create_task(ask(stack, stream=stream))
        ticket = await sent(gw)
        ticket.started_mono_ms -= MARKED_AFTER_MS
        mark_the_unanswered(gw)
        assert await marks(stack) == [{"outcome": "crashed_unanswered", "is_billed": True}]
        assert await asking == 200
        await stack.quiet()
        assert await stack.rows(MARK) == []
        assert gw.under_way == {}

    async def test_leaves_none_while_it_is_young(self, stack: GatewayStack) -> None:
        gw = gateway_of(stack)
        asking = asyncio.create_task(ask(stack, stream=False))
        ticket = await sent(gw)
        ticket.started_mono_ms = gw.clock.monotonic_ms()
        mark_the_unanswered(gw)
        assert ticket.mark_due_ms == 0
        assert await asking == 200

    async def test_leaves_one_an_interval(self, stack: GatewayStack) -> None:
        gw = gateway_of(stack)
        asking = asyncio.create_task(ask(stack, stream=False))
        ticket = await sent(gw)
        ticket.started_mono_ms -= MARKED_AFTER_MS
        mark_the_unanswered(gw)
        due_ms = ticket.mark_due_ms
        mark_the_unanswered(gw)
        assert ticket.mark_due_ms == due_ms >= gw.clock.monotonic_ms()
        assert await asking == 200

    async def test_is_forgotten_when_it_ended_on_a_byway(self, stack: GatewayStack) -> None:
        gw = gateway_of(stack)
        asking = asyncio.create_task(ask(stack, stream=False))
        ticket = await sent(gw)
        assert await asking == 200
        gw.under_way[ticket.request_id] = ticket
        mark_the_unanswered(gw)
        assert gw.under_way == {}
