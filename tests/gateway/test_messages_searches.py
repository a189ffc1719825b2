"""Searches by Anthropic itself: sold where they have a price, refused by name where they have none."""

import asyncio
from typing import Any

import orjson
import pytest
from messages_caller import ask_messages, start_messages
from proving import (
    PRICES,
    Customer,
    SharedStack,
    cost_of,
    eventually,
    new_customer,
    sale_of,
    tokens_of_letters,
)
from raw_provider import LAST_CHUNK, OK_STREAM, Visit, chunked, ending, opening, raw_provider, words

from bursar.gateway.admit import offers_for
from bursar.gateway.dialects.anthropic_messages import reading
from bursar.gateway.errors import GatewayError

pytestmark = pytest.mark.asyncio(loop_scope="module")

SEARCH: dict[str, Any] = {"type": "web_search_20250305", "name": "web_search", "max_uses": 3}
PRICED = {**PRICES, "web_search": ("10000", "12000")}
"""USD 0.01 a search to us, 0.012 to the customer: prices here are per million."""
NANO_COST, NANO_SALE = 10_000_000, 12_000_000
USED = b'"output_tokens":20'
USED_AND_SEARCHED = USED + b',"server_tool_use":{"web_search_requests":2}'


class TestSearches:
    @pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
    async def test_are_counted_and_sold(self, customer: Customer, *, stream: bool) -> None:
        await customer.serve("anthropic", prices=PRICED)
        customer.fault("anthropic", "web_search=2 input_tokens=100 output_tokens=20")
        reply = await ask_messages(customer, "anthropic", "hello there", tools=[SEARCH], stream=stream)
        row = await customer.one_row()
        assert reply.status == 200
        assert row["quantities"]["web_search"] == 2
        assert row["sale"] == sale_of(in_fresh=100, out_text=20) + 2 * NANO_SALE
        assert row["cost"] == cost_of(in_fresh=100, out_text=20) + 2 * NANO_COST
        assert row["flags"] == []

    async def test_are_held_for(self, customer: Customer) -> None:
        """A wallet that cannot cover the most there may be is told so before anything is asked."""
        await customer.serve("anthropic", prices={**PRICED, "web_search": ("50000000", "50000000")})
        reply = await ask_messages(customer, "anthropic", "hello there", tools=[SEARCH])
        assert (reply.status, reply.json()["error"]["code"]) == (402, "insufficient_balance")
        assert await customer.usage() == []

    async def test_are_held_for_with_the_pages_they_bring_in(self, shared_stack: SharedStack) -> None:
        """What a search finds is read as input: 40,000 tokens of it are sold for USD 0.096."""
        async with new_customer(shared_stack, balance="0.02") as customer:
            await customer.serve("anthropic", prices=PRICED)
            customer.fault("anthropic", "web_search=1 input_tokens=40000 output_tokens=20")
            tool = {**SEARCH, "max_uses": 1}
            reply = await ask_messages(customer, "anthropic", "hello there", tools=[tool], max_tokens=50)
            assert (reply.status, reply.json()["error"]["code"]) == (402, "insufficient_balance")
            assert await customer.usage() == []

    async def test_without_a_price_are_refused(self, customer: Customer) -> None:
        reply = await ask_messages(customer, "anthropic", "hello there", tools=[SEARCH])
        error = reply.json()["error"]
        assert (reply.status, error["code"], error["param"]) == (422, "unsupported_parameter", "tools")
        assert "have no price" in error["message"]
        assert await customer.usage() == []

    async def test_asked_for_in_a_way_with_prices_of_its_own_need_one_there(self, customer: Customer) -> None:
        name = await customer.serve("anthropic", prices=PRICED)
        await customer.change(
            "INSERT INTO price (provider_id, model, meter, currency, effective_from, cost, sale, source,"
            " created_at) SELECT provider_id, model || ':fast', meter, currency, effective_from, cost, sale,"
            " source, created_at FROM price WHERE meter <> 'web_search' AND provider_id ="
            " (SELECT provider_id FROM route WHERE model_id = %s)",
            [name],
        )
        body = {"model": name, "max_tokens": 9, "messages": [{"role": "user", "content": "x"}]}
        call = reading.read(orjson.dumps({**body, "tools": [SEARCH]}))
        snapshot, now_ms = customer.gw.snapshot, customer.gw.clock.now_ms()
        key = next(one for one in snapshot.keys.values() if one.api_key_id == customer.api_key_id)
        assert offers_for(snapshot, key, snapshot.models[name], call, now_ms)
        call.variants = ("fast",)
        with pytest.raises(GatewayError, match="have no price"):
            offers_for(snapshot, key, snapshot.models[name], call, now_ms)


class TestSearchesNobodyWaitedFor:
    async def test_are_not_sold_for_all_there_might_have_been(self, customer: Customer) -> None:
        """Unlike pictures: who leaves before the first word stops the provider, and no search was told."""
        await customer.serve("anthropic", prices=PRICED)
        customer.fault("anthropic", "silence_after_events=3 input_tokens=40")
        async with customer.calling() as caller:
            await start_messages(caller, customer, "anthropic", "hello there", tools=[SEARCH], stream=True)
            log = customer.stack.simulator.log
            await eventually(lambda: log.exchanges and log.exchanges[-1].events_sent == 3)
            await asyncio.sleep(0.05)
            caller.hang_up()
            row = await customer.one_row()
        assert row["outcome"] == "hangup_before_output"
        assert row["quantities"] == {"in_fresh": 40}
        assert (row["sale"], row["cost"]) == (sale_of(in_fresh=40), cost_of(in_fresh=40))

    async def test_are_sold_as_told_with_the_words_that_were_delivered(self, customer: Customer) -> None:
        go_on = asyncio.Event()

        async def script(visit: Visit) -> None:
            first = [*opening("anthropic", sent=30), *words("anthropic", "one", " two", " three")]
            await visit.say(OK_STREAM + chunked(*first))
            await go_on.wait()
            rest = [frame.replace(USED, USED_AND_SEARCHED) for frame in ending("anthropic", sent=30, came=20)]
            await visit.say(chunked(*rest) + LAST_CHUNK)

        async with raw_provider(script) as provider, customer.calling() as caller:
            url = provider.base_url("anthropic")
            await customer.serve("anthropic", base_url=url, aborts_stop_billing=False, prices=PRICED)
            await start_messages(caller, customer, "anthropic", "hello there", tools=[SEARCH], stream=True)
            await caller.until(b" three")
            caller.hang_up()
            await asyncio.sleep(0.05)
            go_on.set()
            row = await customer.one_row()
        came = tokens_of_letters("one two three")
        assert row["outcome"] == "hangup_midstream"
        assert row["sale"] == sale_of(in_fresh=30, out_text=came) + 2 * NANO_SALE
        assert row["cost"] == cost_of(in_fresh=30, out_text=20) + 2 * NANO_COST
