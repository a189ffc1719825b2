"""Providers that copied OpenAI's chat dialect, from key to ledger: each way of counting, sold exactly."""

from typing import Any

import orjson
import pytest
from messages_caller import ask_messages
from proving import Customer, cost_of, sale_of

pytestmark = pytest.mark.asyncio(loop_scope="module")

PLACES = {
    "xai": "/xai/v1",
    "mistral": "/mistral/v1",
    "deepseek": "/deepseek/v1",
    "openrouter": "/openrouter/v1",
    "azure_openai": "/azure/openai",
}
SCRIPT = "input_tokens=1000 output_tokens=21 cached=300 reasoning=5"
TOKENS = {"in_fresh": 700, "cache_read": 300, "out_text": 26}
CHARGED = {"xai": "cost_in_usd_ticks", "openrouter": "cost"}
every_kind = pytest.mark.parametrize("kind", PLACES)
streamed_or_not = pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])


async def served(customer: Customer, kind: str) -> None:
    address = customer.stack.simulator.base_url + PLACES[kind]
    await customer.serve(kind, base_url=address, provider_model="their-model")


def told(customer: Customer, script: str) -> None:
    customer.stack.simulator.faults.add(script, provider="compatible")


@every_kind
@streamed_or_not
class TestSales:
    async def test_are_what_the_provider_measured(
        self, customer: Customer, kind: str, *, stream: bool
    ) -> None:
        await served(customer, kind)
        told(customer, SCRIPT)
        reply = await customer.chat(kind, stream=stream)
        row = await customer.one_row()
        assert (reply.status, reply.is_complete) == (200, True)
        assert (row["outcome"], row["status"], row["error_code"]) == ("completed", 200, None)
        assert (row["sale"], row["cost"]) == (sale_of(**TOKENS), cost_of(**TOKENS))
        assert not row["estimated"]

    async def test_are_the_same_to_callers_of_another_dialect(
        self, customer: Customer, kind: str, *, stream: bool
    ) -> None:
        await served(customer, kind)
        told(customer, SCRIPT)
        reply = await ask_messages(customer, kind, "hello there", stream=stream)
        row = await customer.one_row()
        assert (reply.status, row["outcome"]) == (200, "completed")
        assert (row["sale"], row["cost"]) == (sale_of(**TOKENS), cost_of(**TOKENS))


class TestWhatTheProviderCharged:
    @pytest.mark.parametrize(("kind", "name"), CHARGED.items())
    @streamed_or_not
    async def test_is_kept_and_not_told(
        self, customer: Customer, kind: str, name: str, *, stream: bool
    ) -> None:
        await served(customer, kind)
        options: dict[str, Any] = {"stream_options": {"include_usage": True}} if stream else {}
        reply = await customer.chat(kind, stream=stream, **options)
        raw = (await customer.one_row())["raw_usage"]
        kept = raw if isinstance(raw, dict) else orjson.loads(raw)
        assert kept[name] > 0
        if name != "cost":  # our own is told under this name
            assert name.encode() not in reply.body
        assert b"cost_details" not in reply.body
