"""Tokens nobody sees: streams that reason in secret cannot be cut off, so together they must be covered."""

import asyncio

import pytest
from proving import SharedStack, new_customer

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_streams_held_for_their_usual_length_do_not_overdraw(shared_stack: SharedStack) -> None:
    async with new_customer(shared_stack, balance="0.1") as customer:
        await customer.serve("openai")
        for _ in range(20):
            customer.fault("openai", "input_tokens=10 output_tokens=5")
            await customer.chat("openai", stream=True, max_tokens=300)
        customer.fault("openai", "delay_ms=500 input_tokens=10 output_tokens=3005 reasoning=3000", count=10)
        replies = await asyncio.gather(
            *(customer.chat("openai", stream=True, max_tokens=3100) for _ in range(10))
        )
        wallet = await customer.wallet()
        customer.stack.simulator.faults.clear()
    assert wallet["owed"] == 0
    assert {reply.status for reply in replies} == {200, 402}
