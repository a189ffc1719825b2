"""Other providers that speak the Responses API: callers of it pass through to their own, sold exactly."""

from typing import Any, ClassVar

import orjson
import pytest
from caller import Reply
from proving import Customer, cost_of, sale_of

from bursar.adapters.providers.azure_openai import AzureOpenAI
from bursar.adapters.providers.xai import XAI
from bursar.core.chat import BadRequest
from bursar.gateway.dialects import Exchange
from bursar.gateway.dialects.openai_responses import reading
from bursar.gateway.exchange import open_exchange
from recorded import SECRET, attempt

PLACES = {"xai": "/xai/v1", "azure_openai": "/azure/openai"}
SCRIPT = "input_tokens=1000 output_tokens=21 cached=300 reasoning=5"
TOKENS = {"in_fresh": 700, "cache_read": 300, "out_text": 26}
every_kind = pytest.mark.parametrize("kind", PLACES)
streamed_or_not = pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])


async def ask(customer: Customer, kind: str, **more: Any) -> Reply:
    address = customer.stack.simulator.base_url + PLACES[kind]
    await customer.serve(kind, base_url=address, provider_model="gpt-4o-mini")
    body = {"model": customer.models[kind], "input": "hello there", **more}
    return await customer.send(orjson.dumps(body), path="/v1/responses")


@pytest.mark.asyncio(loop_scope="module")
@every_kind
class TestAnswers:
    @streamed_or_not
    async def test_come_from_their_own_responses(
        self, customer: Customer, kind: str, *, stream: bool
    ) -> None:
        customer.stack.simulator.faults.add(SCRIPT, provider="openai")
        reply = await ask(customer, kind, stream=stream)
        row = await customer.one_row()
        assert (reply.status, reply.is_complete, row["outcome"]) == (200, True, "completed")
        assert (row["sale"], row["cost"]) == (sale_of(**TOKENS), cost_of(**TOKENS))
        assert customer.stack.simulator.log.exchanges[-1].path.endswith("/v1/responses")

    async def test_are_refused_by_name_where_they_cost_more_than_usage_tells(
        self, customer: Customer, kind: str
    ) -> None:
        reply = await ask(customer, kind, tools=[{"type": "web_search"}])
        assert (reply.status, reply.json()["error"]["param"]) == (422, "tools[0].type")


class TestWhatTheProviderCharged:
    USAGE: ClassVar = {"input_tokens": 9, "output_tokens": 3, "total_tokens": 12, "cost_in_usd_ticks": 77}

    def opened(self, *, stream: bool) -> Exchange:
        call = reading.read(orjson.dumps({"model": "m", "input": "Hello", "stream": stream}))
        return open_exchange(call, XAI(), attempt().deployment, SECRET, None)

    def answer(self) -> dict[str, Any]:
        return {"id": "resp_1", "status": "completed", "output": [], "usage": dict(self.USAGE)}

    def test_is_kept_and_not_told_in_an_answer(self) -> None:
        exchange = self.opened(stream=False)
        told = orjson.loads(exchange.answer(200, orjson.dumps(self.answer())))
        assert told["usage"] == {"input_tokens": 9, "output_tokens": 3, "total_tokens": 12}
        assert exchange.measured.usage is not None
        assert orjson.loads(exchange.measured.usage.raw or b"") == self.USAGE

    def test_is_kept_and_not_told_in_a_stream(self) -> None:
        exchange = self.opened(stream=True)
        event = {"type": "response.completed", "sequence_number": 1, "response": self.answer()}
        assert exchange.feed(b"event: response.completed\ndata: " + orjson.dumps(event) + b"\n\n") == []
        assert b"cost_in_usd_ticks" not in b"".join(exchange.tail(None))
        assert exchange.measured.usage is not None
        assert orjson.loads(exchange.measured.usage.raw or b"") == self.USAGE


class TestRequests:
    @pytest.mark.parametrize(
        ("base_url", "path"),
        [
            ("https://r.openai.azure.com/openai", "/v1/responses"),
            ("https://r.openai.azure.com/openai/v1", "/responses"),
        ],
    )
    def test_go_to_azures_newer_api(self, base_url: str, path: str) -> None:
        surface = AzureOpenAI().passes["openai_responses"]
        asked = surface.edit(
            {"model": "m", "input": "Hi"}, attempt(base_url=base_url), stream=False, headers={}
        )
        assert (asked.path, asked.headers["api-key"]) == (path, SECRET)
        assert orjson.loads(asked.body)["store"] is False

    def test_with_xais_own_searches_are_refused(self) -> None:
        surface = XAI().passes["openai_responses"]
        raw = {"model": "m", "input": "Hi", "search_parameters": {"mode": "on"}}
        with pytest.raises(BadRequest) as told:
            surface.edit(raw, attempt(), stream=False, headers={})
        assert told.value.param == "search_parameters"
