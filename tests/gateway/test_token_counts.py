"""Counting a prompt's tokens: asked of the provider, tried elsewhere when it fails, free in every case."""

from typing import Any

import orjson
import pytest
from messages_caller import headers_of
from proving import Customer, eventually
from raw_provider import Visit, raw_provider, whole_answer

pytestmark = pytest.mark.asyncio(loop_scope="module")

COUNTS = "/v1/messages/count_tokens"
COUNTED = orjson.dumps({"input_tokens": 42})
OVERLOADED = orjson.dumps({"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}})


def prompt(customer: Customer, kind: str, **more: Any) -> bytes:
    asked = {"model": customer.models[kind], "messages": [{"role": "user", "content": "hello there"}]}
    return orjson.dumps({**asked, **more})


class TestCountTokens:
    async def test_asks_the_provider_by_its_own_name_for_the_model(self, customer: Customer) -> None:
        async def script(visit: Visit) -> None:
            await visit.say(whole_answer(COUNTED))

        async with raw_provider(script) as provider:
            await customer.serve("anthropic", base_url=provider.base_url("anthropic"))
            headers = {**headers_of(customer), "anthropic-beta": "of-tomorrow"}
            reply = await customer.send(
                prompt(customer, "anthropic", system="s"), path=COUNTS, headers=headers
            )
        [visit] = provider.visits
        assert (reply.status, reply.json()) == (200, {"input_tokens": 42})
        assert visit.head.startswith(b"POST /v1/messages/count_tokens ")
        assert b"anthropic-beta: of-tomorrow" in visit.head.lower()
        assert orjson.loads(visit.body) == {
            "model": "claude-sonnet-4-5",
            "messages": [{"role": "user", "content": "hello there"}],
            "system": "s",
        }
        assert await customer.usage() == []

    async def test_is_tried_elsewhere_when_a_provider_fails(self, customer: Customer) -> None:
        async def script(visit: Visit) -> None:
            failed = len(provider.visits) == 1
            await visit.say(
                whole_answer(OVERLOADED, status="529 Overloaded") if failed else whole_answer(COUNTED)
            )

        async with raw_provider(script) as provider:
            await customer.serve("anthropic", base_url=provider.base_url("anthropic"), credentials=2)
            reply = await customer.send(
                prompt(customer, "anthropic"), path=COUNTS, headers=headers_of(customer)
            )
        assert (reply.status, reply.json(), len(provider.visits)) == (200, {"input_tokens": 42}, 2)

    @pytest.mark.parametrize(
        ("said", "status", "code"),
        [
            (whole_answer(OVERLOADED, status="529 Overloaded"), 503, "provider_overloaded"),
            (whole_answer(b"{}"), 502, "provider_error"),
            (whole_answer(b"no json"), 502, "provider_error"),
            (whole_answer(b'{"input_tokens":"many"}'), 502, "provider_error"),
            (whole_answer(b"x" * 100_000), 502, "provider_error"),
            (b"HTTP/1.1 200 OK\r\ncontent-", 502, "provider_error"),
        ],
        ids=["overloaded", "nothing", "garbage", "words", "endless", "cut"],
    )
    async def test_tells_the_providers_failure_when_all_fail(
        self, customer: Customer, said: bytes, status: int, code: str
    ) -> None:
        async def script(visit: Visit) -> None:
            await visit.say(said)

        async with raw_provider(script) as provider:
            await customer.serve("anthropic", base_url=provider.base_url("anthropic"))
            reply = await customer.send(
                prompt(customer, "anthropic"), path=COUNTS, headers=headers_of(customer)
            )
        told = reply.json()
        assert (reply.status, told["type"], told["error"]["code"]) == (status, "error", code)
        assert await customer.usage() == []

    async def test_stops_when_the_caller_hangs_up(self, customer: Customer) -> None:
        async def script(visit: Visit) -> None:
            await visit.gone.wait()

        async with raw_provider(script) as provider, customer.calling() as caller:
            await customer.serve("anthropic", base_url=provider.base_url("anthropic"))
            await caller.post(COUNTS, prompt(customer, "anthropic"), headers_of(customer))
            await eventually(lambda: provider.visits)
            caller.hang_up()
            await eventually(provider.visits[0].gone.is_set)
            await eventually(lambda: customer.gw.in_flight == 0)

    async def test_estimates_where_nobody_counts(self, customer: Customer) -> None:
        reply = await customer.send(prompt(customer, "openai"), path=COUNTS, headers=headers_of(customer))
        assert reply.json() == {"input_tokens": 11, "estimated": True}

    async def test_keeps_to_what_the_caller_says_of_routes(self, customer: Customer) -> None:
        headers = {**headers_of(customer), "x-bursar-providers": "nobody"}
        reply = await customer.send(prompt(customer, "anthropic"), path=COUNTS, headers=headers)
        assert (reply.status, reply.json()["error"]["code"]) == (422, "no_such_route")

    @pytest.mark.parametrize(
        ("body", "status"),
        [(b"{", 422), (b'{"model":"claude-nothing","messages":[{"role":"user","content":"x"}]}', 404)],
    )
    async def test_refuses_what_it_cannot_count(self, customer: Customer, body: bytes, status: int) -> None:
        reply = await customer.send(body, path=COUNTS, headers=headers_of(customer))
        assert (reply.status, reply.json()["type"]) == (status, "error")

    async def test_wants_a_key(self, customer: Customer) -> None:
        reply = await customer.send(prompt(customer, "anthropic"), path=COUNTS, headers={"x-api-key": "no"})
        assert (reply.status, reply.json()["error"]["type"]) == (401, "authentication_error")
